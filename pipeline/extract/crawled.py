"""From the crawl's table and the archive's pages to shards of documents, each shard by itself.

A shard's documents depend on its rows alone, so any number of workers gives the same files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.extract.judge import NO_PAGE, Caps
from pipeline.extract.lone_parser import Judge, lone_parser
from pipeline.extract.parts import KEPT, Part, publish_parts, show_counts, sum_counts
from pipeline.extract.warc_response import read_response
from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Document, Removed, document_id
from pipeline.shared.formats.fates import FETCHED, Fate
from pipeline.shared.formats.row_shards import RowShard, list_row_shards, read_row_shard
from pipeline.shared.running.origin import archive_folder
from pipeline.shared.running.shard_memory import Memory, Remembered
from pipeline.shared.running.stage import Stage


class PagesTask(NamedTuple):
    """What extraction of every shard is told."""

    archive: Path
    memory: Memory
    caps: Caps


def read_crawl(stage: Stage, caps: Caps) -> dict[str, Any]:
    """Make documents/ and rejected/ of the pages that the crawl published; returns counts.

    Raises:
        UserError: no page became a document.
    """
    started_s = time.monotonic()
    shards = list_row_shards(stage.inputs["pages"])
    archive = archive_folder(stage.params.crawl.archive, stage.profile)
    task = PagesTask(archive, stage.memory, caps)
    extract, pages_of = partial(_extract, task), attrgetter("rows")
    parts = list(stage.map_shards("extract", extract, shards, unit="pages", weigh=pages_of))
    stage.memory.keep([shard.sha256 for shard in shards])
    reasons = sum_counts(parts, "reasons")
    _require_documents(stage.inputs["pages"], reasons)
    return {
        "extract": {
            **publish_parts(stage.staging, parts),
            "by_reason": reasons,
            "seconds": round(time.monotonic() - started_s, 3),
        }
    }


def _require_documents(pages: Path, reasons: dict[str, int]) -> None:
    if not reasons.get(KEPT):
        found = show_counts(reasons) or "the crawl had no link"
        raise UserError(
            f"{pages}: none of {sum(reasons.values()):,} pages became a document ({found}); in "
            "params.yaml, give other links (links.location), ask again for pages that failed "
            "(crawl.refetch_after_days), or change the rules (extract.rules_off, "
            "extract.min_document_words)"
        )


def _extract(task: PagesTask, shard: RowShard) -> Remembered:
    return task.memory.recall(shard.sha256, partial(_write_part, task, shard))


def _write_part(task: PagesTask, shard: RowShard, folder: Path) -> dict[str, Any]:
    part = Part(folder)
    for document in _documents(task.archive, shard, lone_parser(task.caps).judge):
        part.add(document)
    return part.finish()


def _documents(archive: Path, shard: RowShard, judge: Judge) -> Iterator[Document]:
    for fate in read_row_shard(shard, Fate):
        page, reason = NO_PAGE, fate.state
        if fate.state == FETCHED:
            response = read_response(archive / fate.warc, fate.offset, fate.length)
            page, reason = judge(response.body, response.content_type, response.content_encoding)
        fields: dict[str, Any] = {
            "id": document_id(fate.url),
            "url": fate.url,
            "text": page.text,
            "original_url": fate.original_url,
            "title": page.title,
            "score": fate.score,
            "created_utc": fate.created_utc,
            "subreddit": fate.subreddit,
        }
        yield Removed(**fields, reason=reason) if reason else Document(**fields)
