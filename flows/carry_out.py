"""One run of the study: the checkout is made ready, stale stages run, and what they did is told.

DVC is the truth about what has run. A run has no state of its own: starting it again after any
interruption goes on where the study was.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from flows.chain.chain import WATCH, Chain, Told, explain, read_by, stale_stages
from flows.chain.dvc_stage import StageEnd, StageRunner
from flows.checkout.checkout import Checkout, HeldError, prepare, read_params
from flows.checkout.leavings import CheckoutError
from flows.page.artifacts import ArtifactPage, pages
from flows.page.deployment import end_dead_runs
from flows.page.history import drift_page, note, perplexities_on_test
from flows.page.log_lines import as_said
from flows.page.prefect_api import Api
from flows.page.run_page import RunPage
from flows.supervisor import GRACE_S

CANCELLED = Told("CANCELLED", "Cancelled", "Cancelled; the stages saved their state, and the next "
                 "run goes on from there")  # fmt: skip
NOTHING_NEW = Told("COMPLETED", "Nothing new", "Nothing new")


class Wishes(NamedTuple):
    """What a run is asked for; nothing stands for what params.yaml says."""

    profile: str | None = None
    overrides: Mapping[str, Any] | None = None
    max_parallel: int | None = None


class Ended(NamedTuple):
    """How a run ended, for the page and for the shell."""

    told: Told
    code: int


def run_name(profile: str | None) -> str:
    """A run's name on the page: its profile and when it began."""
    if profile is None:
        try:
            profile = str(read_params(Path("params.yaml"))["profile"])
        except CheckoutError:
            profile = "?"
    return f"{profile} {datetime.now():%Y-%m-%d %H:%M}"


def carry_out(
    wishes: Wishes,
    page: RunPage,
    *,
    connect: Callable[[], AbstractContextManager[Api]] | None = None,
) -> Ended:
    """Run the study in the working folder; `connect` leads to a server once there is work to show.

    An exception, as of a signal, ends the stages in order before it leaves here.
    """
    root, log = Path.cwd(), logging.getLogger("figure4")
    try:
        with prepare(root, wishes.profile, wishes.max_parallel, log, wishes.overrides) as checkout:
            page.do(lambda api: _mend(api, root, page))
            return _run(checkout, page, connect)
    except HeldError as error:
        return Ended(Told("CANCELLED", "Skipped", str(error)), 1)
    except CheckoutError as error:
        return Ended(Told("FAILED", "Failed", str(error)), 1)


def _mend(api: Api, root: Path, page: RunPage) -> None:
    end_dead_runs(api, root, but=page.run_id)


def _run(
    checkout: Checkout,
    page: RunPage,
    connect: Callable[[], AbstractContextManager[Api]] | None,
) -> Ended:
    shown = _Shown(checkout.root, page)
    with StageRunner(checkout.root, devices=[None], grace_s=GRACE_S) as first:
        looked = first.run(WATCH, lambda line: shown.line(WATCH, line))
    if looked.code != 0:
        return Ended(Told("FAILED", "Failed", explain(looked)), 1)
    stale = stale_stages(checkout.root)
    if stale == set():
        return Ended(NOTHING_NEW, 0)
    if connect is not None:
        page.open(connect, own=True)
    before = perplexities_on_test(checkout.root, checkout.profile)
    runner = StageRunner(checkout.root, devices=checkout.devices, grace_s=GRACE_S)
    reads = read_by(checkout.root / "dvc.yaml", checkout.sizes)
    ends = Chain(runner, shown, reads=reads, stale=stale).run(page.cancelled.is_set)
    if page.cancelled.is_set():
        return Ended(CANCELLED, 1)
    for end in ends.values():
        if end.code != 0:
            return Ended(Told("FAILED", "Failed", explain(end)), 1)
    _tell_drift(checkout, page)
    said = summary(ends.values(), before, perplexities_on_test(checkout.root, checkout.profile))
    return Ended(Told("COMPLETED", "Completed", said), 0)


def summary(
    ends: Iterable[StageEnd], before: Mapping[str, float], after: Mapping[str, float]
) -> str:
    """What a run did, in a line; the perplexity is the largest size's on the test split.

    >>> end = StageEnd(stage="report", code=0, did="ran", last_lines=(), lock_busy=False)
    >>> summary([end], {"xl": 90.84}, {"small": 120.5, "xl": 88.91})
    '1 ran; test xl 90.8 -> 88.9'
    """
    counts = Counter(end.did for end in ends)
    parts = [f"{counts[did]} {did}" for did in ("ran", "restored", "unchanged") if counts[did]]
    said = ", ".join(parts)
    if not after:
        return said
    size, value = list(after.items())[-1]
    earlier = before.get(size)
    if earlier is None:
        return f"{said}; test {size} {shown_perplexity(value)}"
    if earlier == value:
        return f"{said}; test {size} {shown_perplexity(value)} as before"
    return f"{said}; test {size} {shown_perplexity(earlier)} -> {shown_perplexity(value)}"


def shown_perplexity(value: float) -> str:
    """Three digits of what is small, one after the point of what is large.

    >>> shown_perplexity(8.634), shown_perplexity(90.84)
    ('8.63', '90.8')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _tell_drift(checkout: Checkout, page: RunPage) -> None:
    """Note what the run found beside earlier ones, and show them together."""
    try:
        rows = note(checkout.root, checkout.profile)
        if rows:
            page.artifact(drift_page(checkout.profile, rows))
    except (OSError, ValueError, KeyError, TypeError) as error:  # the study is whole
        logging.getLogger("figure4").warning("The drift over runs is not shown: %s", error)


class _Shown:
    """Tells the terminal and the page."""

    def __init__(self, root: Path, page: RunPage) -> None:
        self._root, self._page = root, page

    def stage(self, name: str, told: Told, *, after: Sequence[str]) -> None:
        self._page.stage(name, told, after=after)

    def line(self, name: str, line: str) -> None:
        print(as_said(name, line), flush=True)
        self._page.line(name, line)

    def finished(self, name: str) -> None:
        for shown in self._pages(name):
            self._page.artifact(shown, stage=name)

    def _pages(self, name: str) -> list[ArtifactPage]:
        try:
            return list(pages(self._root, name, linked=self._page.own))
        except (OSError, ValueError, KeyError, TypeError) as error:  # the stage is done
            logging.getLogger("figure4").warning("%s: its results are not shown: %s", name, error)
            return []
