"""Evaluation examples come back as they were written, and a damaged file is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from damaged_files import flip_a_byte

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import sha256_file, write_json
from pipeline.shared.formats.examples import Example, read_examples, write_examples

EXAMPLES = [
    Example(id="1", text="Whole text.", context="Whole", target=" text.", group="news"),
    Example(id="2", text="naïve 東京", choices=["a", "b"], answer=1, references=["r1", "r2", "r3"]),
]


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    assert write_examples(path, EXAMPLES) == 2
    assert list(read_examples(path)) == EXAMPLES


def test_the_same_examples_give_the_same_bytes(tmp_path: Path) -> None:
    write_examples(tmp_path / "once.parquet", EXAMPLES)
    write_examples(tmp_path / "again.parquet", iter(EXAMPLES))
    assert (tmp_path / "once.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_a_set_may_be_empty(tmp_path: Path) -> None:
    assert write_examples(tmp_path / "set.parquet", []) == 0
    assert list(read_examples(tmp_path / "set.parquet")) == []


@pytest.mark.parametrize("damage", ["truncated", "other", "missing"])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "set.parquet"
    write_examples(path, EXAMPLES)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "other":
        path.write_text("id,text\n1,x\n")
    else:
        path.unlink()
    with pytest.raises(CorruptDataError, match=r"set\.parquet: not a file.*dvc repro"):
        list(read_examples(path))


def test_a_table_of_something_else_is_no_set_of_examples(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["1"], "question": ["why?"]}).to_parquet(tmp_path / "set.parquet")
    with pytest.raises(CorruptDataError, match=r"set\.parquet: not a file"):
        list(read_examples(tmp_path / "set.parquet"))


def test_a_flipped_byte_is_seen_by_the_manifest_of_the_sets(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    write_examples(path, EXAMPLES)
    write_json(tmp_path / "_manifest.json", {"sets": {"set": {"sha256": sha256_file(path)}}})
    assert list(read_examples(path)) == EXAMPLES
    flip_a_byte(path)
    with pytest.raises(CorruptDataError, match=r"set\.parquet: damaged.*flows\.repair"):
        list(read_examples(path))
