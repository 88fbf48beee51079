"""The stage: links into the archive, what it lacks from the web, and where each page lies."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.crawl.archive import Archive, opened
from pipeline.crawl.crawlers import CrawlerJob, Fetched, crawl_all, recover
from pipeline.crawl.guard import Endpoint
from pipeline.crawl.publish import Published, publish, publish_nothing
from pipeline.crawl.refetch import make_is_due
from pipeline.crawl.robots_text import product_token
from pipeline.shared.errors import EXIT_TERMINATED, UserError
from pipeline.shared.files import read_json, write_json
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import list_row_shards, read_row_shard
from pipeline.shared.running.listing import hash_input
from pipeline.shared.running.origin import archive_folder
from pipeline.shared.running.stage import Stage
from pipeline.shared.web.server import serve


class Attempt(NamedTuple):
    """What this attempt fetched, after earlier ones or alone."""

    fetched: Fetched
    seconds: float


def run(stage: Stage) -> dict[str, Any]:
    """Make pages/; returns the counts for metrics.json."""
    source = stage.params.links.source
    if source == "none":
        publish_nothing(stage.staging)
        return {"source": source}
    if source == "reddit":
        _check_user_agent(stage.params.fetching.user_agent)
    _tell_token(stage)
    began_utc = _began_utc(stage)
    with opened(archive_of(stage)) as archive:
        recover(archive)
        _want(stage, archive, began_utc)
        attempt = _fetch(stage, archive)
        published = publish(archive, stage, began_utc)
    return {"source": source, "fetch": _counts(published, attempt)}


def archive_of(stage: Stage) -> Path:
    """The archive's folder, where DVC deletes nothing; of the built-in web one for each version.

    Another version is another web, though its addresses are the same.
    """
    folder = archive_folder(stage.params.crawl.archive, stage.profile)
    if stage.params.links.source != "sample_web":
        return folder
    return folder / f"sample-web-{hash_input(stage.inputs['site'])[:12]}"


def _check_user_agent(agent: str) -> None:
    """Raises UserError unless site owners can tell who crawls and how to reach them."""
    if not agent.strip() or not ("@" in agent or "http" in agent) or ".test" in agent:
        raise UserError(
            f"params.yaml: fetching.user_agent = {agent!r} must name the crawler and a contact "
            "before it leaves this machine; set it, e.g. "
            '"my-crawl/1.0 (+mailto:me@example.org)"'
        )


def _tell_token(stage: Stage) -> None:
    """Say in the log by which name a site's robots.txt can speak to this crawl."""
    agent = stage.params.fetching.user_agent
    token = product_token(agent)
    if not token:
        raise UserError(
            f"params.yaml: fetching.user_agent = {agent!r} has no product token by which a "
            "robots.txt could name it; begin it with one, as in "
            '"my-crawl/1.0 (+mailto:me@example.org)"'
        )
    stage.log.info("robots.txt: rules for `User-agent: %s` count, or else those for `*`", token)


def _began_utc(stage: Stage) -> float:
    """When this crawl began, in its first attempt: what was asked for since is not due again."""
    note = stage.work / "began.json"
    if not note.is_file():
        write_json(note, {"began_utc": time.time()})
    return float(read_json(note)["began_utc"])


def _want(stage: Stage, archive: Archive, began_utc: float) -> None:
    """Tell the archive which pages are wanted."""
    is_due = make_is_due(stage.params.crawl.refetch_after_days, began_utc)
    links = stage.inputs["links"]
    archive.begin_list(f"{hash_input(links)} {began_utc}")
    for shard in list_row_shards(links):
        archive.want(shard.sha256, read_row_shard(shard, Link), is_due)


def _fetch(stage: Stage, archive: Archive) -> Attempt:
    """Fetch what is pending."""
    params, compute = stage.params, stage.params.compute
    total = archive.begin_round()
    # An archive that is new by mistake, its disk not being mounted say, shows in this line.
    stage.log.info("%s: %d pages are to be asked for", archive.path.parent, total)
    with ExitStack() as stack:
        server: Endpoint | None = None
        if total and params.links.source == "sample_web":
            server = ("127.0.0.1", stack.enter_context(serve(stage.inputs["site"])))
        progress = stack.enter_context(stage.progress("fetch", total=total, unit="pages"))
        job = CrawlerJob(
            archive.path.parent, params.crawl, params.fetching, compute.crawlers, server
        )
        started_s = time.monotonic()
        fetched = crawl_all(job, archive, compute=compute, progress=progress)
        if not fetched.complete:
            sys.exit(EXIT_TERMINATED)
        return Attempt(fetched, time.monotonic() - started_s)


def _counts(published: Published, attempt: Attempt) -> dict[str, Any]:
    fetched = attempt.fetched
    return {
        **published.counts(),
        "last_attempt": {
            "rounds": fetched.rounds,
            "pages": fetched.pages,
            "seconds": round(attempt.seconds, 3),
            "pages_per_s": round(fetched.pages / max(attempt.seconds, 1e-9), 1),
            "body_bytes": fetched.body_bytes,
        },
    }
