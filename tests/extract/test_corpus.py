"""A ready corpus takes the place of the crawl, damaged parts counted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from stage_runs import StageRuns

from pipeline.extract import corpus
from pipeline.extract.parts import KEPT
from pipeline.shared.formats.documents import Document, Removed, document_id, read_documents
from pipeline.shared.running.shard_memory import Remembered

TEXT = "A document of the corpus says this, and it says it at some length, too. " * 8


def record(number: int, **changes: Any) -> dict[str, Any]:
    url = f"http://example.com/{number}"
    return {"id": f"doc/{number}", "url": url, "text": f"{number} {TEXT}"} | changes


def lines(records: Iterable[dict[str, Any] | str]) -> bytes:
    return b"".join((r if isinstance(r, str) else json.dumps(r)).encode() + b"\n" for r in records)


@pytest.fixture
def runs(project: Path, tmp_path: Path) -> StageRuns:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    runs = StageRuns("extract", project, tmp_path / "run", {"pages": nothing})
    (tmp_path / "corpus").mkdir()
    set_location(runs, tmp_path / "corpus")
    return runs


def set_location(runs: StageRuns, location: Path, workers: int = 1) -> None:
    runs.set_params(
        links={"source": "none"},
        extract={"source": "corpus", "location": str(location), "extractor": "consensus"},
        compute={"workers": workers},
    )


def metrics(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text())["corpus"]
    return found


def test_documents_in_every_form_are_read_in_the_order_of_their_files(
    runs: StageRuns, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "a.jsonl").write_bytes(lines([record(1), record(2)]))
    (corpus / "b.jsonl.gz").write_bytes(gzip.compress(lines([record(3)]), mtime=0))
    (corpus / "c.jsonl.zst").write_bytes(zstandard.compress(lines([record(4)])))
    pq.write_table(pa.Table.from_pylist([record(5), record(6)]), corpus / "d.parquet")
    (corpus / "README.md").write_text("no document")
    out = runs.run()
    documents = list(read_documents(out / "documents"))
    assert [d.id for d in documents] == [f"doc/{n}" for n in range(1, 7)]
    assert documents[4] == Document(id="doc/5", url="http://example.com/5", text=f"5 {TEXT}")
    assert metrics(out)["by_reason"] == {"document": 6}
    assert metrics(out)["passed_over"] == 1


def test_bad_lines_and_short_texts_are_counted_and_cost_no_other(
    runs: StageRuns, tmp_path: Path
) -> None:
    bad = ["{", '{"url": "http://a.com/"}', '{"text": 7}', "[]", '{"text": "\\ud83d"}']
    nameless = [record(2, id=None), {"text": "This text comes without any name. " * 20}]
    (tmp_path / "corpus" / "a.jsonl").write_bytes(
        lines([record(1), *bad, record(9, text="too short"), *nameless])
    )
    out = runs.run()
    assert metrics(out)["by_reason"] == {"damaged_record": 5, "document": 3, "too_short": 1}
    documents = list(read_documents(out / "documents"))
    assert documents[1].id == document_id("http://example.com/2")
    assert len(documents[2].id) == 16
    (removed,) = read_documents(out / "rejected", kind=Removed)
    assert isinstance(removed, Removed)
    assert (removed.reason, removed.text) == ("too_short", "too short")


def test_ids_that_stand_more_than_once_are_told_and_made_distinct(
    runs: StageRuns, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        own = [record(n, id=n, text=f"{name} {n} {TEXT}") for n in range(3)]
        (tmp_path / "corpus" / f"{name}.jsonl").write_bytes(lines(own))
    (tmp_path / "corpus" / "c.jsonl").write_bytes(lines([record(9, id="0#2"), record(0, id=0)]))
    (tmp_path / "corpus" / "d.jsonl").write_bytes(lines([record(8)]))
    out = runs.run()
    found = list(read_documents(out / "documents"))  # which compares the manifest's hashes
    ids = [document.id for document in found]
    assert ids == ["0", "1", "2", "0#3", "1#2", "2#2", "0#2", "0#4", "doc/8"]
    assert [document.text[:3] for document in found[:6]] == [
        f"{name} {n}" for name in ("a", "b") for n in range(3)
    ]
    assert metrics(out)["ids_made_distinct"] == 4
    assert "3 ids stand more than once, such as '0'" in (runs.folder / "out.log").read_text()
    assert [d.id for d in read_documents(runs.run("again") / "documents")] == ids


def test_a_corpus_of_which_nothing_is_read_is_one_error_at_once(
    runs: StageRuns, tmp_path: Path
) -> None:
    path = tmp_path / "corpus" / "a.jsonl"
    path.write_bytes(lines({"number": n, "story": TEXT} for n in range(20)))
    failed = runs.fail()
    assert "0 of 20 records became documents (20 damaged_record)" in failed.stderr
    assert "line 1 (no text under text, content" in failed.stderr
    assert "'number', 'story'" in failed.stderr and "extract.columns.text" in failed.stderr
    assert "Traceback" not in failed.stderr
    columns = {"text": "story", "id": "number", "url": None, "date": None}
    runs.set_params(
        links={"source": "none"},
        extract={"source": "corpus", "location": str(path.parent), "columns": columns},
    )
    ids = [d.id for d in read_documents(runs.run() / "documents")]
    assert ids == [str(n) for n in range(20)]


@pytest.mark.parametrize(("limit", "passes"), [(0.6, True), (0.59, False)])
def test_a_corpus_of_which_more_is_dropped_than_may_be_is_an_error(
    runs: StageRuns, tmp_path: Path, limit: float, passes: bool
) -> None:
    own = [record(1), record(2), record(3, text="short"), {"title": "no text"}, "{"]
    (tmp_path / "corpus" / "a.jsonl").write_bytes(lines(own))
    runs.set_params(
        links={"source": "none"},
        extract={"source": "corpus", "location": str(tmp_path / "corpus"),
                 "max_dropped_fraction": limit},
    )  # fmt: skip
    if passes:
        assert metrics(runs.run())["documents"] == 2
    else:
        found = runs.fail().stderr
        assert "2 of 5 records became documents (2 damaged_record, 1 too_short)" in found
        assert "extract.max_dropped_fraction = 0.59" in found


class CountedNote(dict[str, Any]):
    """What became of a file, and how often that was asked for."""

    asked = 0

    def __getitem__(self, key: str) -> Any:
        self.asked += 1
        return super().__getitem__(key)


def test_no_file_is_counted_again_for_each_one_that_follows(tmp_path: Path) -> None:
    notes = [CountedNote(reasons={KEPT: 100}, no_page={}, damaged=[]) for _ in range(300)]
    parts = [Remembered(tmp_path, note) for note in notes]
    extract = SimpleNamespace(max_dropped_fraction=0.8)
    stage = SimpleNamespace(
        params=SimpleNamespace(extract=extract), map_shards=lambda *_, **__: iter(parts)
    )
    assert corpus._read_files(cast(Any, stage), cast(Any, None), [tmp_path] * len(parts)) == parts
    assert {note.asked for note in notes} == {1}


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.jsonl.gz", "a.parquet"])
def test_a_truncated_file_is_one_clear_error(runs: StageRuns, tmp_path: Path, name: str) -> None:
    path = tmp_path / "corpus" / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist([record(1)]), path)
    else:
        compress = gzip.compress if name.endswith("gz") else zstandard.compress
        path.write_bytes(compress(lines(record(n) for n in range(100))))
    path.write_bytes(path.read_bytes()[:-12])
    failed = runs.fail()
    assert f"{path}: truncated" in failed.stderr
    assert "fetch it again" in failed.stderr and "Traceback" not in failed.stderr


def test_a_missing_or_empty_corpus_is_one_clear_error(runs: StageRuns, tmp_path: Path) -> None:
    assert "holds none of .jsonl" in runs.fail().stderr
    set_location(runs, tmp_path / "elsewhere")
    assert "no such folder; put the corpus there" in runs.fail().stderr


def test_a_killed_reading_goes_on_and_reads_again_the_file_that_changed(
    runs: StageRuns, tmp_path: Path
) -> None:
    for number in range(8):
        path = tmp_path / "corpus" / f"{number}.jsonl"
        path.write_bytes(lines(record(1000 * number + n) for n in range(400)))
    runs.kill_when(lambda work: len(runs.remembered()) >= 3)
    (tmp_path / "corpus" / "0.jsonl").write_bytes(lines([record(7)]))
    before = set(runs.remembered())
    out = runs.run()
    after = set(runs.remembered())
    assert len(before - after) == 1 and len(after) == 8
    documents = [d.id for d in read_documents(out / "documents")]
    assert documents[0] == "doc/7"
    assert documents[1:] == [f"doc/{1000 * k + n}" for k in range(1, 8) for n in range(400)]


@pytest.mark.long
@pytest.mark.shared_data
def test_real_warc_files_give_their_pages_and_damaged_ones_what_is_whole(
    runs: StageRuns, shared_data: Path
) -> None:
    set_location(runs, shared_data / "crawl_sample" / "warc")
    out = runs.run()
    found = metrics(out)
    documents = list(read_documents(out / "documents"))
    urls = {d.url for d in documents}
    assert any("iana.org" in url for url in urls)
    assert found["files"] == 44 and found["passed_over"] == 0
    assert found["by_reason"]["document"] == len(documents) == 28
    assert found["by_reason"]["damaged_record"] == len(found["damaged"]) == 9
    truncated = "example-trunc.warc: record at byte 1197 (its length is wrong"
    assert any(truncated in line for line in found["damaged"])
    assert found["no_page"]["request"] == 249


@pytest.mark.shared_data
def test_webtext_mini_is_read(runs: StageRuns, shared_data: Path, tmp_path: Path) -> None:
    shard = shared_data / "webtext_mini" / "webtext_mini-00000-of-00004.jsonl.zst"
    with shard.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        head = reader.read(6_000_000)
    (tmp_path / "corpus" / "a.jsonl").write_bytes(head[: head.rindex(b"\n") + 1])
    counts = metrics(runs.run())
    assert counts["by_reason"]["document"] == 2093
