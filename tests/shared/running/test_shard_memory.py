"""What was made of a shard is made once, and forgotten when nobody needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from damaged_files import flip_a_byte

from pipeline.shared.running.shard_memory import Memory


def test_a_shard_is_made_once_by_each_method(tmp_path: Path) -> None:
    made: list[str] = []

    def make(folder: Path) -> dict[str, Any]:
        made.append(folder.name)
        (folder / "rows").write_text(f"{len(made)}")
        return {"rows": len(made)}

    memory = Memory(tmp_path / "remembered", "method")
    first = memory.recall("a", make)
    assert memory.recall("a", make) == first and len(made) == 1
    assert (first.folder / "rows").read_text() == "1" and first.note == {"rows": 1}
    assert memory.recall("b", make).note == {"rows": 2}
    assert memory._replace(method="other").recall("a", make).note == {"rows": 3}


def test_what_failed_or_was_killed_leaves_nothing_to_recall(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "remembered", "method")

    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half").touch()
        raise ValueError("no shard")

    with pytest.raises(ValueError, match="no shard"):
        memory.recall("a", fail)
    assert not list(memory.folder.iterdir())
    assert memory.recall("a", lambda folder: {"whole": True}).note == {"whole": True}


def test_only_the_shards_of_the_last_run_are_kept(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "remembered", "method")
    memory.keep(["a"])  # nothing is there yet
    folders = {shard: memory.recall(shard, lambda folder: {}).folder for shard in "ab"}
    other = memory._replace(method="other").recall("a", lambda folder: {}).folder
    (memory.folder / ".left.tmp-of-a-killed-run").mkdir()
    memory.keep(["a"])
    assert list(memory.folder.iterdir()) == [folders["a"]]
    assert other not in memory.folder.iterdir()


@pytest.mark.parametrize("name", ["rows", "note.json", "hashes.json"])
def test_a_result_that_was_damaged_through_its_hard_link_is_made_again(
    tmp_path: Path, name: str
) -> None:
    def make(folder: Path) -> dict[str, Any]:
        (folder / "rows").write_text("right")
        return {"rows": 1}

    memory = Memory(tmp_path / "remembered", "method")
    found = memory.recall("a", make)
    os.link(found.folder / name, tmp_path / "published")
    flip_a_byte(tmp_path / "published")
    again = memory.recall("a", make)
    assert (again.folder / "rows").read_text() == "right" and again.note == {"rows": 1}
