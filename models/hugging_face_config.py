"""`config.json` in the words of `transformers`: which GPT-2 it describes, or why it describes none.

A setting that says the same in other words is read as what it says, one that changes the function
is honoured (`GPT2Config`), and any other is refused by its name. Left out, a setting has the value
that `transformers` gives it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from models.errors import CheckpointError
from models.gpt2 import Activation, GPT2Config

CONFIG = "config.json"

# The tanh form of GELU has many names: the same function but for rounding.
_ACTIVATIONS: dict[str, Activation] = {
    **dict.fromkeys(
        ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"),
        "gelu_tanh",
    ),
    **dict.fromkeys(("gelu", "gelu_python"), "gelu"),
    "relu": "relu",
    **dict.fromkeys(("silu", "swish"), "silu"),
}
# name: the name that all of transformers' models share, and the value where neither is there
_SHAPE = {
    "vocab_size": ("vocab_size", 50_257),
    "n_positions": ("max_position_embeddings", 1024),
    "n_embd": ("hidden_size", 768),
    "n_layer": ("num_hidden_layers", 12),
    "n_head": ("num_attention_heads", 12),
}
_SWITCHES = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}
_END_OF_TEXT = ("bos_token_id", "eos_token_id")


def read_config(folder: Path) -> GPT2Config:
    """What a folder's `config.json` says; dropout is a matter of training and left out.

    Raises:
        CheckpointError: it is missing, damaged, or of another architecture.
    """
    path = folder / CONFIG
    data = _read(folder)
    try:
        _refuse_others(path, data)
        shape = {name: _number(data, name) for name in _SHAPE}
        switches = {name: _switch(data, name) for name in _SWITCHES}
        inner = data.get("n_inner")
        return GPT2Config(
            **shape,
            n_inner=None if inner is None or int(inner) == 4 * shape["n_embd"] else int(inner),
            activation=_activation(path, data),
            layer_norm_epsilon=float(data.get("layer_norm_epsilon", 1e-5)),
            scale_attn_weights=switches["scale_attn_weights"],
            scale_attn_by_inverse_layer_idx=switches["scale_attn_by_inverse_layer_idx"],
            tied=switches["tie_word_embeddings"],
        )
    except CheckpointError:
        raise
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: not a GPT-2 config ({error}); mend or fetch it") from None


def read_text_ids(folder: Path) -> tuple[int | None, int | None]:
    """The ids that `config.json` gives the beginning and the end of a text; None where it is mute.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    found = (_read(folder).get(name) for name in _END_OF_TEXT)
    first = [value[0] if isinstance(value, list) and value else value for value in found]
    begin, end = (value if isinstance(value, int) else None for value in first)
    return begin, end


def write_config(config: GPT2Config) -> dict[str, Any]:
    """`config.json` of a model that a study trained: its text ends with the last token."""
    dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": next(n for n, a in _ACTIVATIONS.items() if a == config.activation),
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "n_inner": config.n_inner,
        "tie_word_embeddings": config.tied,
        "scale_attn_weights": config.scale_attn_weights,
        "scale_attn_by_inverse_layer_idx": config.scale_attn_by_inverse_layer_idx,
        "reorder_and_upcast_attn": False,
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        **dropouts,
        "initializer_range": 0.02,
        **dict.fromkeys(_END_OF_TEXT, config.vocab_size - 1),
        "dtype": "float32",
    }


def _read(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; {_where_it_is(folder)}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); make or fetch it again") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not a GPT-2 config ({error}); fetch it again") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: not a GPT-2 config, but a {type(data).__name__}; fetch it")
    return data


def _where_it_is(folder: Path) -> str:
    """What to do about a folder that has no config.json, by what it has."""
    if (folder / "adapter_config.json").is_file():
        return "this is an adapter, not a model: merge it into its model (PEFT's merge_and_unload)"
    if (folder / "hparams.json").is_file():
        return (
            "this looks like OpenAI's own checkpoint, which is converted by "
            f"`python -m models.tensorflow_checkpoint {quote(str(folder))} OUT`"
        )
    return "a model is a folder with config.json and its weights; make or fetch it"


def _refuse_others(path: Path, data: Mapping[str, Any]) -> None:
    """Settings that make another architecture of it."""
    if (kind := data.get("model_type", "gpt2")) != "gpt2":
        raise CheckpointError(f"{path}: model_type = {kind!r} is no GPT-2 (gpt2); give one")
    # `reorder_and_upcast_attn` is none of them: another order of the same operations.
    for name in ("add_cross_attention", "pruned_heads", "quantization_config"):
        if value := data.get(name):
            raise CheckpointError(
                f"{path}: {name} = {json.dumps(value)[:60]} makes another architecture of it, "
                "which is not supported; give a plain GPT-2"
            )


def _activation(path: Path, data: Mapping[str, Any]) -> Activation:
    name = data.get("activation_function", "gelu_new")
    if name not in _ACTIVATIONS:
        raise CheckpointError(
            f"{path}: activation_function = {name!r} is not supported; those that are: "
            f"{', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]


def _number(data: Mapping[str, Any], name: str) -> int:
    shared, usual = _SHAPE[name]
    names = [n for n in dict.fromkeys((name, shared)) if data.get(n) is not None]
    if not names and name == "n_positions" and data.get("n_ctx") is not None:
        names = ["n_ctx"]  # of 2019, beside n_positions or in its place
    values = {n: data[n] for n in names} or {name: usual}
    for n, value in values.items():
        if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
            raise ValueError(f"{n} = {value!r} is no number of at least 1")
    if len(set(map(int, values.values()))) > 1:
        raise ValueError(" and ".join(f"{n} = {v}" for n, v in values.items()) + " disagree")
    return int(next(iter(values.values())))


def _switch(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name, _SWITCHES[name])
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r} is neither true nor false")
    return value
