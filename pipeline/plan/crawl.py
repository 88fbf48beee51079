"""The crawl by its hosts: how many requests, and how long the one with the most pages takes."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple
from urllib.parse import urlsplit

from pipeline.plan.corpus import Corpus
from pipeline.plan.finished import Finished
from pipeline.plan.stages import crawl_seconds
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import list_row_shards, read_row_shard
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.study import places

DAY_S = 86_400.0
_FETCH_S = 1.0  # of one page, beside the pause after it


class CrawlPlan(NamedTuple):
    """What a crawl asks of the web."""

    requests: int
    """One a page; robots.txt and redirects come on top."""
    hosts: int
    """0 where the links are not known yet, or are none."""
    largest_host: str
    largest_pages: int
    days: float
    """By the number of connections, or by the largest host where that is longer."""


def plan_crawl(params: ProfileParams, corpus: Corpus, finished: Finished) -> CrawlPlan | None:
    """The crawl of a study; None where there is none."""
    if params.links.source == "none":
        return None
    if "links" not in finished.unchanged:
        days = crawl_seconds(params, corpus.pages) / DAY_S
        return CrawlPlan(corpus.pages, 0, "", 0, days)
    hosts = Counter(
        urlsplit(link.url).hostname or ""
        for shard in list_row_shards(finished.folder.path(places.LINKS))
        for link in read_row_shard(shard, Link)
    )
    return by_host(params, hosts)


def by_host(params: ProfileParams, hosts: Counter[str]) -> CrawlPlan:
    """The crawl of links whose hosts are counted: no two requests to a host at once."""
    largest, pages = max(hosts.items(), key=lambda item: item[1], default=("", 0))
    total = hosts.total()
    alone_s = pages * (params.fetching.per_host_delay_s + _FETCH_S)
    if params.links.source == "sample_web":
        alone_s = 0.0  # on loopback, where a page takes a millisecond
    days = max(alone_s, crawl_seconds(params, total)) / DAY_S
    return CrawlPlan(total, len(hosts), largest, pages, days)
