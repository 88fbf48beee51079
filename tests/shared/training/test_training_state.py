"""Checkpoints: whole or absent, two kept, damage noticed, strangers refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from pipeline.shared.training.state import ForeignCheckpointError, load_state, save_state

LOG = logging.getLogger("test")
IDENTITY = {"model.n_layer": 2, "tokenizer": "abc"}


def save(folder: Path, step: int) -> Path:
    return save_state(folder, step, IDENTITY, {"weights": torch.full((9,), float(step))})


def test_the_newest_is_loaded_and_the_last_two_are_kept(tmp_path: Path) -> None:
    paths = [save(tmp_path, step) for step in (9, 10, 100)]
    assert sorted(tmp_path.iterdir()) == paths[1:]
    found = load_state(tmp_path, IDENTITY, LOG)
    assert found is not None
    assert found[0] == 100
    assert torch.equal(found[1]["weights"], torch.full((9,), 100.0))


def test_without_a_checkpoint_there_is_nothing(tmp_path: Path) -> None:
    assert load_state(tmp_path / "absent", IDENTITY, LOG) is None


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_one_is_put_aside_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    content = newest.read_bytes()
    flipped = content[:-30] + bytes([content[-30] ^ 1]) + content[-29:]
    newest.write_bytes({"truncated": content[:-1], "empty": b"", "flipped": flipped}[damage])
    found = load_state(tmp_path, IDENTITY, LOG)
    assert found is not None
    assert found[0] == 1
    assert f"{newest}: damaged" in caplog.text
    save(tmp_path, 2)
    again = load_state(tmp_path, IDENTITY, LOG)
    assert again is not None
    assert again[0] == 2


def test_one_of_another_training_is_refused_with_each_difference(tmp_path: Path) -> None:
    save(tmp_path, 1)
    other = {"model.n_layer": 3, "tokenizer": "abc", "precision": "float32"}
    with pytest.raises(ForeignCheckpointError) as refusal:
        load_state(tmp_path, other, LOG)
    assert "model.n_layer is 2 where this training has 3" in str(refusal.value)
    assert "precision is None where this training has 'float32'" in str(refusal.value)
    assert "tokenizer" not in str(refusal.value)


def test_what_a_killed_write_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".writing-123").write_bytes(b"half")
    path = save(tmp_path, 1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_that_runs_code_is_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    save_state(tmp_path, 1, IDENTITY, {"trap": Trap()})
    with pytest.raises(Exception, match="Weights only load failed"):
        load_state(tmp_path, IDENTITY, LOG)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_saving_needs_little_memory_beside_the_state(tmp_path: Path) -> None:
    state = {f"tensor{number}": torch.ones(2**21) for number in range(8)}  # 64 MiB
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: man 5 proc
    before_kib = _memory_kib("VmRSS")
    path = save_state(tmp_path, 1, IDENTITY, state)
    needed_bytes = 1024 * (_memory_kib("VmHWM") - before_kib)
    assert needed_bytes < 0.2 * path.stat().st_size


def _memory_kib(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
