"""Weights on disk: safetensors in the Hugging Face layout of the released GPT-2, nothing pickled.

What is written is OpenAI's layout: `Conv1D` matrices, [in, out], where torch's Linear holds
[out, in], under names that begin with `transformer.`. What else is read: `models.weight_files`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from models.gpt2 import GPT2, GPT2Config, empty_model
from models.hugging_face_config import CONFIG, write_config
from models.weight_files import HEAD, PREFIX, WeightFiles, turned
from models.weights_note import WEIGHTS


def save_pretrained(model: GPT2, folder: Path) -> None:
    """Write `model.safetensors` (float32) and `config.json`; each appears whole or not at all.

    `transformers.AutoModelForCausalLM.from_pretrained(folder)` loads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name if name == HEAD else PREFIX + name: turned(name, tensor.detach())
        .float()
        .cpu()
        .contiguous()
        for name, tensor in model.state_dict().items()
    }
    temporary = folder / f".{WEIGHTS}.tmp-{os.getpid()}"
    try:
        save_file(tensors, temporary, metadata={"format": "pt"})
        _sync(temporary)
        temporary.replace(folder / WEIGHTS)
    finally:
        temporary.unlink(missing_ok=True)
    temporary = folder / f".{CONFIG}.tmp-{os.getpid()}"
    temporary.write_text(json.dumps(write_config(model.config), indent=2) + "\n")
    _sync(temporary)
    temporary.replace(folder / CONFIG)


def load_pretrained(folder: Path, device: torch.device | str = "cpu") -> GPT2:
    """The model of a folder, in evaluation mode, float32.

    Raises:
        CheckpointError: a file is missing or damaged, its tensors are not this GPT-2's, or one
            holds a value that is no finite number.
    """
    weights = WeightFiles(folder)
    model = empty_model(weights.config, device)
    for name, target in model.state_dict().items():
        target.copy_(weights.read(name))
    return model.eval()


def check_pretrained(folder: Path) -> GPT2Config:
    """What a folder's model is, after reading all of it once and keeping nothing.

    Raises:
        CheckpointError: `load_pretrained` would.
    """
    weights = WeightFiles(folder)
    for name in weights.shapes:
        weights.read(name)
    return weights.config


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
