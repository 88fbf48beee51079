"""A checkpoint in OpenAI's layout that TensorFlow itself wrote, read without TensorFlow.

`openai_checkpoint/` was written by tf.compat.v1.train.Saver of TensorFlow 2.21, with OpenAI's names
and shapes for 11 layers of width 4; each tensor counts up from a number made of its name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoints import load_pretrained
from models.errors import CheckpointError
from models.gpt2 import GPT2Config
from models.tensorflow_checkpoint import load_tensorflow

CHECKPOINT = Path(__file__).parent / "openai_checkpoint"
LAYER = {
    "ln_1/g": (4,),
    "ln_1/b": (4,),
    "attn/c_attn/w": (1, 4, 12),
    "attn/c_attn/b": (12,),
    "attn/c_proj/w": (1, 4, 4),
    "attn/c_proj/b": (4,),
    "ln_2/g": (4,),
    "ln_2/b": (4,),
    "mlp/c_fc/w": (1, 4, 16),
    "mlp/c_fc/b": (16,),
    "mlp/c_proj/w": (1, 16, 4),
    "mlp/c_proj/b": (4,),
}
OTHERS = {"wte": (17, 4), "wpe": (8, 4), "ln_f/g": (4,), "ln_f/b": (4,)}


def written(name: str, shape: tuple[int, ...]) -> Tensor:
    """What stands in the file, as torch has it: a matrix without the leading 1, and turned."""
    count = torch.arange(torch.Size(shape).numel()) / 1024
    tensor = (zlib.crc32(f"model/{name}".encode()) % 1000 + count).view(shape)
    return tensor[0].T if name.endswith("/w") else tensor


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A copy of the checkpoint, to be damaged."""
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "damaged"))


def test_every_tensor_that_tensorflow_wrote_is_read_to_the_bit() -> None:
    model = load_tensorflow(CHECKPOINT)
    assert model.config == GPT2Config(vocab_size=17, n_positions=8, n_embd=4, n_layer=11, n_head=2)
    layers = {f"h{n}/{name}": shape for n in range(11) for name, shape in LAYER.items()}
    suffixes = {"g": ".weight", "w": ".weight", "b": ".bias"}
    found = model.state_dict()
    for name, shape in (OTHERS | layers).items():
        module, _, kind = name.rpartition("/") if "/" in name else (name, "", "w")
        ours = module.replace("/", ".").replace("h", "h.", module.startswith("h"))
        assert torch.equal(found.pop(ours + suffixes[kind]), written(name, shape)), name
    assert not found


def test_the_command_writes_a_folder_that_loads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.tensorflow_checkpoint"]
    subprocess.run([*command, str(CHECKPOINT), str(tmp_path)], check=True)
    converted, read = load_pretrained(tmp_path), load_tensorflow(CHECKPOINT)
    assert converted.config == read.config
    for name, tensor in converted.state_dict().items():
        assert torch.equal(tensor, read.state_dict()[name]), name


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("hparams.json", b'"n_layer": 11', b'"n_layer": 12', "h11/attn/c_attn/b .12. .* not in bo"),
        ("hparams.json", b'"n_ctx": 8', b'"n_ctx": 9', "model/wpe .8, 4. is in .* not in both"),
        ("hparams.json", b"n_vocab", b"vocab", "KeyError: 'n_vocab'"),
        ("model.ckpt.index", b"attn", b"tran", "not in both"),
        ("model.ckpt.index", b"\x57\xfb\x80\x8b", b"", "no LevelDB table"),
        ("model.ckpt.data-00000-of-00001", b"\x00", b"", "ValueError"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    damaged: Path, file: str, old: bytes, new: bytes, message: str
) -> None:
    content = (damaged / file).read_bytes()
    assert old in content
    (damaged / file).write_bytes(content.replace(old, new))
    with pytest.raises(CheckpointError, match=rf"damaged: not a GPT-2 .*{message}.* again"):
        load_tensorflow(damaged)


def test_a_missing_file_is_named(damaged: Path) -> None:
    (damaged / "model.ckpt.index").unlink()
    with pytest.raises(CheckpointError, match=r"No such file.*damaged/model\.ckpt\.index"):
        load_tensorflow(damaged)
