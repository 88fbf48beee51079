"""The tensors of a folder, by GPT-2's own names, in whichever way they were saved.

One file or shards with an index; bare names (the hub's), `transformer.` before them (those of
`GPT2LMHeadModel`) or what wrappers add (`_orig_mod.`, `module.`); matrices of OpenAI's `Conv1D`,
[in, out], or of torch's Linear, [out, in]; the tied embedding under either of its names or both;
no biases, which then are zero; half or double precision. Nothing pickled: reading a pickle can run
code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.errors import CheckpointError
from models.gpt2 import GPT2, GPT2Config
from models.hugging_face_config import CONFIG, read_config
from models.no_initialisation import NoInitialisation
from models.weights_note import WEIGHTS, read_note

INDEX = f"{WEIGHTS}.index.json"
PREFIX = "transformer."
EMBEDDING, HEAD = "wte.weight", "lm_head.weight"

_ANCHOR = "wpe.weight"  # once in every GPT-2: what stands before it stands before all names
_WRAPPERS = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
_NO_WEIGHTS = (".attn.bias", ".attn.masked_bias")  # causal masks that older files carry
_OTHER_HEADS = ("multiple_choice_head.", "v_head.")  # beside the language model's, which is whole
_TYPES = {"F16", "BF16", "F32", "F64"}
_LFS = b"version https://git-lfs"

Found = TypeVar("Found")


class WeightFiles:
    """A folder's tensors, checked by name, shape and type before any is read."""

    def __init__(self, folder: Path) -> None:
        """Open the files and compare them with `config.json`.

        Raises:
            CheckpointError: a file is missing or damaged, or they are not of one GPT-2.
        """
        self.folder = folder
        config = read_config(folder)
        self._places = _by_own_names(folder, _places(folder))
        self.config = replace(config, tied=self._is_tied(config))
        self.shapes = _shapes(self.config)
        """Of the model's parameters, as torch's Linear has them."""
        self._check_names()
        shape = self._shape("h.0.attn.c_attn.weight")
        self._is_linear = shape == list(self.shapes["h.0.attn.c_attn.weight"])
        for name in self._stored():
            self._check_shape(name)

    def read(self, name: str) -> Tensor:
        """A parameter, float32, as torch's Linear has it.

        Raises:
            CheckpointError: it cannot be read, or holds a value that is no finite number.
        """
        if name not in self._places and name != EMBEDDING:
            return torch.zeros(self.shapes[name])  # a bias: checked with the names
        tensor = self._get(name, lambda file, key: file.get_tensor(key)).float()
        if not math.isfinite(tensor.sum().item()) and not (finite := tensor.isfinite()).all():
            path, key = self._place(name)
            place = (~finite).nonzero()[0].tolist()
            raise CheckpointError(
                f"{path}: {int((~finite).sum()):,} of the {finite.numel():,} values of {key} are "
                f"NaN or infinite, the first at {place}; take weights from before that happened"
            )
        return tensor if self._is_linear else turned(name, tensor)

    def _place(self, name: str) -> tuple[Path, str]:
        """File and key of a parameter; the embedding's may be the head's."""
        if name == EMBEDDING and name not in self._places:
            name = HEAD
        return self._places[name]

    def _get(self, name: str, get: Callable[[Any, str], Found]) -> Found:
        path, key = self._place(name)
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                return get(file, key)
        except (OSError, SafetensorError) as error:
            raise _unreadable(path, error) from None

    def _shape(self, name: str) -> list[int]:
        return self._get(name, lambda file, key: list(file.get_slice(key).get_shape()))

    def _is_tied(self, config: GPT2Config) -> bool:
        """Whether the head is the embedding; where both are there and differ, they are two.

        `transformers` unties them then, whatever the configuration says.
        """
        if not config.tied and EMBEDDING in self._places and HEAD not in self._places:
            raise CheckpointError(
                f"{self.folder / CONFIG}: tie_word_embeddings = false, but there is no {HEAD} "
                "beside; set it to true, or fetch the whole model"
            )
        if not {EMBEDDING, HEAD} <= self._places.keys():
            return config.tied
        if not config.tied or self._shape(EMBEDDING) != self._shape(HEAD):
            return False
        embedding, head = (
            self._get(n, lambda f, key: f.get_tensor(key)) for n in (EMBEDDING, HEAD)
        )
        return torch.equal(embedding.nan_to_num(), head.nan_to_num())

    def _stored(self) -> list[str]:
        """The parameters that a file holds; a model without any bias has zeros for them."""
        found = self._places.keys() | ({EMBEDDING} if HEAD in self._places else set())
        bare = not any(name.endswith(".bias") for name in found)
        return [name for name in self.shapes if not (bare and name.endswith(".bias"))]

    def _check_names(self) -> None:
        missing = {n for n in self._stored() if n != EMBEDDING} - self._places.keys()
        if self.config.tied and not {EMBEDDING, HEAD} & self._places.keys():
            missing.add(EMBEDDING)
        if not self.config.tied:
            missing |= {EMBEDDING} - self._places.keys()
        unknown = self._places.keys() - self.shapes.keys() - {HEAD}
        for what, names in (("lacks", missing), ("holds unknown", unknown)):
            if names:
                raise CheckpointError(
                    f"{self.folder}: {what} {min(names)} ({len(names)} such tensors); the weights "
                    f"do not belong to the {CONFIG} beside them"
                )

    def _check_shape(self, name: str) -> None:
        found, wanted = self._shape(name), list(self.shapes[name])
        if name.endswith(_TRANSPOSED) and not self._is_linear:
            wanted.reverse()
        path, key = self._place(name)
        if found != wanted:
            raise CheckpointError(
                f"{path}: {key} is {found} where {CONFIG} asks for {wanted}; the two files are "
                "not of one model"
            )
        kind = self._get(name, lambda file, key: str(file.get_slice(key).get_dtype()))
        if kind not in _TYPES:
            raise CheckpointError(
                f"{path}: {key} is of type {kind}, which is quantised or no weight; those that "
                f"are read: {', '.join(sorted(_TYPES))}"
            )


