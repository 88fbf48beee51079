"""A ready corpus instead of a crawl: JSONL, Parquet or WARC files to shards of documents.

Each file is one unit of work, so that a kill costs at most the files at hand. The same rules
reject as after a crawl. A damaged line or record is counted and costs no other; an archive that
breaks off is an error, as with submission dumps, but not a WARC file, whose records each say where
they end.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.crawl.canonical import BadUrlError, canonical_url
from pipeline.crawl.judge import Caps, caps_of
from pipeline.crawl.lone_parser import Judge, judging
from pipeline.crawl.rules import Page, reject
from pipeline.crawl.shards import KEPT
from pipeline.crawl.submissions import read_lines
from pipeline.crawl.warc_pages import NoPage, WebPage, read_pages
from pipeline.crawl.warc_records import Damage, is_web_archive
from pipeline.documents import Document, Removed, document_id, write_manifest, write_shard
from pipeline.errors import CorruptDataError, UserError
from pipeline.executor import map_shards
from pipeline.files import once, read_json, write_json
from pipeline.stage import Stage

_JSONL = (".jsonl", ".ndjson", ".jsonl.zst", ".jsonl.gz", ".jsonl.xz", ".jsonl.bz2")
_PARQUET = (".parquet",)
_WARC = (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz")  # others by how they begin
_SHARD_CHARACTERS = 64 * 2**20
_ROWS_AT_ONCE = 1024
_MOST_DAMAGED_SHOWN = 5
DAMAGED = "damaged_record"


class _Folders(NamedTuple):
    documents: Path
    rejected: Path
    done: Path


class _Damaged(NamedTuple):
    """A record that could not be read, and where."""

    where: str


def read_corpus(stage: Stage, location: Path) -> dict[str, Any]:
    """Make documents/ and rejected/ of the files in `location`, warc/ empty; returns counts.

    Raises:
        UserError: there is no such folder, or no file of a known kind in it.
        CorruptDataError: a file breaks off or is not what its name says.
    """
    started_s = time.monotonic()
    params = stage.params.crawl
    files, others = _find_files(location)
    if others:
        stage.log.warning("%d files that are no corpus passed over, such as %s",
                          len(others), others[0])  # fmt: skip
    _forget_other_files(stage, files)
    folders = _Folders(*(stage.staging / "documents", stage.staging / "rejected"),
                       stage.work / "read")  # fmt: skip
    for folder in (*folders, stage.staging / "warc"):
        folder.mkdir(exist_ok=True)
    caps = caps_of(params)
    with stage.progress("read", total=len(files), unit="files") as progress:
        results = list(
            map_shards(
                partial(_read_file, folders, caps),
                list(enumerate(files)),
                compute=stage.params.compute,
                progress=progress,
            )
        )
    damaged = [line for result in results for line in result["damaged"]]
    for line in damaged:
        stage.log.warning("%s left out", line)
    totals = write_manifest(folders.documents, [s for r in results for s in r["documents"]])
    write_manifest(folders.rejected, [s for r in results for s in r["rejected"]])
    return {
        "corpus": {
            "files": len(files),
            "passed_over": len(others),
            **totals,
            "by_reason": _sum_counts(results, "reasons"),
            "no_page": _sum_counts(results, "no_page"),
            "damaged": damaged,
            "seconds": round(time.monotonic() - started_s, 3),
        }
    }


def _sum_counts(results: list[dict[str, Any]], key: str) -> dict[str, int]:
    """Counts of all files by word, the largest first."""
    total: Counter[str] = sum((Counter(result[key]) for result in results), Counter())
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _find_files(location: Path) -> tuple[list[Path], list[Path]]:
    """The corpus's files in order, and the others."""
    if not location.is_dir():
        raise UserError(
            f"params.yaml: crawl.location = {location}: no such folder; put the corpus there "
            f"({', '.join((*_JSONL[:3], *_PARQUET, _WARC[1]))}) or name its folder"
        )
    known = (*_JSONL, *_PARQUET, *_WARC)
    files: list[Path] = []
    others: list[Path] = []
    for path in sorted(path for path in location.rglob("*") if path.is_file()):
        is_known = path.name.endswith(known) or is_web_archive(path)
        (files if is_known else others).append(path)
    if not files:
        raise UserError(
            f"params.yaml: crawl.location = {location}: holds none of {', '.join(known)}; "
            "put the corpus there or name its folder"
        )
    return files, others


def _forget_other_files(stage: Stage, files: list[Path]) -> None:
    """Start afresh if the corpus is not the one that an unfinished attempt read."""
    listing = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    known = stage.work / "corpus.json"
    if known.is_file() and read_json(known) != listing:
        stage.log.warning("the corpus has changed since the last attempt: starting afresh")
        for path in [*(stage.work / "read").glob("*"), *stage.staging.glob("*/*")]:
            path.unlink()
    write_json(known, listing)


