"""A folder whose weights are elsewhere says so; real weights are never taken for a note."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.checkpoints import load_pretrained, save_pretrained
from models.errors import CheckpointError
from models.gpt2 import GPT2, GPT2Config
from models.weights_note import read_note, write_note


def test_who_opens_a_note_is_told_where_the_weights_are_and_their_hash(tmp_path: Path) -> None:
    model = GPT2(GPT2Config(vocab_size=7, n_positions=4, n_embd=2, n_layer=1, n_head=1))
    model.initialise(torch.Generator().manual_seed(1), "layers")
    save_pretrained(model, tmp_path)
    assert read_note(tmp_path / "model.safetensors") is None
    load_pretrained(tmp_path)
    write_note(tmp_path, sha256="ab" * 32, num_bytes=497_759_232, where="on the node")
    with pytest.raises(CheckpointError, match=f"497,759,232 bytes.*on the node.*{'ab' * 32}"):
        load_pretrained(tmp_path)


def test_small_files_that_are_no_note_are_left_to_their_reader(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert read_note(path) is None
    for content in (b"", b"{}", b'{"format": "pt"}'):
        path.write_bytes(content)
        assert read_note(path) is None
