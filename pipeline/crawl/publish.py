"""What a study knows of the archive: a table of its links' fates, with the place of each page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.crawl.archive import PENDING, Archive, Row
from pipeline.crawl.warc import file_name
from pipeline.shared.formats.fates import FETCHED, Fate
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import (
    RowShard,
    list_row_shards,
    read_row_shard,
    write_row_manifest,
    write_row_shard,
)
from pipeline.shared.running.origin import archive_folder
from pipeline.shared.running.stage import Stage

_NOTHING = "empty: links.source is none in this profile, whose documents are a ready corpus"


@dataclass
class Published:
    """What was found in the archive, counted on the way."""

    began_utc: float
    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    had: int = 0
    record_bytes: int = 0

    def add(self, row: Row) -> None:
        """Count the page of one link."""
        self.states[row.state] += 1
        self.attempts += row.attempts
        self.had += row.asked_utc < self.began_utc
        if row.place is not None:
            self.record_bytes += row.place.length

    def counts(self) -> dict[str, Any]:
        """For metrics.json: pages, those that an earlier crawl had, requests, states, WARC."""
        return {
            "pages": self.states.total(),
            "had_before": self.had,
            "attempts": self.attempts,
            "by_state": count_states(self.states),
            "warc_bytes": self.record_bytes,
        }


def publish(archive: Archive, stage: Stage, began_utc: float) -> Published:
    """Make pages/ of all that the study's links lead to, and seal the files that hold it."""
    published = Published(began_utc)
    root = archive_folder(stage.params.crawl.archive, stage.profile)
    archive_files = archive.warc.relative_to(root)
    shards = [
        _write_shard(archive, shard, stage.staging / "pages", published, archive_files)
        for shard in list_row_shards(stage.inputs["links"])
    ]
    write_row_manifest(stage.staging / "pages", shards)
    archive.seal()  # what a study reads is never written again
    return published


def publish_nothing(staging: Path) -> None:
    """Make pages/ without a page."""
    write_row_manifest(staging / "pages", [], statement=_NOTHING)


def _write_shard(
    archive: Archive, shard: RowShard, folder: Path, published: Published, files: Path
) -> RowShard:
    links = read_row_shard(shard, Link)
    fates = []
    for link, row in zip(links, archive.rows(links), strict=True):
        assert row.state != PENDING, "published before the crawl was over"
        published.add(row)
        fates.append(_fate(link, row, files))
    return write_row_shard(folder / shard.path.name, fates, Fate)


def _fate(link: Link, row: Row, files: Path) -> Fate:
    if row.place is None:
        return Fate(*link, row.state, row.asked_utc, "", 0, 0)
    file = files / file_name(row.place.warc)
    return Fate(*link, row.state, row.asked_utc, file.as_posix(), *row.place[1:])


def count_states(states: Counter[str]) -> dict[str, int]:
    """Counts by state, the fetched ones first, then by number."""
    failures = sorted(
        ((name, number) for name, number in states.items() if name != FETCHED),
        key=lambda item: (-item[1], item[0]),
    )
    return {FETCHED: states[FETCHED], **dict(failures)}