def turned(name: str, tensor: Tensor) -> Tensor:
    """A parameter from OpenAI's layout of matrices to torch's, or back."""
    return tensor.T if name.endswith(_TRANSPOSED) else tensor


def _shapes(config: GPT2Config) -> dict[str, torch.Size]:
    with torch.device("meta"), NoInitialisation():
        return {name: tensor.shape for name, tensor in GPT2(config).state_dict().items()}


def _places(folder: Path) -> dict[str, Path]:
    """The file of each tensor, by its key."""
    if (folder / WEIGHTS).is_file():
        return dict.fromkeys(_keys(folder / WEIGHTS), folder / WEIGHTS)
    index = folder / INDEX
    if not index.is_file():
        raise CheckpointError(f"{folder / WEIGHTS}: no such file; {_what_is_there(folder)}")
    try:
        files: Mapping[str, str] = json.loads(index.read_bytes())["weight_map"]
        # An index names files of its own folder: a path to elsewhere is nobody's shard.
        shards = {key: folder / Path(name).name for key, name in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: no index of shards ({error!r}); fetch it again") from None
    held = {path: _keys(path) for path in sorted(set(shards.values()))}
    for key, path in shards.items():
        if key not in held[path]:
            raise CheckpointError(f"{path}: lacks {key}, which {INDEX} says it holds; fetch both")
    return shards


def _keys(path: Path) -> set[str]:
    if note := read_note(path):
        raise CheckpointError(f"{path}: {note}")
    try:
        with path.open("rb") as file:
            if file.read(len(_LFS)) == _LFS:
                raise CheckpointError(f"{path}: a pointer of Git LFS, not weights; `git lfs pull`")
        with safe_open(path, framework="pt", device="cpu") as file:
            return set(file.keys())
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: cannot be read ({error}); make or fetch it again")


def _by_own_names(folder: Path, places: Mapping[str, Path]) -> dict[str, tuple[Path, str]]:
    """File and key of each tensor by GPT-2's name of it; what is no parameter is left out."""
    plain = {key: ".".join(p for p in key.split(".") if p not in _WRAPPERS) for key in places}
    anchors = [name for name in plain.values() if f".{name}".endswith(f".{_ANCHOR}")]
    if len(anchors) != 1:
        raise CheckpointError(
            f"{folder}: {len(anchors)} tensors are called {_ANCHOR} where GPT-2 has one; "
            "this is another architecture"
        )
    prefix = anchors[0].removesuffix(_ANCHOR)
    found: dict[str, tuple[Path, str]] = {}
    for key, name in plain.items():
        own = HEAD if f".{name}".endswith(f".{HEAD}") else name.removeprefix(prefix)
        if f".{own}".endswith(_NO_WEIGHTS) or own.startswith(_OTHER_HEADS):
            continue
        if own in found:
            raise CheckpointError(f"{places[key]}: {key} and {found[own][1]} are both {own}")
        found[own] = places[key], key
    return found


def _what_is_there(folder: Path) -> str:
    """What to do about a folder without safetensors, by what it has."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    pickles = [name for name in names if Path(name).suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    if pickles:
        return (
            f"{pickles[0]} is pickled, and reading a pickle can run code; "
            f"`python -m models.pickled_checkpoint {quote(str(folder))}` converts it and runs none"
        )
    kinds = (".safetensors", ".h5", ".msgpack", ".gguf", ".onnx")
    if others := [name for name in names if name.endswith(kinds)]:
        return f"{others[0]} is not read; save the model by transformers' save_pretrained"
    return "make or fetch it"
