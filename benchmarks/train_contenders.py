"""GPT-2 as figure4 and its peers train it, each by its own model, loss and optimiser.

All read the same tokens and do the same step: forward, backward, clipping, AdamW. What differs is
what each project brings: layout, head and loss, kernels, compilation. Names of shapes: B sequences,
T = context.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.gpt2 import GPT2, GPT2Config, empty_model
from models.training import parameter_groups

LEARNING_RATE, WEIGHT_DECAY, BETAS, CLIP_NORM = 3e-4, 0.1, (0.9, 0.95), 1.0
Loss = Callable[[Tensor, Tensor], Tensor]
"""From inputs and targets, [B, T] each, to the mean loss."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, where, and how."""

    n_layer: int
    n_head: int
    n_embd: int
    context: int
    sequences: int
    """Of one micro-batch, all in memory at once."""
    vocab_size: int
    precision: str
    device: str
    compile: bool
    tokens: Path
    """Folder of token shards."""
    nanogpt: Path | None
    micro_batches: int = 1
    """Of one step: their gradients are added before the optimiser's one."""

    @property
    def step_tokens(self) -> int:
        """Tokens of one step."""
        return self.micro_batches * self.sequences * self.context


@dataclass(frozen=True)
class Contender:
    """One project's training, ready to step."""

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer


def bare_loop(setting: Setting) -> Contender:
    """figure4's own module, without Lightning."""
    model = filled_model(setting)
    if setting.compile:
        model.compile_parts()
    return Contender(model, model.mean_loss, _adamw(parameter_groups(model, WEIGHT_DECAY)))


def one_graph(setting: Setting) -> Contender:
    """The same, all blocks compiled as one graph: what compiling them one by one loses."""
    model = filled_model(setting)
    if setting.compile:
        model._compiled = True  # the head's loss is a part of its own either way
        model.compile()
    return Contender(model, model.mean_loss, _adamw(parameter_groups(model, WEIGHT_DECAY)))


def filled_model(setting: Setting) -> GPT2:
    """figure4's model with random weights, made where it trains."""
    config = GPT2Config(
        setting.vocab_size, setting.context, setting.n_embd, setting.n_layer, setting.n_head
    )
    model = empty_model(config, setting.device)
    model.initialise(torch.Generator(setting.device).manual_seed(1), "twice_layers")
    return model


def nanogpt(setting: Setting) -> Contender:
    """The checkout given by its path, with its own optimiser, vocabulary padded as it says."""
    assert setting.nanogpt is not None
    peer = _import_file(setting.nanogpt / "model.py", "nanogpt_model")
    config = peer.GPTConfig(
        block_size=setting.context,
        vocab_size=_padded(setting.vocab_size),
        n_layer=setting.n_layer,
        n_head=setting.n_head,
        n_embd=setting.n_embd,
    )
    with torch.device(setting.device):  # 1.5 billion random numbers take a CPU half a minute
        model = peer.GPT(config)
    optimizer = model.configure_optimizers(WEIGHT_DECAY, LEARNING_RATE, BETAS, setting.device)
    run = torch.compile(model) if setting.compile else model
    return Contender(model, lambda x_BT, y_BT: run(x_BT, y_BT)[1], optimizer)


def litgpt(setting: Setting) -> Contender:
    """Its GPT in GPT-2's shape (its positions are rotary), with the loss of its pretraining."""
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.utils import chunked_cross_entropy

    config = Config(
        block_size=setting.context,
        vocab_size=setting.vocab_size,
        padded_vocab_size=_padded(setting.vocab_size),
        n_layer=setting.n_layer,
        n_head=setting.n_head,
        n_embd=setting.n_embd,
        parallel_residual=False,
        bias=True,
        gelu_approximate="tanh",
    )
    model = GPT(config).to(setting.device)
    model.lm_head.weight = model.transformer.wte.weight  # tied, as GPT-2's
    run = torch.compile(model) if setting.compile else model
    return Contender(
        model,
        lambda x_BT, y_BT: chunked_cross_entropy(run(x_BT), y_BT),
        _adamw(model.parameters()),
    )


def transformers(setting: Setting) -> Contender:
    """GPT2LMHeadModel with its own loss and torch's fused AdamW, its Trainer's default."""
    from transformers import GPT2Config as PeerConfig
    from transformers import GPT2LMHeadModel

    config = PeerConfig(
        vocab_size=setting.vocab_size,
        n_positions=setting.context,
        n_embd=setting.n_embd,
        n_layer=setting.n_layer,
        n_head=setting.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.device(setting.device):
        model = GPT2LMHeadModel(config)
    model.train()
    run = torch.compile(model) if setting.compile else model
    return Contender(
        model, lambda x_BT, y_BT: run(input_ids=x_BT, labels=x_BT).loss, _adamw(model.parameters())
    )


BARE_LOOP, ONE_GRAPH = "bare loop", "one graph"
CONTENDERS: dict[str, Callable[[Setting], Contender]] = {
    BARE_LOOP: bare_loop,
    ONE_GRAPH: one_graph,
    "nanoGPT": nanogpt,
    "litgpt": litgpt,
    "transformers": transformers,
}


def missing(name: str, setting: Setting) -> str | None:
    """Why a contender cannot run here, or None."""
    if name == "nanoGPT":
        found = setting.nanogpt is not None and (setting.nanogpt / "model.py").is_file()
        return None if found else f"no model.py in --nanogpt {setting.nanogpt}"
    if name in {"litgpt", "transformers"} and importlib.util.find_spec(name) is None:
        return f"not installed (pip install {name})"
    return None


def read_batches(setting: Setting) -> Callable[[], tuple[Tensor, Tensor]]:
    """Random windows of a memory map, the usual way; returns inputs and targets, [B, T] each."""
    tokens = np.memmap(setting.tokens / "00000.bin", np.uint16, mode="r")
    random = np.random.default_rng(1)

    def read() -> tuple[Tensor, Tensor]:
        starts = random.integers(len(tokens) - setting.context, size=setting.sequences)
        rows = [tokens[start : start + setting.context + 1].astype(np.int64) for start in starts]
        batch = torch.from_numpy(np.stack(rows))
        if setting.device == "cuda":
            batch = batch.pin_memory().to("cuda", non_blocking=True)
        return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()

    return read


def _adamw(parameters: Iterable[Any]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters, lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )


def _padded(vocab_size: int) -> int:
    return vocab_size + -vocab_size % 64


def _import_file(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
