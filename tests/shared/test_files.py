"""What cannot be read as a JSON file is named, with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import read_json


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.json", "no such file; run the stage that makes it"),
        ("folder.json", "a folder; name the file itself"),
        ("half.json", "not JSON .* run its stage again"),
    ],
)
def test_what_is_no_json_file_is_named_with_the_remedy(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "half.json").write_text('{"half": ')
    with pytest.raises(CorruptDataError, match=f"{name}: {problem}"):
        read_json(tmp_path / name)