def _read_file(folders: _Folders, caps: Caps, file: tuple[int, Path]) -> dict[str, Any]:
    number, path = file
    done = folders.done / f"{number:05d}.json"
    with judging(done.with_suffix(".begun"), caps) as judge:
        found = _read_any(path, caps, judge)  # nothing is read before it is asked for
        return once(done, lambda: _write_shards(folders, number, path, found))


def _write_shards(
    folders: _Folders, number: int, path: Path, found: Iterator[Document | _Damaged | NoPage]
) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    no_page: Counter[str] = Counter()
    damaged: list[str] = []
    documents = _Shards(folders.documents, number, Document)
    rejected = _Shards(folders.rejected, number, Removed)
    for document in found:
        if isinstance(document, _Damaged):
            reasons[DAMAGED] += 1
            if len(damaged) < _MOST_DAMAGED_SHOWN:
                damaged.append(f"{path}: {document.where}")
        elif isinstance(document, NoPage):
            no_page[document.what] += 1
        elif isinstance(document, Removed):
            reasons[document.reason] += 1
            rejected.add(document)
        else:
            reasons[KEPT] += 1
            documents.add(document)
    return {
        "documents": documents.finish(),
        "rejected": rejected.finish(),
        "reasons": dict(reasons),
        "no_page": dict(no_page),
        "damaged": damaged,
    }


class _Shards:
    """Writes the documents of one input file as one shard or several."""

    def __init__(self, folder: Path, number: int, kind: type[Document]) -> None:
        self._folder, self._number, self._kind = folder, number, kind
        self._rows: list[Document] = []
        self._characters = 0
        self._entries: list[dict[str, Any]] = []

    def add(self, document: Document) -> None:
        self._rows.append(document)
        self._characters += len(document.text)
        if self._characters >= _SHARD_CHARACTERS:
            self._write()

    def finish(self) -> list[dict[str, Any]]:
        if self._rows or not self._entries:
            self._write()
        return self._entries

    def _write(self) -> None:
        name = f"{self._number:05d}-{len(self._entries):03d}.parquet"
        self._entries.append(write_shard(self._folder / name, self._rows, kind=self._kind))
        self._rows, self._characters = [], 0


def _read_any(path: Path, caps: Caps, judge: Judge) -> Iterator[Document | _Damaged | NoPage]:
    if path.name.endswith(_PARQUET):
        return _read_parquet(path, caps)
    if path.name.endswith(_JSONL):
        return _read_jsonl(path, caps)
    return _read_warc(path, caps, judge)


def _read_jsonl(path: Path, caps: Caps) -> Iterator[Document | _Damaged]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            yield _judged(json.loads(line), caps)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            yield _Damaged(f"line {number} ({type(error).__name__}: {error})")


def _read_parquet(path: Path, caps: Caps) -> Iterator[Document | _Damaged]:
    try:
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name in _COLUMNS]
            if "text" not in columns:
                raise CorruptDataError(f"{path}: has no column `text`; name the column so")
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    try:
                        yield _judged(record, caps)
                    except (ValueError, KeyError, TypeError, OverflowError) as error:
                        yield _Damaged(f"row {number} ({type(error).__name__}: {error})")
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(
            f"{path}: truncated or no Parquet file ({error}); fetch it again"
        ) from None


_STRINGS = ("id", "url", "original_url", "title", "subreddit")
_COLUMNS = frozenset({"text", "score", "created_utc", *_STRINGS})


def _judged(record: dict[str, Any], caps: Caps) -> Document:
    text = record["text"]
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not a string")
    strings = {name: str(record.get(name) or "") for name in _STRINGS}
    for string in (text, *strings.values()):
        string.encode()  # half a character is no text
    url = strings["url"]
    strings["id"] = strings["id"] or (document_id(url) if url else _id_of_text(text))
    reason = reject(Page("", text), min_words=caps.min_words, rules_off=caps.rules_off)
    numbers = {name: int(record.get(name) or 0) for name in ("score", "created_utc")}
    return _document(reason, text=text, **strings, **numbers)


def _document(reason: str, **fields: Any) -> Document:
    return Removed(reason=reason, **fields) if reason else Document(**fields)


def _id_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_warc(path: Path, caps: Caps, judge: Judge) -> Iterator[Document | _Damaged | NoPage]:
    for found in read_pages(path, caps.max_body_bytes):
        match found:
            case WebPage():
                yield _from_page(found, judge)
            case Damage():
                yield _Damaged(f"record at {found.place} ({found.problem})")
            case NoPage():
                yield found


def _from_page(found: WebPage, judge: Judge) -> Document:
    page, reason = judge(found.body, found.content_type, found.content_encoding)
    try:
        canonical = canonical_url(found.url)
    except BadUrlError:
        canonical = found.url
    return _document(
        reason,
        id=document_id(canonical),
        url=canonical,
        original_url=found.url,
        title=page.title,
        text=page.text,
    )
