"""Shards of documents come back as they were written, and a damaged one is named."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from stage_runs import read_bytes, write_shards

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import sha256_file
from pipeline.shared.formats.documents import (
    Document,
    Removed,
    Shard,
    document_id,
    list_shards,
    read_documents,
    read_verified_texts,
    write_documents,
)

DOCUMENTS = [
    Document(id="a", url="http://a.test/", text="Plain text.", title="A", score=5, created_utc=1),
    Document(id="b", url="http://b.test/é", text="naïve 東京 🤦🏽\n\x00 end", subreddit="test"),
    Document(id="c", url="http://c.test/", text=""),
]


def paths(folder: Path) -> list[Path]:
    return [shard.path for shard in list_shards(folder)]


def test_documents_come_back_as_they_were_written(tmp_path: Path) -> None:
    totals = write_documents(tmp_path, DOCUMENTS)
    assert list(read_documents(tmp_path)) == DOCUMENTS
    assert totals == {
        "documents": 3,
        "text_bytes": sum(len(document.text.encode()) for document in DOCUMENTS),
    }


def test_removed_documents_keep_their_reason(tmp_path: Path) -> None:
    removed = Removed(id="a", url="u", text="t", reason="near_duplicate", matched="b")
    write_documents(tmp_path, [removed], kind=Removed)
    assert list(read_documents(tmp_path, kind=Removed)) == [removed]
    assert [document.id for document in read_documents(tmp_path)] == ["a"]


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    write_documents(tmp_path / "once", DOCUMENTS)
    write_documents(tmp_path / "again", iter(DOCUMENTS))
    assert read_bytes(tmp_path / "once") == read_bytes(tmp_path / "again")


def test_documents_are_cut_into_shards_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.shared.formats.documents._SHARD_TEXT_BYTES", 20)
    write_documents(tmp_path, DOCUMENTS)
    assert [path.name for path in paths(tmp_path)] == ["00000.parquet", "00001.parquet"]
    assert [shard.documents for shard in list_shards(tmp_path)] == [2, 1]
    assert list(read_documents(tmp_path)) == DOCUMENTS


def test_no_documents_are_a_folder_too(tmp_path: Path) -> None:
    assert write_documents(tmp_path, []) == {"documents": 0, "text_bytes": 0}
    assert list(read_documents(tmp_path)) == []


def test_pandas_reads_the_shards(tmp_path: Path) -> None:
    write_shards(tmp_path, [DOCUMENTS[:2], DOCUMENTS[2:]])
    tables = [pd.read_parquet(path) for path in paths(tmp_path)]
    assert pd.concat(tables)["id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("bit", r"00001\.parquet: corrupted, SHA-256"),
        ("truncated", r"00001\.parquet: corrupted, SHA-256"),
        ("missing", r"00001\.parquet: listed in _manifest\.json but missing"),
    ],
)
def test_a_damaged_shard_is_named_with_its_remedy(
    tmp_path: Path, damage: str, message: str
) -> None:
    write_shards(tmp_path, [DOCUMENTS[:2], DOCUMENTS[2:]])
    path = paths(tmp_path)[1]
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncated":
        path.write_bytes(content[:-20])
    else:
        path.unlink()
    with pytest.raises(CorruptDataError, match=f"{message}.*dvc repro"):
        list(read_documents(tmp_path))


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, r"manifest\.json: no such file"),
        ("{", r"manifest\.json: not JSON"),
        ("{}", r"manifest\.json: lists no shards"),
        ('{"shards": [{"name": "00000.parquet"}]}', r"manifest\.json: lists no shards"),
        ("[]", r"manifest\.json: lists no shards"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, manifest: str | None, message: str) -> None:
    write_documents(tmp_path, DOCUMENTS)
    path = tmp_path / "_manifest.json"
    path.unlink() if manifest is None else path.write_text(manifest)
    with pytest.raises(CorruptDataError, match=message):
        list(read_documents(tmp_path))


def test_a_shard_of_something_else_is_named(tmp_path: Path) -> None:
    write_documents(tmp_path, DOCUMENTS)
    other = tmp_path / "other"
    write_documents(other, [])
    pd.DataFrame({"x": [1]}).to_parquet(other / "00000.parquet")
    manifest = json.loads((other / "_manifest.json").read_text())
    manifest["shards"][0]["sha256"] = sha256_file(other / "00000.parquet")
    (other / "_manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptDataError, match=r"00000\.parquet: not a shard of documents"):
        list(read_documents(other))


def test_texts_alone_come_a_few_at_a_time(tmp_path: Path) -> None:
    write_documents(tmp_path, DOCUMENTS)
    (shard,) = list_shards(tmp_path)
    batches = [(ids, texts.to_pylist()) for ids, texts in read_verified_texts(shard, at_once=2)]
    assert [len(ids) for ids, _ in batches] == [2, 1]
    found = [pair for ids, texts in batches for pair in zip(ids, texts, strict=True)]
    assert found == [(document.id, document.text) for document in DOCUMENTS]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": [1]}),
        pd.DataFrame({"id": ["a"], "text": [b"\xff"]}),
        pd.DataFrame({"id": ["a"], "text": [None]}),
    ],
)
def test_texts_that_are_none_name_their_shard(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "00000.parquet"
    frame.to_parquet(path)
    shard = Shard(path, 1, 1, sha256_file(path))
    with pytest.raises(CorruptDataError, match=r"00000\.parquet: not a shard of documents"):
        list(read_verified_texts(shard, at_once=2))


def test_a_document_is_named_by_its_url_alone() -> None:
    assert document_id("http://example.com/") == document_id("http://example.com/")
    assert document_id("http://example.com/") != document_id("http://example.com/a")
    assert len(document_id("x")) == 16
