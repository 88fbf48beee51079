"""What a study uses of the archive: a table of its links' fates, and WARC files by hard links."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.crawl.archive import PENDING, Archive, Row
from pipeline.crawl.warc import file_name
from pipeline.shared.files import link_or_copy, remove_path, write_json
from pipeline.shared.formats.fates import FETCHED, Fate
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import (
    RowShard,
    list_row_shards,
    read_row_shard,
    write_row_manifest,
    write_row_shard,
)
from pipeline.shared.running.listing import MANIFEST
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
    warc: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Count the page of one link."""
        self.states[row.state] += 1
        self.attempts += row.attempts
        self.had += row.asked_utc < self.began_utc
        if row.place is not None:
            self.record_bytes += row.place.length
            self.warc.add(file_name(row.place.warc))

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
    """Make pages/ and warc/ of all that the study's links lead to."""
    published = Published(began_utc)
    shards = [
        _write_shard(archive, shard, stage.staging / "pages", published)
        for shard in list_row_shards(stage.inputs["links"])
    ]
    write_row_manifest(stage.staging / "pages", shards)
    archive.seal()  # before anybody else holds them
    folder = stage.staging / "warc"
    remove_path(folder)
    folder.mkdir()
    for name in sorted(published.warc):
        link_or_copy(archive.warc / name, folder / name)
    return published


def publish_nothing(staging: Path) -> None:
    """Make pages/ and warc/ without a page."""
    write_row_manifest(staging / "pages", [], statement=_NOTHING)
    write_json(staging / "warc" / MANIFEST, {"statement": _NOTHING, "files": []})


def _write_shard(archive: Archive, shard: RowShard, folder: Path, published: Published) -> RowShard:
    links = read_row_shard(shard, Link)
    fates = []
    for link, row in zip(links, archive.rows(links), strict=True):
        assert row.state != PENDING, "published before the crawl was over"
        published.add(row)
        fates.append(_fate(link, row))
    return write_row_shard(folder / shard.path.name, fates, Fate)


def _fate(link: Link, row: Row) -> Fate:
    if row.place is None:
        return Fate(*link, row.state, row.asked_utc, "", 0, 0)
    return Fate(*link, row.state, row.asked_utc, file_name(row.place.warc), *row.place[1:])


def count_states(states: Counter[str]) -> dict[str, int]:
    """Counts by state, the fetched ones first, then by number."""
    failures = sorted(
        ((name, number) for name, number in states.items() if name != FETCHED),
        key=lambda item: (-item[1], item[0]),
    )
    return {FETCHED: states[FETCHED], **dict(failures)}
