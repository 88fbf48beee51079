"""GPUs by name: what their data sheets promise and what a training needs of their memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.plan.rungs import Rung
from pipeline.shared.params.profile import ProfileParams

GIB = 2**30


class Card(NamedTuple):
    """One kind of GPU."""

    name: str
    tflops: float
    """Dense bfloat16 products, TFLOP/s, by its data sheet."""
    memory_gib: float


CARDS = (
    Card("A100-40", 312.0, 40e9 / GIB),
    Card("A100-80", 312.0, 80e9 / GIB),
    Card("H100", 989.4, 80e9 / GIB),
    Card("H200", 989.4, 141e9 / GIB),
)
DEFAULT_MFU = 0.45
"""Of the data sheet's peak: the paper's shapes reached 42 to 48 % on an H200 (benchmarks)."""
# Measured on an H200 to within 3 % (benchmarks/results/gpu_*): 117M, 345M, 762M and 1542M take
# 8.1, 20.1, 26.4 and 48.0 GiB with 16, 16, 8 and 8 sequences.
_STATE_BYTES = 18  # float32 weights, gradients, AdamW's two moments; weights in bfloat16
_BUCKET_BYTES = 4  # DDP's buckets of gradients, a parameter
_BYTES_A_POSITION = 34  # of activations, by layer and width
_HEAD_GIB = 1.5  # scores of a chunk of positions, whatever the batch


def named_card(name: str) -> Card:
    """The card of `CARDS` with that name."""
    return next(card for card in CARDS if card.name == name)


def gpu_hours(rungs: Sequence[Rung], card: Card, mfu: float) -> float:
    """Hours of one such GPU for all searches, the trainings that are kept among them."""
    return sum(rung.search_flops for rung in rungs) / (mfu * card.tflops * 1e12) / 3600


def gpu_speeds(
    rungs: Sequence[Rung], params: ProfileParams, card: Card, mfu: float
) -> dict[str, float]:
    """Trained tokens a second of each size on the profile's number of such GPUs."""
    flops_per_s = mfu * card.tflops * 1e12 * params.compute.devices * params.compute.nodes
    return {rung.size: flops_per_s / rung.flops_per_token for rung in rungs}


def training_gib(rung: Rung, params: ProfileParams) -> float:
    """Memory of one GPU while it trains a size: state, activations of a micro-batch, scores."""
    config, compute = rung.config, params.compute
    devices = compute.devices * compute.nodes
    state = _STATE_BYTES * rung.parameters / (devices if compute.strategy == "fsdp" else 1)
    buckets = _BUCKET_BYTES * rung.parameters if devices > 1 else 0
    positions = params.train.micro_batch_sequences * config.n_positions
    activations = _BYTES_A_POSITION * config.n_layer * config.n_embd * positions
    return (state + buckets + activations) / GIB + _HEAD_GIB
