"""GPT-2s as people save them: what transformers gives for a folder, or one line that says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from saved_gpt2s import (
    SHAPE,
    Tensors,
    change,
    configure,
    head_beside,
    make,
    ours_of,
    theirs_of,
)
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
from transformers import GPT2Config as TheirConfig

from models.checkpoints import load_pretrained, save_pretrained
from models.compute import num_parameters, training_flops_per_token
from models.gpt2 import GPT2Config


@pytest.mark.parametrize(
    "settings",
    [
        {"activation_function": "gelu"},
        {"activation_function": "gelu_pytorch_tanh"},
        {"activation_function": "gelu_fast"},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"n_inner": 96},
        {"n_inner": 40},
        {"layer_norm_epsilon": 0.3},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False},
        {"reorder_and_upcast_attn": True},
        {"tie_word_embeddings": False},
        {"bos_token_id": 7, "eos_token_id": 8, "resid_pdrop": 0.5, "use_cache": False},
    ],
    ids=str,
)
def test_a_setting_is_read_as_transformers_reads_it(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    make(tmp_path, **settings)
    torch.testing.assert_close(ours_of(tmp_path), theirs_of(tmp_path), atol=3e-4, rtol=1e-4)


def test_the_settings_of_a_model_that_is_saved_come_back(tmp_path: Path) -> None:
    make(tmp_path / "theirs", n_inner=40, activation_function="relu", tie_word_embeddings=False)
    model = load_pretrained(tmp_path / "theirs")
    save_pretrained(model, tmp_path / "ours")
    assert load_pretrained(tmp_path / "ours").config == model.config
    torch.testing.assert_close(theirs_of(tmp_path / "ours"), theirs_of(tmp_path / "theirs"))


@pytest.mark.parametrize(
    "names",
    [
        {"n_positions": "max_position_embeddings", "n_embd": "hidden_size"},
        {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads"},
    ],
    ids=str,
)
def test_a_shape_in_the_names_of_other_models_is_the_same(
    tmp_path: Path, names: dict[str, str]
) -> None:
    make(tmp_path)
    moved = {theirs: SHAPE[ours] for ours, theirs in names.items()}
    configure(tmp_path, **dict.fromkeys(names, "absent"), **moved, n_ctx=32)
    torch.testing.assert_close(ours_of(tmp_path), theirs_of(tmp_path), atol=3e-4, rtol=1e-4)


def test_a_config_of_2019_names_the_context_alone(tmp_path: Path) -> None:
    expected = theirs_of(make(tmp_path))
    configure(tmp_path, n_positions="absent", model_type="absent", n_ctx=32)
    torch.testing.assert_close(ours_of(tmp_path), expected, atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("size", ["20KB", "5KB"])
def test_shards_are_one_model(tmp_path: Path, size: str) -> None:
    whole = theirs_of(make(tmp_path / "whole"))
    AutoModelForCausalLM.from_pretrained(tmp_path / "whole").save_pretrained(
        tmp_path / "shards", max_shard_size=size
    )
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    torch.testing.assert_close(ours_of(tmp_path / "shards"), whole, atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [104, 128])
def test_rows_that_pad_the_embedding_take_part_as_in_transformers(
    tmp_path: Path, rows: int
) -> None:
    make(tmp_path, vocab_size=rows)
    ours, theirs = ours_of(tmp_path), theirs_of(tmp_path)
    assert ours.shape[-1] == rows
    torch.testing.assert_close(ours, theirs, atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_precisions_are_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    make(tmp_path)
    change(tmp_path, lambda tensors: {k: v.to(dtype) for k, v in tensors.items()})
    torch.testing.assert_close(ours_of(tmp_path), theirs_of(tmp_path), atol=3e-4, rtol=1e-4)


def bare(tensors: Tensors) -> Tensors:
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}


def other_head(tensors: Tensors) -> Tensors:
    return tensors | {"lm_head.weight": tensors["transformer.wte.weight"] * 2}


def head_alone(tensors: Tensors) -> Tensors:
    tensors = head_beside(tensors)
    return {name: t for name, t in tensors.items() if name != "transformer.wte.weight"}


def masks(tensors: Tensors) -> Tensors:
    more = {f"transformer.h.{n}.attn.bias": torch.ones(1, 1, 32, 32).tril() for n in range(3)}
    scalars = {f"transformer.h.{n}.attn.masked_bias": torch.tensor(-1e4) for n in range(3)}
    return tensors | more | scalars


@pytest.mark.parametrize("work", [bare, head_beside, other_head, head_alone, masks])
def test_what_transformers_reads_of_other_names_is_read_alike(
    tmp_path: Path, work: Callable[[Tensors], Tensors]
) -> None:
    change(make(tmp_path), work)
    torch.testing.assert_close(ours_of(tmp_path), theirs_of(tmp_path), atol=3e-4, rtol=1e-4)


def compiled(tensors: Tensors) -> Tensors:
    return {f"_orig_mod.{name}": tensor for name, tensor in head_beside(tensors).items()}


def parallel(tensors: Tensors) -> Tensors:
    return {f"module._orig_mod.{name}": tensor for name, tensor in bare(tensors).items()}


def inside(tensors: Tensors) -> Tensors:
    names = {name: name.replace(".attn.", "._orig_mod.attn.") for name in tensors}
    return {f"model.net.{names[name]}": tensor for name, tensor in tensors.items()}


def linear(tensors: Tensors) -> Tensors:
    """As torch's own layer holds matrices, that of attention's output being square."""
    kinds = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return {n: tensor.T if n.endswith(kinds) else tensor for n, tensor in tensors.items()}


def value_head(tensors: Tensors) -> Tensors:
    return tensors | {"v_head.summary.weight": torch.ones(1, 24)}


@pytest.mark.parametrize("work", [compiled, parallel, inside, linear, value_head])
def test_what_wrappers_and_other_trainers_write_is_the_same_model(
    tmp_path: Path, work: Callable[[Tensors], Tensors]
) -> None:
    expected = theirs_of(make(tmp_path))
    change(tmp_path, work)
    torch.testing.assert_close(ours_of(tmp_path), expected, atol=3e-4, rtol=1e-4)


def test_a_model_without_any_bias_has_zeros_for_them(tmp_path: Path) -> None:
    make(tmp_path)
    change(tmp_path, lambda t: {k: v * 0 if k.endswith(".bias") else v for k, v in t.items()})
    expected = theirs_of(tmp_path)
    change(tmp_path, lambda t: {k: v for k, v in t.items() if not k.endswith(".bias")})
    torch.testing.assert_close(ours_of(tmp_path), expected, atol=3e-4, rtol=1e-4)


def test_the_count_of_parameters_follows_the_settings(tmp_path: Path) -> None:
    theirs = GPT2LMHeadModel(TheirConfig(**SHAPE, n_inner=40, tie_word_embeddings=False))
    config = GPT2Config(**SHAPE, n_inner=40, tied=False)
    assert num_parameters(config) == sum(p.numel() for p in theirs.parameters())
    matrices = 3 * (4 * 24 * 24 + 2 * 24 * 40) + 101 * 24
    assert training_flops_per_token(config) == 6 * matrices + 12 * 3 * 24 * 32
