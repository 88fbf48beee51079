"""The plan as text for a terminal, at most a hundred columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.plan.cards import CARDS, gpu_hours, training_gib
from pipeline.plan.corpus import Corpus
from pipeline.plan.crawl import CrawlPlan
from pipeline.plan.rungs import Rung
from pipeline.plan.speed import slots
from pipeline.plan.stages import StageCost, wall_seconds
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.progress import format_seconds

WIDTH = 100


class Plan(NamedTuple):
    """All that is known before a study runs."""

    profile: str
    params: ProfileParams
    corpus: Corpus
    outdated: Sequence[str]
    """Finished stages whose counts are not used."""
    rungs: Sequence[Rung]
    costs: Sequence[StageCost]
    crawl: CrawlPlan | None
    mfu: float
    card: str
    """Of which GPU the times are; empty on the CPU."""


def as_text(plan: Plan) -> str:
    """The whole plan."""
    parts = [_head(plan), _rungs(plan), _stages(plan)]
    if plan.crawl is not None:
        parts.append(_crawl(plan.crawl))
    if plan.params.compute.accelerator == "gpu":
        parts.append(_cards(plan))
    return "\n\n".join("\n".join(part) for part in parts)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH)


def _head(plan: Plan) -> Iterator[str]:
    corpus, train = plan.corpus, plan.params.train
    split = plan.params.tokenize
    text = corpus.tokens * (1 - split.valid_fraction - split.test_fraction)
    yield f"Plan of the profile '{plan.profile}', before anything runs"
    yield from _wrapped(
        f"Text, {corpus.how}: {corpus.documents:,.0f} documents, {corpus.kept_bytes / 1e6:,.0f} "
        f"MB after de-duplication, {corpus.tokens / 1e6:,.1f}M tokens; {text / 1e6:,.1f}M to train "
        "on. "
        f"Each size reads {train.tokens / 1e6:,.2f}M tokens: "
        + (
            f"{train.tokens / text:.2f} epochs."
            if train.tokens > text
            else f"{train.tokens / text:.1%} of that text, once."
        )
    )
    if plan.outdated:
        yield from _wrapped(
            f"Not used: what {', '.join(plan.outdated)} counted, since DVC has not recorded these "
            "counts with today's settings, code and inputs."
        )


def _rungs(plan: Plan) -> Iterator[str]:
    yield (
        f"{'size':<12}{'shape':<10}{'parameters':>15}{'without emb.':>15}{'FLOPs/token':>13}"
        f"{'training':>12}{'with search':>13}"
    )
    for rung in plan.rungs:
        yield (
            f"{rung.size[:11]:<12}{rung.label[:9]:<10}{rung.parameters:>15,}"
            f"{rung.non_embedding_parameters:>15,}{rung.flops_per_token:>13.3g}"
            f"{rung.flops:>12.3g}{rung.search_flops:>13.3g}"
        )
    total = sum(rung.search_flops for rung in plan.rungs)
    kept = sum(rung.flops for rung in plan.rungs)
    yield f"{'all':<12}{'':<53}{kept:>12.3g}{total:>13.3g}"


def _stages(plan: Plan) -> Iterator[str]:
    yield f"{'stage':<22}{'time':>14}{'memory, MiB':>14}{'disk, MB':>12}"
    for cost in plan.costs:
        name = f"{cost.name}@{cost.size}" if cost.size else cost.name
        time = "not timed" if cost.seconds is None else format_seconds(cost.seconds)
        memory = f"{cost.memory_mib:,.0f}"
        yield f"{name[:21]:<22}{time:>14}{memory:>14}{cost.disk_bytes / 1e6:>12,.1f}"
    wall = wall_seconds(plan.params, plan.costs)
    disk = sum(cost.disk_bytes for cost in plan.costs)
    time = "not timed" if wall is None else format_seconds(wall)
    yield f"{'in all, from the start':<22}{time:>14}{'':>14}{disk / 1e6:>12,.1f}"
    at_once = slots(plan.params)
    yield from _wrapped(
        "Disk is what data/<profile>/ and the archive keep; as much again is in use at work. Times "
        "are those of the costliest search, with each extension of its grid"
        + (f", on one {plan.card} or more as the profile says" if plan.card else "")
        + f"; sizes run {at_once} at a time."
    )


def _crawl(crawl: CrawlPlan) -> Iterator[str]:
    if crawl.hosts:
        yield from _wrapped(
            f"Crawl: {crawl.requests:,} requests to {crawl.hosts:,} hosts, {crawl.days:,.2f} days; "
            f"{crawl.largest_pages:,} to the largest, {crawl.largest_host[:24]}"
        )
    elif not crawl.requests:
        yield "Crawl: no requests, since `links` has kept none"
    else:
        yield from _wrapped(
            f"Crawl: {crawl.requests:,} requests, {crawl.days:,.2f} days by its connections; the "
            "largest host is known once `links` is done"
        )


def _cards(plan: Plan) -> Iterator[str]:
    devices = plan.params.compute.devices * plan.params.compute.nodes
    need = max(training_gib(rung, plan.params) for rung in plan.rungs)
    yield from _wrapped(
        f"GPUs at an MFU of {plan.mfu:.0%} of the data sheet's dense bfloat16, {devices} at a "
        f"time; a training takes up to {need:,.1f} GiB of one"
    )
    yield f"{'card':<12}{'TFLOP/s':>10}{'memory, GiB':>14}{'GPU-hours':>14}{'hours':>12}  fits"
    for card in CARDS:
        hours = gpu_hours(plan.rungs, card, plan.mfu)
        fits = "yes" if need <= card.memory_gib else f"no: {need:,.1f} GiB"
        yield (
            f"{card.name:<12}{card.tflops:>10,.0f}{card.memory_gib:>14,.1f}{hours:>14,.1f}"
            f"{hours / devices:>12,.1f}  {fits}"
        )
