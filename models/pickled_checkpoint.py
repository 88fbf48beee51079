"""Pickled weights (`pytorch_model.bin`, its shards, `*.pt`) as safetensors beside them.

    python -m models.pickled_checkpoint FOLDER

writes `FOLDER/model.safetensors`. torch's `weights_only` reader is used, which builds tensors and
plain containers and refuses everything else that a pickle can ask for.
"""

from __future__ import annotations

import argparse
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

_PATTERNS = ("pytorch_model.bin", "pytorch_model-*.bin", "*.bin", "*.pt", "*.pth", "*.ckpt")
_INSIDE = ("state_dict", "model", "module")  # under which trainers put the weights
_NO_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt")


def convert(folder: Path) -> Path:
    """Write the weights of a folder as `model.safetensors`, and return its path.

    Raises:
        CheckpointError: there are none, or they hold more than tensors.
    """
    tensors: dict[str, Tensor] = {}
    for path in _pickles(folder):
        tensors |= _read(path)
    # A copy of each: safetensors refuses tensors that share memory, as tied ones do.
    own = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(own, folder / WEIGHTS, metadata={"format": "pt"})
    return folder / WEIGHTS


def _pickles(folder: Path) -> list[Path]:
    for pattern in _PATTERNS:
        found = [path for path in sorted(folder.glob(pattern)) if path.name not in _NO_WEIGHTS]
        if found:
            return found
    raise CheckpointError(f"{folder}: no pickled weights ({', '.join(_PATTERNS)}); check the path")


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
