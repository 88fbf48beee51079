"""The stage: dumps into a list, one link a page; the list into shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.links.choose import KEPT, collect_links, make_rules
from pipeline.links.link_list import LinkList
from pipeline.shared.errors import UserError
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import write_row_manifest, write_row_shard
from pipeline.shared.params.web import LinksParams
from pipeline.shared.running.stage import Stage
from pipeline.shared.running.storage import parse_place

_LEAST_LINKS, _MOST_LINKS = 256, 16_384  # of a shard
_PART = 64  # a shard holds this part of the links before it, within these bounds
_PARAMETERS = {
    "low_score": "min_score", "after_cut_off": "cut_off", "blocked_subreddit": "blocked_subreddits",
}  # fmt: skip
"""By the rule that goes by it."""
_NONE = "empty: links.source is none in this profile, whose documents are a ready corpus"


class Range(NamedTuple):
    """Links of positions first..last, which make shard `number`."""

    number: int
    first: int
    last: int


def run(stage: Stage) -> dict[str, Any]:
    """Make kept/; returns the counts for metrics.json.

    Raises:
        UserError: there is no place to look for links, or no link there.
    """
    params = stage.params.links
    if params.source == "none":
        write_row_manifest(stage.staging / "kept", [], statement=_NONE)
        return {"source": params.source}
    found = LinkList(stage.work / "links.sqlite")
    try:
        places = [stage.inputs["dumps"]] if params.source == "sample_web" else _locations(params)
        with stage.progress("links", total=None, unit="links") as progress:
            counts = collect_links(places, make_rules(params), found, progress, stage.log)
        order = sorted(
            counts.items(), key=lambda item: (item[0] != "submissions", -item[1], item[0])
        )
        _require_links(params, dict(order))
        _write(found, stage.staging / "kept")
    finally:
        found.close()
    return {"source": params.source, "links": dict(order)}


def _locations(params: LinksParams) -> list[Path]:
    if not params.location:
        raise UserError(
            f"params.yaml: links.location = {params.location} with source = {params.source}; "
            "name the folder"
        )
    one_or_more = params.location
    return list(map(parse_place, [one_or_more] if isinstance(one_or_more, str) else one_or_more))


def _require_links(params: LinksParams, counts: dict[str, int]) -> None:
    """Refuse to go on without a link: the next stages would make nothing of nothing."""
    if counts.get(KEPT):
        return
    num_submissions = counts.pop("submissions", 0)
    by_rule = ", ".join(f"{count:,} {rule}" for rule, count in counts.items())
    asked = [
        f"links.{name} = {getattr(params, name)}"
        for rule, name in _PARAMETERS.items()
        if rule in counts
    ]
    raise UserError(
        f"none of {num_submissions:,} submissions gives a link ({by_rule or 'there are none'}); "
        f"in params.yaml, change {', '.join([*asked, 'the dumps (links.location)'])}"
    )


def _write(found: LinkList, folder: Path) -> None:
    shards = [
        write_row_shard(folder / f"{part.number:05d}.parquet", found.read(*part[1:]), Link)
        for part in cut_ranges(found.num_links())
    ]
    write_row_manifest(folder, shards)


def cut_ranges(num_links: int) -> Iterator[Range]:
    """Ranges that cover positions 1..num_links.

    Where a range begins and how long it is depends on the links before it alone. So a month more
    leaves all shards but the last as they were, and what is known of them holds.

    >>> list(cut_ranges(600))[1:]
    [Range(number=1, first=257, last=512), Range(number=2, first=513, last=600)]
    >>> [part.last for part in cut_ranges(700)][:2], len(list(cut_ranges(45_000_000)))
    ([256, 512], 3015)
    """
    number, first = 0, 1
    while first <= num_links:
        size = min(max(first // _PART, _LEAST_LINKS), _MOST_LINKS)
        yield Range(number, first, min(first + size - 1, num_links))
        number, first = number + 1, first + size
