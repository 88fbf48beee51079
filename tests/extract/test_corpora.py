"""Corpora in the forms, names and types in which they are published, each with what is right."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.extract.columns import columns_of
from pipeline.extract.corpus_files import find_files, is_json
from pipeline.extract.corpus_records import Lost, RecordReader
from pipeline.extract.judge import Caps
from pipeline.extract.rules import RULES
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.documents import Document, document_id
from pipeline.shared.params.web import ColumnsParams

MAY_2016 = 1_462_060_800  # 2016-05-01T00:00:00Z, by `date -u -d 2016-05-01 +%s`
URL = "http://d.example/1"


def reader(most: int = 10**6, **columns: str) -> RecordReader:
    names = dict.fromkeys(("text", "id", "url", "date")) | columns
    return RecordReader(columns_of(ColumnsParams(**names)), Caps(0, 1, rules_off=RULES[1:]), most)


def read(path: Path, own: RecordReader | None = None, /, **columns: str) -> list[Document | Lost]:
    own = own or reader(**columns)
    return list(own.read_json(path) if is_json(path) else own.read_parquet(path))


def documents(found: list[Document | Lost]) -> list[Document]:
    assert all(isinstance(each, Document) for each in found), found
    return [each for each in found if isinstance(each, Document)]


def rows(count: int = 3) -> list[dict[str, Any]]:
    return [{"text": f'A "text", number {n}: {{[\\ é', "id": n} for n in range(count)]


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "a line": lambda own: b"".join(json.dumps(row).encode() + b"\n" for row in own),
    "lines of Windows, a mark before them": lambda own: (
        b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(row).encode() for row in own)
    ),
    "an array": lambda own: json.dumps(own, ensure_ascii=False).encode(),
    "an array of lines": lambda own: (
        b"[\n" + b",\n".join(json.dumps(row).encode() for row in own) + b"\n]\n"
    ),
    "a pretty array": lambda own: json.dumps(own, indent=2).encode(),
    "pretty values": lambda own: b"\n".join(json.dumps(row, indent=4).encode() for row in own),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["jsonl", "ndjson", "json", "JSON"])
@pytest.mark.parametrize("packed", PACKED)
def test_json_in_any_form_under_any_name_is_read(
    tmp_path: Path, form: str, kind: str, packed: str
) -> None:
    path = tmp_path / f"c4-train.00000-of-01024.{kind}{packed}"
    path.write_bytes(PACKED[packed](FORMS[form](rows())))
    assert find_files(tmp_path) == ([path], [])
    found = documents(read(path))
    assert [document.text for document in found] == [row["text"] for row in rows()]
    assert [document.id for document in found] == ["0", "1", "2"]


def test_a_file_packed_otherwise_than_its_name_says_is_read(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.json.gz", tmp_path / "b.jsonl"
    plain.write_bytes(FORMS["a line"](rows()))
    packed.write_bytes(gzip.compress(FORMS["a line"](rows()), mtime=0))
    assert len(documents(read(plain))) == len(documents(read(packed))) == 3


def test_values_are_told_apart_wherever_a_piece_of_the_file_ends(tmp_path: Path) -> None:
    own = [{"text": '\\"' * 50_000 + str(n), "more": [{"a": "}"}, []]} for n in range(9)]
    for form in ("a pretty array", "pretty values", "an array"):
        path = tmp_path / "a.json"
        path.write_bytes(FORMS[form](own))
        assert [each.text for each in documents(read(path))] == [row["text"] for row in own]


def test_an_array_that_breaks_off_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(rows())[:-30].encode())
    with pytest.raises(CorruptDataError, match=r"a\.json: truncated .*ends inside a value"):
        read(path)


@pytest.mark.parametrize("form", ["a line", "a pretty array"])
def test_a_long_record_is_read_and_one_beyond_the_limit_counted_in_its_place(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / "a.json"
    own = rows(4)
    own[1]["text"] = "word " * 100_000
    path.write_bytes(FORMS[form](own) + (b"{oops\n" if form == "a line" else b""))
    found = read(path)
    assert isinstance(found[1], Document)
    assert found[1].text == own[1]["text"]
    found = read(path, reader(most=400_000))
    lost = [each for each in found if isinstance(each, Lost)]
    assert lost[0].reason == "too_large"
    assert lost[0].problem.startswith("line 2 (500," if form == "a line" else "record 2 (500,")
    assert [each.id for each in found if isinstance(each, Document)] == ["0", "2", "3"]
    if form == "a line":
        assert lost[1].problem.startswith("line 5 (")


PUBLISHED = {
    "C4": {"text": "T", "timestamp": "2016-05-01T00:00:00Z", "url": URL},
    "FineWeb": {
        "text": "T", "id": "<urn:uuid:7>", "dump": "CC-MAIN-2016-22", "url": URL,
        "date": "2016-05-01T00:00:00Z", "file_path": "s3://x", "language": "en",
        "language_score": 0.97, "token_count": 1,
    },
    "Dolma": {
        "id": "<urn:uuid:7>", "text": "T", "source": "common-crawl",
        "added": "2023-04-11T09:57:03.044571+00:00", "created": "2016-05-01T00:00:00.000Z",
        "metadata": {"url": URL, "length": 1},
    },
    "RedPajama": {"text": "T", "meta": {"url": URL, "timestamp": "2016-05-01T00:00:00Z"}},
    "RedPajama's sample": {
        "text": "T", "meta": str({"url": URL, "timestamp": "2016-05-01T00:00:00Z"}),
    },
    "RedPajama 2": {"raw_content": "T", "doc_id": "<urn:uuid:7>", "url": URL,
                    "date_download": "2016-05-01T00:00:00Z"},
    "RefinedWeb": {"content": "T", "url": URL, "timestamp": "2016-05-01T00:00:00"},
    "OSCAR": {"content": "T", "warc_headers": {
        "warc-record-id": "<urn:uuid:7>", "warc-date": "2016-05-01T00:00:00Z",
        "warc-target-uri": URL}},
    "a pipeline of news": {"maintext": "T", "url": URL, "title": "Head",
                           "date_publish": "2016-05-01 00:00:00"},
    "Reddit": {"text": "T", "url": URL, "created_utc": str(MAY_2016), "score": 7},
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_columns_of_published_corpora_are_known(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([PUBLISHED[name]]), path)
    else:
        path.write_text(json.dumps(PUBLISHED[name]))
    own = reader()
    (found,) = documents(read(path, own))
    assert (found.text, found.url, found.created_utc) == ("T", URL, MAY_2016)
    has_id = "urn:uuid:7" in str(PUBLISHED[name])
    assert found.id == ("<urn:uuid:7>" if has_id else document_id(URL))
    assert not own.unreadable


def test_openwebtexts_documents_are_named_by_their_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["One text", "another", "One text"]}), path)
    ids = [document.id for document in documents(read(path))]
    assert ids[0] == ids[2] != ids[1]
    assert all(len(id_) == 16 for id_ in ids)


def test_a_named_column_comes_before_the_common_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"text": "no", "story": {"en": "T"}, "id": "no", "key": 0, "url": "no", "at": URL}
    path.write_text(json.dumps(row | {"date": "2020-01-01", "day": "20160501"}))
    asked = {"text": "story.en", "id": "key", "url": "at", "date": "day"}
    (found,) = documents(read(path, **asked))
    assert found == Document(id="0", url=URL, text="T", created_utc=MAY_2016)


TEXT_TYPES = [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
    pa.binary_view(), pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
]  # fmt: skip


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
def test_parquet_of_every_type_of_text_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    texts = ["Naïve text", "another one", "Naïve text"]
    if pa.types.is_dictionary(kind):
        column = pa.array(texts).dictionary_encode().cast(kind)
    else:
        column = pa.array(texts, pa.string()).cast(kind)
    pq.write_table(pa.table({"text": column}), path)
    assert [document.text for document in documents(read(path))] == texts


DAY = dt.datetime(2016, 5, 1, tzinfo=dt.UTC)
TIMES = [
    *(pa.array([DAY], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
    pa.array([DAY], pa.timestamp("us", tz="Asia/Kolkata")),
    pa.array([DAY.date()], pa.date32()),
    pa.array([DAY.date()], pa.date64()),
    pa.array([MAY_2016], pa.int64()),
    pa.array([float(MAY_2016)], pa.float64()),
    pa.array(["Sun, 01 May 2016 00:00:00 GMT"]),
]


@pytest.mark.parametrize("column", TIMES, ids=lambda column: str(column.type))
def test_times_of_every_type_are_seconds(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["T"], "created_utc": column}), path)
    assert documents(read(path))[0].created_utc == MAY_2016


UNREADABLE = [
    ("created_utc", "1" + "0" * 30),
    ("created_utc", "1" * 6000),
    ("created_utc", "1e400"),
    ("created_utc", '"in spring"'),
    ("created_utc", '{"$date": 1}'),
    ("created_utc", "true"),
    ("score", "1" + "0" * 30),
    ("score", '"many"'),
    ("score", "[1, 2]"),
    ("id", '{"a": 1}'),
    ("id", '"\\ud83d"'),
    ("url", "[]"),
    ("title", json.dumps("x" * 100_000)),
    ("title", '["a"]'),
]


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_a_value_that_cannot_be_read_costs_itself_and_is_counted(
    tmp_path: Path, name: str, value: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "T", "{name}": {value}}}\n{{"text": "T", "{name}": null}}')
    own = reader()
    found = documents(read(path, own))
    assert found[0] == found[1]
    assert own.unreadable == {name: 1}


def test_values_that_are_not_there_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "T", "id": NaN, "score": NaN, "created_utc": null, "title": ""}')
    own = reader()
    (found,) = documents(read(path, own))
    assert (found.score, found.created_utc, len(found.id)) == (0, 0, 16)
    assert not own.unreadable


def test_a_parquet_value_that_python_cannot_hold_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    broken = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"a", b"\xff", b"c"], pa.binary()).buffers()
    )
    far = pa.array([0, 2**62, 5_000_000], pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["T", "T", "T"], "title": broken, "date": far}), path)
    own = reader()
    found = documents(read(path, own))
    assert [(each.title, each.created_utc) for each in found] == [("a", 0), ("", 0), ("c", 5)]
    assert own.unreadable == {"title": 1, "date": 1}


def test_a_text_that_is_none_costs_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([b"T", b"\xff", None], pa.binary())
    pq.write_table(pa.table({"text": column, "id": [1, 2, 3]}), path)
    found = read(path)
    assert isinstance(found[0], Document)
    assert isinstance(found[1], Lost)
    assert found[1].problem.startswith("row 2 (UnicodeDecodeError")
    assert getattr(found[2], "reason", "") == "empty"


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_file_without_a_text_is_an_error_that_names_what_is_there(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    own = [{"story": "T", "number": n} for n in range(1000)]
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(own), path)
    else:
        path.write_bytes(FORMS["a line"](own) + b"{not read any more")
    with pytest.raises(UserError, match=r"a\..*text, content.*story.*number.*extract\.columns"):
        read(path)
    assert len(documents(read(path, text="story")[:1000])) == 1000


def test_hidden_files_and_others_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.jsonl", "_manifest.json", ".b.jsonl.swp", "_metadata", "README.md"):
        (tmp_path / name).write_text('{"text": "T"}')
    files, others = find_files(tmp_path)
    assert [path.name for path in files] == ["a.jsonl"]
    assert len(others) == 4
