"""What cannot be read as a JSON file is named, with the remedy; a note is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import once, read_json


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.json", "no such file; run the stage that makes it"),
        ("folder.json", "a folder; name the file itself"),
        ("half.json", "not JSON .* run `python -m flows.repair`"),
    ],
)
def test_what_is_no_json_file_is_named_with_the_remedy(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "half.json").write_text('{"half": ')
    with pytest.raises(CorruptDataError, match=f"{name}: {problem}"):
        read_json(tmp_path / name)


def test_a_note_is_made_once_and_again_where_it_is_damaged(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"n": 3}

    note = tmp_path / "note.json"
    assert once(note, make) == once(note, make) == {"n": 3}
    assert len(made) == 1
    note.write_text('{"n": ')
    assert once(note, make) == once(note, make) == {"n": 3}
    assert len(made) == 2
