"""GPT-2s of a few thousand weights as transformers saves them, and changes to their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
from transformers import GPT2Config as TheirConfig

from models.checkpoints import load_pretrained

SHAPE = {"vocab_size": 101, "n_positions": 32, "n_embd": 24, "n_layer": 3, "n_head": 3}
Tensors = dict[str, Tensor]
TOKENS = torch.randint(0, 101, (2, 32), generator=torch.Generator().manual_seed(1))


def make(folder: Path, **settings: Any) -> Path:
    """A folder as transformers saves it, with weights that are sure of something."""
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(TheirConfig(**SHAPE | settings)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter)).mul_(3.0)
    theirs.save_pretrained(folder)
    return folder


def change(folder: Path, work: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    save_file({k: v.contiguous() for k, v in work(load_file(path)).items()}, path, {"format": "pt"})


def configure(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    config = {k: v for k, v in (json.loads(path.read_text()) | settings).items() if v != "absent"}
    path.write_text(json.dumps(config))


def theirs_of(folder: Path) -> Tensor:
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: Tensor = theirs(TOKENS).logits
    return logits


@torch.no_grad()
def ours_of(folder: Path) -> Tensor:
    model = load_pretrained(folder)
    return model.logits(model(TOKENS))


def head_beside(tensors: Tensors) -> Tensors:
    return tensors | {"lm_head.weight": tensors["transformer.wte.weight"].clone()}
