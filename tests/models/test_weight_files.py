"""GPT-2s as people save them: what transformers gives for a folder, or one line that says why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
from transformers import GPT2Config as TheirConfig

from models.checkpoints import check_pretrained, load_pretrained, save_pretrained
from models.compute import num_parameters, training_flops_per_token
from models.errors import CheckpointError
from models.gpt2 import GPT2Config

SHAPE = {"vocab_size": 101, "n_positions": 32, "n_embd": 24, "n_layer": 3, "n_head": 3}
Tensors = dict[str, Tensor]


def make(folder: Path, **settings: Any) -> Path:
    """A folder as transformers saves it, with weights that are sure of something."""
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(TheirConfig(**SHAPE | settings)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter)).mul_(3.0)
    theirs.save_pretrained(folder)
    return folder


def theirs_of(folder: Path) -> Tensor:
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: Tensor = theirs(TOKENS).logits
    return logits


@torch.no_grad()
def ours_of(folder: Path) -> Tensor:
    model = load_pretrained(folder)
    return model.logits(model(TOKENS))


TOKENS = torch.randint(0, 101, (2, 32), generator=torch.Generator().manual_seed(1))


def change(folder: Path, work: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    save_file({k: v.contiguous() for k, v in work(load_file(path)).items()}, path, {"format": "pt"})


def configure(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    config = {k: v for k, v in (json.loads(path.read_text()) | settings).items() if v != "absent"}
    path.write_text(json.dumps(config))


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


def head_beside(tensors: Tensors) -> Tensors:
    return tensors | {"lm_head.weight": tensors["transformer.wte.weight"].clone()}


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "gpt_neo"}, "model_type = 'gpt_neo' is no GPT-2"),
        ({"add_cross_attention": True}, "add_cross_attention = true makes another architecture"),
        ({"quantization_config": {"load_in_8bit": True}}, "quantization_config = {.load_in_8bit"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads = "),
        ({"activation_function": "xielu"}, "activation_function = 'xielu' is not supported; those"),
        ({"n_head": 5}, "n_embd = 24 is no multiple of n_head = 5"),
        ({"n_layer": 0}, "n_layer = 0 is no number of at least 1"),
        ({"n_positions": 16}, r"wpe.weight is \[32, 24\] where config.json asks for \[16, 24\]"),
        ({"hidden_size": 48}, "n_embd = 24 and hidden_size = 48 disagree"),
        ({"n_layer": 2}, r"holds unknown h\.2\.attn\.c_attn\.bias"),
        ({"n_layer": 4}, r"lacks h\.3\.attn\.c_attn\.bias"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = false, but there is no lm_head"),
        ({"scale_attn_weights": "yes"}, "scale_attn_weights = 'yes' is neither true nor false"),
    ],
    ids=str,
)
def test_another_architecture_is_refused_in_one_line_that_names_the_setting(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    configure(make(tmp_path), **settings)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_no_number_is_told_by_its_tensor(tmp_path: Path, value: float) -> None:
    def damage(tensors: Tensors) -> Tensors:
        tensors["transformer.h.1.mlp.c_proj.weight"][3, 5] = value
        return tensors

    change(make(tmp_path), damage)
    message = r"1 of the 2,304 values of transformer\.h\.1\.mlp\.c_proj\.weight are .* at \[3, 5\]"
    for read in (load_pretrained, check_pretrained):
        with pytest.raises(CheckpointError, match=message):
            read(tmp_path)


def quantised(tensors: Tensors) -> Tensors:
    return {k: v.to(torch.int8) if k.endswith("c_fc.weight") else v for k, v in tensors.items()}


def twice(tensors: Tensors) -> Tensors:
    return tensors | {"module.transformer.ln_f.bias": tensors["transformer.ln_f.bias"].clone()}


def no_positions(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if "wpe" not in name}


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (quantised, r"h\.0\.mlp\.c_fc\.weight is of type I8, which is quantised"),
        (twice, r"are both ln_f\.bias"),
        (no_positions, r"0 tensors are called wpe\.weight where GPT-2 has one"),
    ],
)
def test_tensors_that_are_no_gpt2_are_refused(
    tmp_path: Path, work: Callable[[Tensors], Tensors], message: str
) -> None:
    change(make(tmp_path), work)
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(tmp_path)


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path: Path) -> None:
    folder = make(tmp_path / "größe 1 (copy)")
    expected = theirs_of(folder)
    tensors = head_beside(load_file(folder / "model.safetensors"))
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]  # one memory, as torch saves it
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is pickled") as caught:
        load_pretrained(folder)
    command = str(caught.value).split("`")[1].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    torch.testing.assert_close(ours_of(folder), expected, atol=3e-4, rtol=1e-4)


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run by a pickle",)


def test_a_pickle_that_asks_for_more_than_tensors_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": _Harm()}, tmp_path / "pytorch_model.bin")
    done = subprocess.run(
        [sys.executable, "-m", "models.pickled_checkpoint", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cannot be read as weights alone" in done.stderr
    assert "run by a pickle" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("adapter_config.json", b"{}", "this is an adapter, not a model"),
        ("hparams.json", b"{}", "python -m models.tensorflow_checkpoint"),
        ("x.txt", b"", "a model is a folder with config.json and its weights"),
    ],
)
def test_a_folder_without_a_config_is_told_what_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "model.safetensors",
            b"version https://git-lfs.github.com/spec/v1\n",
            "pointer of Git LFS",
        ),
        ("model.safetensors", b"\0" * 100, "cannot be read"),
        ("model.safetensors.index.json", b'{"weight_map": 3}', "no index of shards"),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "../../b.safetensors"}}',
            "b.safetensors: cannot be read",
        ),
        ("tf_model.h5", b"", r"tf_model\.h5 is not read; save the model by transformers'"),
    ],
)
def test_files_that_hold_no_weights_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (make(tmp_path) / "model.safetensors").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    make(tmp_path / "whole")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"{shard.name}: cannot be read"):
        load_pretrained(tmp_path)


def test_the_count_of_parameters_follows_the_settings(tmp_path: Path) -> None:
    theirs = GPT2LMHeadModel(TheirConfig(**SHAPE, n_inner=40, tie_word_embeddings=False))
    config = GPT2Config(**SHAPE, n_inner=40, tied=False)
    assert num_parameters(config) == sum(p.numel() for p in theirs.parameters())
    matrices = 3 * (4 * 24 * 24 + 2 * 24 * 40) + 101 * 24
    assert training_flops_per_token(config) == 6 * matrices + 12 * 3 * 24 * 32
