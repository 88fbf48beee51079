"""Which of the common names of a field counts: one rule for JSON and Parquet, record by record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_corpora import FORMS, MAY_2016, URL, documents, read

from pipeline.extract.columns import COMMON
from pipeline.shared.formats.documents import Document

HELD = {"text": "T", "id": "K", "url": URL, "date": "2016-05-01", "title": "Head", "subreddit": "s"}
OTHER = dict.fromkeys(HELD, "other") | {"url": "http://other.example/", "date": "2001-01-01"}


def under_the_nth_name(number: int, nothing: str | None) -> dict[str, Any]:
    """A record that holds each field under this name or its last, nothing before, others after."""
    record: dict[str, Any] = {}
    for field in HELD:
        place = min(number, len(COMMON[field]) - 1)
        for tried, name in enumerate(COMMON[field]):
            value = nothing if tried < place else (HELD if tried == place else OTHER)[field]
            outer, dot, inner = name.partition(".")
            if dot:
                record.setdefault(outer, {})[inner] = value
            else:
                record[name] = value
    return record


@pytest.mark.parametrize("nothing", [None, ""])
def test_of_each_record_the_first_name_counts_that_holds_something(
    tmp_path: Path, nothing: str | None
) -> None:
    """Whatever the format of the file, for each field that has several names."""
    records = [under_the_nth_name(n, nothing) for n in range(max(map(len, COMMON.values())))]
    (tmp_path / "a.jsonl").write_bytes(FORMS["a line"](records))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    expected = Document(
        id="K", url=URL, text="T", title="Head", created_utc=MAY_2016, subreddit="s"
    )
    for name in ("a.jsonl", "a.parquet"):
        assert documents(read(tmp_path / name)) == [expected] * len(records), name


def test_a_text_is_looked_for_under_the_names_after_one_that_holds_none(tmp_path: Path) -> None:
    lines, table, binary = (tmp_path / name for name in ("a.jsonl", "a.parquet", "b.parquet"))
    records = [{"text": n, "body": f"T{n}"} for n in range(3)]
    lines.write_bytes(FORMS["a line"](records))
    pq.write_table(pa.Table.from_pylist(records), table)
    pq.write_table(pa.table({"text": [b"T0", b"", b"\xff"], "body": ["no", "T1", "T2"]}), binary)
    for path in (lines, table, binary):
        assert [each.text for each in documents(read(path))] == ["T0", "T1", "T2"], path
