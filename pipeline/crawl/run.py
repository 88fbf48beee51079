"""The stage: links into the frontier, pages into WARC, text into shards; or a ready corpus."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.crawl.corpus import read_corpus
from pipeline.crawl.crawler import Ledger, Pace, count_reasons, crawl
from pipeline.crawl.exchange import Limits, open_client
from pipeline.crawl.fetch import Fetcher, Policy
from pipeline.crawl.frontier import PENDING, Frontier
from pipeline.crawl.guard import Endpoint
from pipeline.crawl.links import collect_links, make_rules
from pipeline.crawl.politeness import HostGates
from pipeline.crawl.shards import Caps, Places, cut_ranges, extract_all
from pipeline.crawl.warc import WarcFiles
from pipeline.errors import EXIT_TERMINATED, UserError
from pipeline.params import CrawlParams
from pipeline.stage import Stage
from pipeline.web_server import serve

_LOOKUPS_AT_ONCE = 64  # asyncio's own pool is too small for names that nobody answers for
_HOSTS_PER_CONNECTION = 4  # at once, since a polite crawl of a host mostly pauses


class Attempt(NamedTuple):
    """What this process fetched, after earlier ones or alone."""

    pages: int
    """Brought to a final state."""
    seconds: float
    body_bytes: int
    """Received, compressed as they came."""


def run(stage: Stage) -> dict[str, Any]:
    """Make documents/, rejected/ and warc/; returns the counts for metrics.json."""
    params = stage.params.crawl
    if params.source == "corpus":
        return read_corpus(stage, _location(params))
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


def _location(params: CrawlParams) -> Path:
    if params.location is None:
        raise UserError(
            f"params.yaml: crawl.location = null with source = {params.source}; name the folder"
        )
    return Path(params.location)


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
    folder = stage.inputs["links"] if params.source == "sample_web" else _location(params)
    with stage.progress("links", total=None, unit="links") as progress:
        counts = collect_links(folder, make_rules(params), frontier, progress, stage.log)
    frontier.close_list()
    order = sorted(counts.items(), key=lambda item: (item[0] != "submissions", -item[1], item[0]))
    return dict(order)


def _fetch(stage: Stage, frontier: Frontier) -> Attempt:
    """Fetch what is pending."""
    params = stage.params.crawl
    with ExitStack() as stack:
        server: Endpoint | None = None
        if params.source == "sample_web":
            server = ("127.0.0.1", stack.enter_context(serve(stage.inputs["site"])))
        warc = WarcFiles(
            stage.staging / "warc",
            frontier.warc_ends(),
            about={"software": "figure4", "format": "WARC File Format 1.1",
                   "http-header-user-agent": params.user_agent, "robots": "obey"},
        )  # fmt: skip
        stack.callback(warc.close)
        states = frontier.states()
        total = sum(states.values())
        progress = stack.enter_context(
            stage.progress("fetch", total=total, unit="pages", done=total - states[PENDING])
        )
        ledger = Ledger(frontier, warc, progress)
        started_s = time.monotonic()
        if not asyncio.run(_crawl(stage, frontier, ledger, server)):
            sys.exit(EXIT_TERMINATED)
        return Attempt(states[PENDING], time.monotonic() - started_s, ledger.body_bytes)


async def _crawl(stage: Stage, frontier: Frontier, ledger: Ledger, server: Endpoint | None) -> bool:
    params = stage.params.crawl
    at_once = params.max_connections * (_HOSTS_PER_CONNECTION if params.per_host_delay_s else 1)
    _allow_files(at_once)
    lookups = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="dns")
    asyncio.get_running_loop().set_default_executor(lookups)
    gates = HostGates(params.per_host_delay_s, params.max_server_wait_s)
    policy = Policy(params.user_agent, params.max_attempts, params.max_redirects)
    async with open_client(
        user_agent=params.user_agent,
        limits=Limits(params.total_timeout_s, params.max_body_bytes),
        max_connections=params.max_connections,
        test_server=server,
    ) as client:
        fetcher = Fetcher(client, gates, policy)
        try:
            pace = Pace(at_once, params.max_attempts)
            return await crawl(frontier, fetcher, ledger, pace=pace, log=stage.log)
        finally:
            fetcher.close()


def _allow_files(connections: int) -> None:
    """Let the process open a socket per host in work, kept alive or in use, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 256 + 4 * connections
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _fetch_counts(frontier: Frontier, attempt: Attempt) -> dict[str, Any]:
    states = frontier.states()
    return {
        "pages": sum(states.values()),
        "attempts": frontier.num_attempts(),
        "by_state": count_reasons(states),
        "warc_bytes": sum(frontier.warc_ends().values()),
        "last_attempt": {
            "pages": attempt.pages,
            "seconds": round(attempt.seconds, 3),
            "pages_per_s": round(attempt.pages / max(attempt.seconds, 1e-9), 1),
            "body_bytes": attempt.body_bytes,
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
            Caps(params.max_body_bytes, params.min_document_words),
            compute=stage.params.compute,
            progress=progress,
        )
    return {
        **totals,
        "by_reason": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "seconds": round(time.monotonic() - started_s, 3),
    }
