"""Pickled weights (`pytorch_model.bin`, its shards, `*.pt`) as safetensors beside them.

    python -m models.pickled_checkpoint FOLDER

writes `FOLDER/model.safetensors`, where there is none. torch's `weights_only` reader is used, which
builds tensors and plain containers and refuses everything else that a pickle can ask for.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.errors import CheckpointError
from models.weights_note import WEIGHTS

_WHOLE, _SHARDS = "pytorch_model.bin", "pytorch_model-*-of-*.bin"  # as transformers names them
_OTHERS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_INSIDE = ("state_dict", "model", "module")  # under which trainers put the weights
_NO_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt")


def convert(folder: Path) -> Path:
    """Write the weights of a folder as `model.safetensors`, and return its path.

    Raises:
        CheckpointError: there are none, they hold more than tensors or are not of one model, or
            `model.safetensors` is there already.
    """
    target = folder / WEIGHTS
    if target.exists():
        raise CheckpointError(
            f"{target}: is there already; move it away to have it made of the pickled weights"
        )
    # A copy of each: safetensors refuses tensors that share memory, as tied ones do.
    own = {
        name: tensor.detach().clone().contiguous()
        for name, tensor in _join(_pickles(folder)).items()
    }
    _write(own, target)
    return target


def _pickles(folder: Path) -> list[Path]:
    """The file of the model, or its shards."""
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if shards := sorted(folder.glob(_SHARDS)):
        return shards
    others = sorted(path for pattern in _OTHERS for path in folder.glob(pattern))
    found = [path for path in others if path.name not in _NO_WEIGHTS]
    if not found:
        patterns = ", ".join((_WHOLE, _SHARDS, *_OTHERS))
        raise CheckpointError(f"{folder}: no pickled weights ({patterns}); check the path")
    if len(found) > 1:
        raise CheckpointError(
            f"{folder}: {', '.join(path.name for path in found)} are {len(found)} checkpoints, and "
            f"one is converted (shards of one are called {_SHARDS}); put the one that is meant "
            "into a folder of its own, with its config.json"
        )
    return found


def _join(paths: list[Path]) -> dict[str, Tensor]:
    """The tensors of all shards."""
    tensors: dict[str, Tensor] = {}
    first: dict[str, Path] = {}
    for path in paths:
        own = _read(path)
        if both := sorted(own.keys() & tensors.keys()):
            raise CheckpointError(
                f"{path}: holds {both[0]}, and so does {first[both[0]].name} ({len(both):,} such "
                "tensors); leave the shards of one model there"
            )
        tensors |= own
        first |= dict.fromkeys(own, path)
    return tensors


def _write(tensors: Mapping[str, Tensor], target: Path) -> None:
    """Have the file appear whole or not at all, which safetensors itself does from 0.8 on."""
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        save_file(dict(tensors), temporary, metadata={"format": "pt"})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path}: cannot be read as weights alone ({reason}); save the model by transformers' "
            "save_pretrained"
        ) from None
    while isinstance(content, Mapping) and (inner := [k for k in _INSIDE if k in content]):
        content = content[inner[0]]
    tensors = {k: v for k, v in content.items()} if isinstance(content, Mapping) else {}
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{path}: holds no mapping from names to tensors; it is no model")
    return tensors


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.pickled_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the pickled weights")
    try:
        print(convert(parser.parse_args().folder))
    except CheckpointError as error:
        sys.exit(f"pickled_checkpoint: {error}")


if __name__ == "__main__":
    main()
