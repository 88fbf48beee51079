"""The stage: links into the frontier, pages into WARC, text into shards; or a ready corpus."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.crawl.corpus import read_corpus
from pipeline.crawl.crawler import count_reasons
from pipeline.crawl.crawlers import Fetched, Job, crawl_all
from pipeline.crawl.frontier import PENDING, Frontier
from pipeline.crawl.guard import Endpoint
from pipeline.crawl.judge import caps_of
from pipeline.crawl.links import collect_links, make_rules, read_known
from pipeline.crawl.shards import Places, cut_ranges, extract_all
from pipeline.errors import EXIT_TERMINATED, UserError
from pipeline.params_text import CrawlParams
from pipeline.stage import Stage
from pipeline.storage import parse_place
from pipeline.web_server import serve


class Attempt(NamedTuple):
    """What this attempt fetched, after earlier ones or alone."""

    fetched: Fetched
    seconds: float


def run(stage: Stage) -> dict[str, Any]:
    """Make documents/, rejected/ and warc/; returns the counts for metrics.json."""
    params = stage.params.crawl
    if params.source == "corpus":
        return read_corpus(stage, _only(_locations(params)))
    _check_user_agent(params)
    frontier = Frontier(stage.work / "frontier.sqlite")
    try:
        links = _collect(stage, frontier)
        attempt = _fetch(stage, frontier)
        return {
            "links": links,
            "fetch": _fetch_counts(frontier, attempt),
            "extract": _extract(stage, frontier),
        }
    finally:
        frontier.close()


def _locations(params: CrawlParams) -> list[Path]:
    if not params.location:
        raise UserError(
            f"params.yaml: crawl.location = {params.location} with source = {params.source}; "
            "name the folder"
        )
    one_or_more = params.location
    return list(map(parse_place, [one_or_more] if isinstance(one_or_more, str) else one_or_more))


def _only(places: list[Path]) -> Path:
    if len(places) > 1:
        raise UserError("params.yaml: crawl.location names several places; a corpus is one folder")
    return places[0]


def _check_user_agent(params: CrawlParams) -> None:
    """Raises UserError unless site owners can tell who crawls and how to reach them."""
    agent = params.user_agent
    if params.source == "sample_web":
        return
    if not agent.strip() or not ("@" in agent or "http" in agent) or ".test" in agent:
        raise UserError(
            f"params.yaml: crawl.user_agent = {agent!r} must name the crawler and a contact before "
            'it leaves this machine; set it, e.g. "my-crawl/1.0 (+mailto:me@example.org)"'
        )


def _collect(stage: Stage, frontier: Frontier) -> dict[str, int]:
    params = stage.params.crawl
    built_in = params.source == "sample_web"
    places = [stage.inputs["links"]] if built_in else _locations(params)
    read_known(list(map(parse_place, params.previous)), frontier)
    with stage.progress("links", total=None, unit="links") as progress:
        counts = collect_links(places, make_rules(params), frontier, progress, stage.log)
    order = sorted(counts.items(), key=lambda item: (item[0] != "submissions", -item[1], item[0]))
    return dict(order)


def _fetch(stage: Stage, frontier: Frontier) -> Attempt:
    """Fetch what is pending."""
    params, compute = stage.params.crawl, stage.params.compute
    with ExitStack() as stack:
        server: Endpoint | None = None
        if params.source == "sample_web":
            server = ("127.0.0.1", stack.enter_context(serve(stage.inputs["site"])))
        states = frontier.states()
        total = sum(states.values())
        progress = stack.enter_context(
            stage.progress("fetch", total=total, unit="pages", done=total - states[PENDING])
        )
        job = Job(
            frontier=frontier.path,
            folder=stage.work / "crawlers",
            warc=stage.staging / "warc",
            params=params,
            crawlers=compute.crawlers,
            server=server,
        )
        started_s = time.monotonic()
        fetched = crawl_all(job, frontier, compute=compute, progress=progress)
        if not fetched.complete:
            sys.exit(EXIT_TERMINATED)
        return Attempt(fetched, time.monotonic() - started_s)


def _fetch_counts(frontier: Frontier, attempt: Attempt) -> dict[str, Any]:
    states, fetched = frontier.states(), attempt.fetched
    return {
        "pages": sum(states.values()),
        "attempts": frontier.num_attempts(),
        "by_state": count_reasons(states),
        "warc_bytes": sum(frontier.warc_ends().values()),
        "last_attempt": {
            "rounds": fetched.rounds,
            "pages": fetched.pages,
            "seconds": round(attempt.seconds, 3),
            "pages_per_s": round(fetched.pages / max(attempt.seconds, 1e-9), 1),
            "body_bytes": fetched.body_bytes,
        },
    }


def _extract(stage: Stage, frontier: Frontier) -> dict[str, Any]:
    params = stage.params.crawl
    num_links = frontier.num_links()
    places = Places(
        frontier=frontier.path,
        warc=stage.staging / "warc",
        done=stage.work / "extracted",
        documents=stage.staging / "documents",
        rejected=stage.staging / "rejected",
    )
    started_s = time.monotonic()
    with stage.progress("extract", total=len(cut_ranges(num_links)), unit="shards") as progress:
        totals, reasons = extract_all(
            places,
            num_links,
            caps_of(params),
            compute=stage.params.compute,
            progress=progress,
        )
    return {
        **totals,
        "by_reason": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "seconds": round(time.monotonic() - started_s, 3),
    }
