"""A ready corpus instead of a crawl: JSONL, Parquet or WARC files to shards of documents.

Each file is one unit of work, remembered until it changes. The same rules
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

from pipeline.extract.judge import Caps
from pipeline.extract.lone_parser import Judge, LoneParser
from pipeline.extract.parts import Part, publish_parts, sum_counts
from pipeline.extract.rules import Page, reject
from pipeline.extract.warc_pages import NoPage, WebPage, read_pages
from pipeline.extract.warc_records import Damage, is_web_archive
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.documents import Document, Removed, document_id
from pipeline.shared.running.executor import map_shards
from pipeline.shared.running.shard_memory import Memory, Remembered
from pipeline.shared.running.stage import Stage
from pipeline.shared.running.storage import parse_place
from pipeline.shared.web.canonical import BadUrlError, canonical_url
from pipeline.shared.web.text_lines import read_lines

_JSONL = (".jsonl", ".ndjson", ".jsonl.zst", ".jsonl.gz", ".jsonl.xz", ".jsonl.bz2")
_PARQUET = (".parquet",)
_WARC = (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz")  # others by how they begin
_ROWS_AT_ONCE = 1024
_MOST_DAMAGED_SHOWN = 5
DAMAGED = "damaged_record"


class _Task(NamedTuple):
    """What the reading of every file is told."""

    location: Path
    memory: Memory
    caps: Caps


class _Damaged(NamedTuple):
    """A record that could not be read, and where."""

    where: str


def read_corpus(stage: Stage, caps: Caps) -> dict[str, Any]:
    """Make documents/ and rejected/ of the files in `extract.location`; returns counts.

    Raises:
        UserError: there is no such folder, or no file of a known kind in it.
        CorruptDataError: a file breaks off or is not what its name says.
    """
    started_s = time.monotonic()
    location = _location(stage)
    files, others = _find_files(location)
    if others:
        stage.log.warning("%d files that are no corpus passed over, such as %s",
                          len(others), others[0])  # fmt: skip
    task = _Task(location, stage.memory, caps)
    with stage.progress("read", total=len(files), unit="files") as progress:
        parts = list(
            map_shards(
                partial(_read_file, task), files, compute=stage.params.compute, progress=progress
            )
        )
    damaged = [f"{place}: {where}" for place, part in zip(files, parts, strict=True)
               for where in part.note["damaged"]]  # fmt: skip
    for line in damaged:
        stage.log.warning("%s left out", line)
    totals = publish_parts(stage.staging, parts)
    stage.memory.keep([_identity(task, path) for path in files])
    return {
        "corpus": {
            "files": len(files),
            "passed_over": len(others),
            **totals,
            "by_reason": sum_counts(parts, "reasons"),
            "no_page": sum_counts(parts, "no_page"),
            "damaged": damaged,
            "seconds": round(time.monotonic() - started_s, 3),
        }
    }


def _location(stage: Stage) -> Path:
    place = stage.params.extract.location
    if not place:
        raise UserError(
            f"params.yaml: extract.location = {place} with source = corpus; name the folder"
        )
    return parse_place(place)


def _find_files(location: Path) -> tuple[list[Path], list[Path]]:
    """The corpus's files in order, and the others."""
    if not location.is_dir():
        raise UserError(
            f"params.yaml: extract.location = {location}: no such folder; put the corpus there "
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
            f"params.yaml: extract.location = {location}: holds none of {', '.join(known)}; "
            "put the corpus there or name its folder"
        )
    return files, others


def _identity(task: _Task, path: Path) -> str:
    """Names the bytes of a file without reading them: a corpus may hold terabytes."""
    stat = path.stat()
    return f"{path.relative_to(task.location)} {stat.st_size} {stat.st_mtime_ns}"


def _read_file(task: _Task, path: Path) -> Remembered:
    return task.memory.recall(_identity(task, path), partial(_write_part, task, path))


def _write_part(task: _Task, path: Path, folder: Path) -> dict[str, Any]:
    part = Part(folder)
    no_page: Counter[str] = Counter()
    damaged: list[str] = []
    with LoneParser(task.caps) as parser:
        for document in _read_any(path, task.caps, parser.judge):
            if isinstance(document, _Damaged):
                part.reasons[DAMAGED] += 1
                damaged.append(document.where)
            elif isinstance(document, NoPage):
                no_page[document.what] += 1
            else:
                part.add(document)
    return {
        **part.finish(),
        "no_page": dict(no_page),
        "damaged": damaged[:_MOST_DAMAGED_SHOWN],
    }


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
