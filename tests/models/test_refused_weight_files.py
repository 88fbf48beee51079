"""What is no GPT-2, or cannot be read safely, is refused in one line that says what it is."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from saved_gpt2s import Tensors, change, configure, head_beside, make, ours_of, theirs_of
from transformers import AutoModelForCausalLM

from models import pickled_checkpoint
from models.checkpoints import check_pretrained, load_pretrained
from models.errors import CheckpointError
from models.pickled_checkpoint import convert


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


def pickle_shards(folder: Path, names: Sequence[str], *, twice: bool = False) -> Tensors:
    """A folder whose tensors are spread over pickled files, or are all in each."""
    tensors = load_file(make(folder) / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for number, name in enumerate(names):
        part = {k: v for n, (k, v) in enumerate(tensors.items()) if n % len(names) == number}
        torch.save(tensors if twice else part, folder / name)
    return tensors


SHARDS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")


def test_pickled_shards_are_joined(tmp_path: Path) -> None:
    tensors = pickle_shards(tmp_path, SHARDS)
    (tmp_path / "optimizer.pt").write_bytes(b"no weights")
    found = load_file(convert(tmp_path))
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    "names", [("epoch=0.ckpt", "last.ckpt"), ("last.ckpt", "model.bin")], ids=str
)
def test_of_several_checkpoints_none_is_taken(tmp_path: Path, names: tuple[str, ...]) -> None:
    pickle_shards(tmp_path, names, twice=True)
    with pytest.raises(CheckpointError, match=f"{', '.join(names)} are 2 checkpoints") as caught:
        convert(tmp_path)
    assert "put the one that is meant into a folder of its own" in str(caught.value)
    assert not (tmp_path / "model.safetensors").exists()


def test_shards_of_two_models_are_not_joined(tmp_path: Path) -> None:
    pickle_shards(tmp_path, SHARDS, twice=True)
    with pytest.raises(CheckpointError, match=f"{SHARDS[1]}: holds .* and so does {SHARDS[0]}"):
        convert(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_weights_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    pickle_shards(tmp_path, SHARDS)
    (tmp_path / "model.safetensors").write_bytes(b"another model")
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: is there already; move it away"
    ):
        convert(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == b"another model"


def _save_half(tensors: Tensors, path: Path, metadata: dict[str, str]) -> None:
    """What safetensors before 0.8 does on a full disk: it writes where it is told to."""
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_no_half_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickle_shards(tmp_path, ["model.ckpt"])
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(pickled_checkpoint, "save_file", _save_half)
    with pytest.raises(OSError, match="No space left"):
        convert(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


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
