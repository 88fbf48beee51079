"""Shards in a store, against a real S3-compatible server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
from made_documents import make_documents
from s3_server import s3_server
from stage_runs import StageRuns, read_bytes, write_shards

from pipeline.shared.errors import CorruptDataError, RetryableError, UserError
from pipeline.shared.formats.documents import list_shards, read_documents, write_documents
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.running.storage import exists, parse_place, upload

pytestmark = pytest.mark.long

PAGES = make_documents(60)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as url:
        yield url


def test_a_stage_reads_and_writes_shards_in_s3(bucket: str, project: Path, tmp_path: Path) -> None:
    local: Any = write_shards(tmp_path / "documents", [PAGES[:30], PAGES[20:]])
    store: Any = parse_place(f"{bucket}/crawl/documents")
    upload(tmp_path, store.parent)
    write_examples(tmp_path / "sets" / "ptb.parquet", [Example(id="e", text=PAGES[0].text)])
    outs = []
    for name, documents in (("local", local), ("store", store)):
        inputs = {"documents": documents, "eval_sets": tmp_path / "sets"}
        stage = StageRuns("dedup", project, tmp_path / name, inputs)
        stage.set_params(compute={"workers": 2})
        outs.append(stage)
    here = outs[0].run()
    outs[1].run(f"{bucket}/dedup")
    outs[1].run(f"{bucket}/dedup")  # again: published anew
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().get(f"{bucket}/dedup", str(tmp_path / "back"), recursive=True)
    assert read_bytes(tmp_path / "back") == read_bytes(here)
    kept = parse_place(f"{bucket}/dedup/kept")
    assert list(read_documents(kept)) == list(read_documents(here / "kept"))


def test_token_shards_of_documents_in_s3_are_those_of_local_ones(
    bucket: str, project: Path, tmp_path: Path
) -> None:
    local = write_shards(tmp_path / "upload" / "kept", [PAGES[:30], PAGES[30:]])
    store = parse_place(f"{bucket}/tokens/kept")
    upload(tmp_path / "upload", store.parent)
    outs = []
    for name, documents in (("local", local), ("store", store)):
        stage = StageRuns("tokenize", project, tmp_path / name, {"documents": documents})
        changes = {"vocab_size": 400, "test_fraction": 0.3, "valid_fraction": 0.2}
        stage.set_params(tokenize=changes, compute={"workers": 2})
        outs.append(read_bytes(stage.run()))
    assert outs[0] == outs[1]


def test_half_of_an_upload_is_never_read_as_whole(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: Any = parse_place(f"{bucket}/half")
    write_documents(tmp_path / "out" / "kept", PAGES[:5])
    upload(tmp_path / "out", place)
    write_documents(tmp_path / "out" / "kept", PAGES[:9])
    with monkeypatch.context() as patch:
        patch.setattr(place.fs, "put_file", _broken_connection)
        with pytest.raises(ConnectionResetError):
            upload(tmp_path / "out", place)
    with pytest.raises(CorruptDataError, match=r"_manifest\.json: no such file"):
        list_shards(place / "kept")
    upload(tmp_path / "out", place)
    assert len(list(read_documents(place / "kept"))) == 9


def _broken_connection(*arguments: object) -> None:
    raise ConnectionResetError


def test_a_damaged_shard_in_s3_is_named(bucket: str, tmp_path: Path) -> None:
    write_documents(tmp_path / "kept", PAGES[:5])
    upload(tmp_path, parse_place(f"{bucket}/damaged"))
    shard = parse_place(f"{bucket}/damaged/kept/00000.parquet")
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CorruptDataError, match=r"s3://corpus/damaged/kept/00000\.parquet: corrupt"):
        list(read_documents(shard.parent))


def test_a_store_that_does_not_answer_is_worth_a_retry(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(RetryableError, match="s3://corpus/x: the store gives no answer"):
        exists(parse_place("s3://corpus/x"))
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_scheme_that_nobody_speaks_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="foo://a/b: cannot be read"):
        parse_place("foo://a/b")
