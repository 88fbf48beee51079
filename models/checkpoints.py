"""Weights on disk: safetensors in the Hugging Face layout of the released GPT-2, nothing pickled.

That layout keeps OpenAI's `Conv1D` matrices, [in, out], where torch's Linear holds [out, in]; the
transposition happens here and nowhere else. The hub's files have bare names (`h.0.attn...`),
those of `GPT2LMHeadModel.save_pretrained` begin with `transformer.`: both are read, the latter is
written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.gpt2 import GPT2, GPT2Config, empty_model
from models.weights_note import WEIGHTS, read_note

CONFIG = "config.json"

_PREFIX = "transformer."
_TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
_NO_WEIGHTS = ("attn.bias", "attn.masked_bias")  # causal masks that older files carry
_TIED_HEAD = "lm_head.weight"


class CheckpointError(ValueError):
    """A folder that holds no GPT-2 we can read: names file, value and remedy."""


def save_pretrained(model: GPT2, folder: Path) -> None:
    """Write `model.safetensors` (float32) and `config.json`; each appears whole or not at all.

    `transformers.AutoModelForCausalLM.from_pretrained(folder)` loads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        _PREFIX + name: _turned(name, tensor.detach()).float().cpu().contiguous()
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
    temporary.write_text(json.dumps(_hugging_face_config(model.config), indent=2) + "\n")
    _sync(temporary)
    temporary.replace(folder / CONFIG)


def load_pretrained(folder: Path, device: torch.device | str = "cpu") -> GPT2:
    """The model of a folder, in evaluation mode, float32.

    Raises:
        CheckpointError: a file is missing or damaged, or its tensors are not this GPT-2's.
    """
    config = read_config(folder)
    model = empty_model(config, device)
    expected = model.state_dict()
    path = folder / WEIGHTS
    if note := read_note(path):
        raise CheckpointError(f"{path}: {note}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            found = {key.removeprefix(_PREFIX): key for key in file.keys()}  # noqa: SIM118
            _check_names(path, set(found), set(expected))
            for name, target in expected.items():
                source = _turned(name, file.get_tensor(found[name]))
                if source.shape != target.shape:
                    raise CheckpointError(
                        f"{path}: {found[name]} is {list(source.shape)} where {CONFIG} asks for "
                        f"{list(target.shape)}; the two files are not of one model"
                    )
                target.copy_(source)
            if _TIED_HEAD in found and not torch.equal(
                file.get_tensor(found[_TIED_HEAD]), file.get_tensor(found["wte.weight"])
            ):
                raise CheckpointError(f"{path}: {_TIED_HEAD} is not the embedding; GPT-2 ties them")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); make or fetch it again") from None
    return model.eval()


def read_config(folder: Path) -> GPT2Config:
    """The shape of a folder's model; dropout is a matter of training and left out.

    Raises:
        CheckpointError: `config.json` is missing, damaged, or not a GPT-2 as released.
    """
    path = folder / CONFIG
    try:
        data = json.loads(path.read_bytes())
        values = {
            name: int(data[name])
            for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        }
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); make or fetch it again") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a GPT-2 config ({error!r}); fetch it again") from None
    for name, wanted in _FIXED.items():
        if data.get(name, wanted) != wanted:
            raise CheckpointError(
                f"{path}: {name} = {data[name]!r} where GPT-2 as released has {wanted!r}; "
                "this is another architecture"
            )
    return GPT2Config(**values)


# What makes a config GPT-2 as released, besides its shape.
_FIXED: dict[str, Any] = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "n_inner": None,
    "tie_word_embeddings": True,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
}


def _hugging_face_config(config: GPT2Config) -> dict[str, Any]:
    dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
    return {
        "architectures": ["GPT2LMHeadModel"],
        **_FIXED,
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        **dropouts,
        "initializer_range": 0.02,
        "bos_token_id": config.vocab_size - 1,  # <|endoftext|> is the last token
        "eos_token_id": config.vocab_size - 1,
        "dtype": "float32",
    }


def _turned(name: str, tensor: Tensor) -> Tensor:
    return tensor.T if name.endswith(_TRANSPOSED) else tensor


def _check_names(path: Path, found: set[str], expected: set[str]) -> None:
    extra = {name for name in found - expected if not name.endswith(_NO_WEIGHTS)} - {_TIED_HEAD}
    for what, names in (("lacks", expected - found), ("holds unknown", extra)):
        if names:
            raise CheckpointError(
                f"{path}: {what} {sorted(names)[0]} ({len(names)} such tensors); "
                f"it does not belong to the {CONFIG} beside it"
            )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
