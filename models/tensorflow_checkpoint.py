"""OpenAI's own checkpoints of GPT-2, written by TensorFlow 1 and read here without it.

    python -m models.tensorflow_checkpoint models/124M OUT

writes `OUT/model.safetensors` and `OUT/config.json`. `model.ckpt.index` is a LevelDB table: blocks
of sorted keys, each without what it shares with the one before, and protocol buffers that tell a
tensor's shape and place in `model.ckpt.data-00000-of-00001`. Names and shapes are checked. The
CRC-32C of each tensor is not: Python has none, and one in Python takes minutes for a small model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.checkpoints import save_pretrained
from models.errors import CheckpointError
from models.gpt2 import GPT2, GPT2Config, empty_model

_HPARAMS, _INDEX = "hparams.json", "model.ckpt.index"
_DATA = "model.ckpt.data-00000-of-00001"
_MAGIC = bytes.fromhex("57fb808b247547db")  # LevelDB's, at the end of every table
_FOOTER_BYTES = 48
_DTYPE, _SHAPE, _OFFSET = 1, 2, 4  # fields of TensorFlow's BundleEntryProto
_FLOAT32 = 1  # its number of the type

Place = tuple[tuple[int, ...], int]
"""A tensor's shape and its first byte."""


def load_tensorflow(folder: Path) -> GPT2:
    """The model of a folder as OpenAI published it, in evaluation mode, float32.

    Raises:
        CheckpointError: a file is missing or damaged, or the files are not of one GPT-2.
    """
    try:
        hparams = json.loads((folder / _HPARAMS).read_bytes())
        names = ("n_vocab", "n_ctx", "n_embd", "n_layer", "n_head")
        vocab_size, context, width, layers, heads = (int(hparams[name]) for name in names)
        model = empty_model(GPT2Config(vocab_size, context, width, layers, heads))
        _fill(model, _read_index((folder / _INDEX).read_bytes()), folder / _DATA)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(
            f"{folder}: not a GPT-2 as OpenAI published it ({type(error).__name__}: {error}); "
            f"fetch {_HPARAMS}, {_INDEX} and {_DATA} again"
        ) from None
    return model.eval()


def _fill(model: GPT2, places: dict[str, Place], data: Path) -> None:
    targets = {_tensorflow_name(name): tensor for name, tensor in model.state_dict().items()}
    # A matrix is the kernel of a convolution of width 1, [1, in, out]; torch's Linear is [out, in].
    shapes = {
        name: (1, *target.T.shape) if name.endswith("/w") else tuple(target.shape)
        for name, target in targets.items()
    }
    if differing := shapes.items() ^ {(name, shape) for name, (shape, _) in places.items()}:
        name, shape = min(differing)
        raise ValueError(f"{name} {list(shape)} is in {_HPARAMS} or in {_INDEX}, not in both")
    for name, target in targets.items():
        shape, offset = places[name]
        # Copy on write: torch warns of memory that it may not write.
        source = torch.from_numpy(np.memmap(data, "<f4", mode="c", offset=offset, shape=shape))
        target.copy_(source[0].T if name.endswith("/w") else source)


def _tensorflow_name(name: str) -> str:
    """What OpenAI's code calls a parameter.

    >>> _tensorflow_name("h.10.attn.c_attn.weight"), _tensorflow_name("ln_f.bias")
    ('model/h10/attn/c_attn/w', 'model/ln_f/b')
    """
    path, kind = ("model/" + name.replace("h.", "h", 1).replace(".", "/")).rsplit("/", 1)
    if path.endswith(("wte", "wpe")):
        return path
    weight = "g" if "/ln_" in path else "w"
    return f"{path}/{weight if kind == 'weight' else 'b'}"


def _read_index(table: bytes) -> dict[str, Place]:
    if not table.endswith(_MAGIC):
        raise ValueError(f"{_INDEX} is no LevelDB table")
    footer = BytesIO(table[-_FOOTER_BYTES:])
    _, _, offset, size = (_varint(footer) for _ in range(4))  # first an empty block of filters
    places = {}
    for _, handle in _block(table, offset, size):
        file = BytesIO(handle)
        for name, entry in _block(table, _varint(file), _varint(file)):
            if name:  # the nameless one tells of the files as a whole
                places[name.decode()] = _place(entry)
    return places


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    end = offset + size
    if table[end]:
        raise ValueError(f"{_INDEX} is compressed, which TensorFlow never does")
    num_restarts = int.from_bytes(table[end - 4 : end], "little")  # for a binary search
    file, end = BytesIO(table[offset:end]), size - 4 * (num_restarts + 1)
    key = b""
    while file.tell() < end:
        shared, own, length = _varint(file), _varint(file), _varint(file)
        key = key[:shared] + file.read(own)
        yield key, file.read(length)


def _place(entry: bytes) -> Place:
    fields = dict(_fields(entry))
    if fields.get(_DTYPE) != _FLOAT32:
        raise ValueError(f"{_INDEX} holds a tensor that is not float32")
    sizes = (dict(_fields(dimension)) for _, dimension in _fields(fields[_SHAPE]))
    return tuple(size[1] for size in sizes), fields.get(_OFFSET, 0)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer; a zero is left out of it."""
    file = BytesIO(message)
    while file.tell() < len(message):
        number, kind = divmod(_varint(file), 8)
        if kind == 0:
            yield number, _varint(file)
        else:  # bytes of a given length, or the four of a checksum
            yield number, file.read(_varint(file) if kind == 2 else 4)


def _varint(file: BytesIO) -> int:
    """An integer in groups of seven bits, the lowest first; the eighth bit says that more come."""
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.tensorflow_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="as OpenAI published it")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the safetensors")
    options = parser.parse_args()
    try:
        save_pretrained(load_tensorflow(options.folder), options.out)
    except CheckpointError as error:
        sys.exit(f"tensorflow_checkpoint: {error}")


if __name__ == "__main__":
    main()
