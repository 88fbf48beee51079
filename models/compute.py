"""How much a model is and does: parameters, FLOPs per token, MFU, every convention named."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from models.gpt2 import GPT2, GPT2Config
from models.no_initialisation import NoInitialisation

FLOPS_CONVENTION = (
    "per trained token: 6 x parameters that multiply (all but biases, norms and positions; the "
    "tied embedding once, as the head) + 12 x n_layer x n_embd x context for attention, "
    "causality not discounted, recomputation not counted (PaLM, appendix B)"
)


def num_parameters(config: GPT2Config) -> int:
    """All parameters, the tied embedding once.

    >>> num_parameters(GPT2Config(50257, 1024, 768, 12, 12))
    124439808
    """
    with torch.device("meta"), NoInitialisation():
        return sum(parameter.numel() for parameter in GPT2(config).parameters())


def num_non_embedding_parameters(config: GPT2Config) -> int:
    """Parameters without token and position embeddings, as scaling laws count them.

    >>> num_non_embedding_parameters(GPT2Config(50257, 1024, 768, 12, 12))
    85056000
    """
    embeddings = (config.vocab_size + config.n_positions) * config.n_embd
    return num_parameters(config) - embeddings


def training_flops_per_token(config: GPT2Config, context: int | None = None) -> int:
    """Floating-point operations of forward and backward per token, by `FLOPS_CONVENTION`.

    >>> training_flops_per_token(GPT2Config(50257, 1024, 768, 12, 12))
    854438400
    """
    width = config.n_embd
    block = 4 * width * width + 2 * width * config.mlp_width
    matrices = config.n_layer * block + config.vocab_size * width
    attention = 12 * config.n_layer * width * (context or config.n_positions)
    return 6 * matrices + attention


def model_flops_utilisation(tokens_per_s: float, flops_per_token: int, peak_flops: float) -> float:
    """MFU: the part of `peak_flops` (per second, of all devices) that the model itself uses."""
    return tokens_per_s * flops_per_token / peak_flops


def matmul_flops_per_s(device: torch.device | str, dtype: torch.dtype) -> float:
    """Operations per second of a large square matrix product: the peak that MFU refers to.

    Measured, not looked up: a data sheet's peak is of no clock or power limit that lasts. It is of
    what others leave of the device at the moment and, on the CPU, of torch's threads. The best of
    several; takes about half a second.
    """
    device = torch.device(device)
    small = torch.ones(16, 16, device=device, dtype=dtype)
    _time_product(small, small)  # a GPU's first product loads its library, which takes seconds
    best, until_s = 0.0, time.perf_counter() + 0.5
    size = 256  # and growing: a processor without the type's instructions needs minutes for 2048
    while time.perf_counter() < until_s:
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        seconds = min(_time_product(left, right) for _ in range(3))
        best = max(best, 2.0 * size**3 / seconds)
        if seconds < 0.02 and size < 16_384:
            size *= 2
    return best


def _time_product(left: Tensor, right: Tensor) -> float:
    began_s = time.perf_counter()
    torch.mm(left, right)
    if left.device.type == "cuda":
        torch.cuda.synchronize(left.device)
    return time.perf_counter() - began_s
