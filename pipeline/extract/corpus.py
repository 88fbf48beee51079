"""A ready corpus instead of a crawl: JSON, Parquet or WARC files to shards of documents.

Each file is one unit of work, remembered until it changes. The same rules
reject as after a crawl. A damaged line or record is counted and costs no other; an archive that
breaks off is an error, as with submission dumps, but not a WARC file, whose records each say where
they end. A corpus of which next to nothing becomes a document is an error, at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.extract.columns import Columns, columns_of
from pipeline.extract.corpus_files import find_files, is_json, is_parquet
from pipeline.extract.corpus_records import DAMAGED, Lost, RecordReader
from pipeline.extract.distinct_ids import make_ids_distinct
from pipeline.extract.judge import Caps
from pipeline.extract.lone_parser import Judge, lone_parser
from pipeline.extract.parts import KEPT, Part, publish_parts, show_counts, sum_counts
from pipeline.extract.warc_pages import NoPage, WebPage, read_pages
from pipeline.extract.warc_records import Damage
from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Document, Removed, document_id
from pipeline.shared.running.progress import BYTES
from pipeline.shared.running.shard_memory import Memory, Remembered
from pipeline.shared.running.stage import Stage
from pipeline.shared.running.storage import parse_place
from pipeline.shared.web.canonical import BadUrlError, canonical_url

_NAME_IT = "name the column of the text (extract.columns.text)"
_MOST_SHOWN = 5
_ENOUGH_RECORDS = 10_000  # to tell that a corpus is not what was meant before the rest is read


class _Task(NamedTuple):
    """What the reading of every file is told."""

    location: Path
    memory: Memory
    caps: Caps
    columns: Columns
    max_record_bytes: int


def read_corpus(stage: Stage, caps: Caps) -> dict[str, Any]:
    """Make documents/ and rejected/ of the files in `extract.location`; returns counts.

    Raises:
        UserError: there is no such folder, no file of a known kind in it, or too few documents.
        CorruptDataError: a file breaks off or is not what its name says.
    """
    started_s = time.monotonic()
    location = _location(stage)
    files, others = find_files(location)
    if others:
        stage.log.warning("%d files that are no corpus passed over, such as %s",
                          len(others), others[0])  # fmt: skip
    asked = stage.params.extract
    columns = columns_of(asked.columns)
    task = _Task(location, stage.memory, caps, columns, asked.max_record_bytes)
    parts = _read_files(stage, task, files)
    damaged = [f"{place}: {where}" for place, part in zip(files, parts, strict=True)
               for where in part.note["damaged"]]  # fmt: skip
    for line in damaged:
        stage.log.warning("%s left out", line)
    unreadable = sum_counts(parts, "unreadable")
    for name, count in unreadable.items():
        stage.log.warning("column %s: %s values could not be read", name, f"{count:,}")
    stage.memory.keep([_identity(task, path) for path in files])
    totals = publish_parts(stage.staging, parts)
    repeated = make_ids_distinct(stage)
    return {
        "corpus": {
            "files": len(files),
            "passed_over": len(others),
            **totals,
            "by_reason": sum_counts(parts, "reasons"),
            "no_page": sum_counts(parts, "no_page"),
            "unreadable_values": unreadable,
            "ids_made_distinct": repeated,
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


def _read_files(stage: Stage, task: _Task, files: list[Path]) -> list[Remembered]:
    parts: list[Remembered] = []
    reasons: Counter[str] = Counter()
    limit = stage.params.extract.max_dropped_fraction
    read = partial(_read_file, task)
    for part in stage.map_shards("read", read, files, unit=BYTES, weigh=_size):
        parts.append(part)
        reasons.update(part.note["reasons"])
        if len(parts) == len(files) or reasons.total() >= _ENOUGH_RECORDS:
            _require_documents(task, parts, reasons, limit)
    return parts


def _size(file: Path) -> int:
    return file.stat().st_size


def _require_documents(
    task: _Task, parts: Sequence[Remembered], reasons: Counter[str], limit: float
) -> None:
    """Refuse a corpus of which nothing, or too little, was read.

    Args:
        task: names the corpus.
        parts: what was read of it, looked at for the message alone.
        reasons: their sum, so that each file costs the same however many came before it.
        limit: `max_dropped_fraction`.

    Raises:
        UserError: it is one, and says what was found.
    """
    total, kept = reasons.total(), reasons[KEPT]
    if kept and total - kept <= limit * total:
        return
    dropped = {reason: n for reason, n in sum_counts(parts, "reasons").items() if reason != KEPT}
    found, no_page = show_counts(dropped), show_counts(sum_counts(parts, "no_page"))
    first = next((where for part in parts for where in part.note["damaged"]), "")
    raise UserError(
        f"{task.location}: {kept:,} of {total:,} records became documents"
        + f" ({'; '.join(filter(None, [found, no_page and f'no pages: {no_page}'])) or 'empty'})"
        + (f", the first at {first}" if first else "")
        + f"; in params.yaml, {_NAME_IT}, change the rules (extract.rules_off, "
        f"extract.min_document_words), or raise extract.max_dropped_fraction = {limit}"
    )


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
    reader = RecordReader(task.columns, task.caps, task.max_record_bytes)
    for found in _read_any(path, task, reader, lone_parser(task.caps).judge):
        match found:
            case Lost():
                part.reasons[found.reason] += 1
                damaged.append(found.problem)
                del damaged[_MOST_SHOWN:]
            case NoPage():
                no_page[found.what] += 1
            case _:
                part.add(found)
    return {
        **part.finish(),
        "no_page": dict(no_page),
        "unreadable": dict(reader.unreadable),
        "damaged": damaged,
    }


def _read_any(
    path: Path, task: _Task, reader: RecordReader, judge: Judge
) -> Iterator[Document | Lost | NoPage]:
    if is_parquet(path):
        return reader.read_parquet(path)
    if is_json(path):
        return reader.read_json(path)
    return _read_warc(path, task.caps, judge)


def _read_warc(path: Path, caps: Caps, judge: Judge) -> Iterator[Document | Lost | NoPage]:
    for found in read_pages(path, caps.max_body_bytes):
        match found:
            case WebPage():
                yield _from_page(found, judge)
            case Damage():
                yield Lost(DAMAGED, f"record at {found.place} ({found.problem})")
            case NoPage():
                yield found


def _from_page(found: WebPage, judge: Judge) -> Document:
    page, reason = judge(found.body, found.content_type, found.content_encoding)
    try:
        canonical = canonical_url(found.url)
    except BadUrlError:
        canonical = found.url
    fields: dict[str, Any] = {
        "id": document_id(canonical),
        "url": canonical,
        "original_url": found.url,
        "title": page.title,
        "text": page.text,
    }
    return Removed(reason=reason, **fields) if reason else Document(**fields)
