"""How fast this machine trains each size: by the training itself, for a moment."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.plan.rungs import Rung
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.training.job import Job, Listeners, make_recipe
from pipeline.shared.training.run import fit
from pipeline.shared.training.state import load_state

Speeds = Mapping[str, float]
"""Trained tokens a second, by size."""
_FLOPS = 6e10  # of one measurement: a second or two of a core
_LEAST_STEPS, _MOST_STEPS = 4, 400
_MOST_S = 6.0  # on a machine that does much else at the moment
_TOKENS = 200_000


class _EnoughError(Exception):
    """The rate is known."""


def slots(params: ProfileParams) -> int:
    """How many sizes run side by side."""
    return max(1, min(params.compute.workers // params.compute.threads, len(params.models)))


def measure_speeds(params: ProfileParams, rungs: Sequence[Rung]) -> dict[str, float]:
    """Tokens a second of each size on the CPU, beside as many others as a study runs at once."""
    at_once = slots(params)
    # Not forked: this process holds threads. Each child imports what a training needs once.
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory(prefix="figure4-plan-") as folder:
        _write_tokens(Path(folder, "tokens"), params.tokenize.vocab_size)
        measure = partial(_measure, Path(folder), params)
        found: dict[str, float] = {}
        with context.Pool(at_once, _prepare, (params.compute.threads,)) as pool:
            for rung in rungs:
                rates = pool.map(measure, [(rung, n) for n in range(at_once)], chunksize=1)
                found[rung.size] = sum(rates) / len(rates)
    return found


def recorded_speeds(study: Path, rungs: Sequence[Rung]) -> dict[str, float]:
    """Those of a finished study's trainings.

    Raises:
        CorruptDataError: it has none of some size.
    """
    folder, found = StudyFolder(study), {}
    for rung in rungs:
        done = folder.is_done("train", rung.size)
        rate = folder.training(rung.size).tokens_per_s if done else None
        if not rate:
            raise CorruptDataError(
                f"{study}: train@{rung.size} says no tokens_per_s; finish the study first"
            )
        found[rung.size] = rate
    return found


def _prepare(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    import pipeline.shared.training.lean_lightning  # noqa: F401 - before all else that imports it

    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def _measure(folder: Path, params: ProfileParams, item: tuple[Rung, int]) -> float:
    rung, number = item
    job = _job(folder, params, rung)
    job = replace(job, folder=folder / f"{rung.size}_{number}")
    seen: list[tuple[float, int]] = []

    def on_progress(tokens: int, note: str) -> None:
        seen.append((time.monotonic(), tokens))
        if len(seen) > 1 and seen[-1][0] - seen[0][0] > _MOST_S:
            raise _EnoughError

    try:
        fit(job, 0, Listeners(lambda point: None, on_progress, lambda spike: None))
    except _EnoughError:
        (begun_s, before), (ended_s, after) = seen[0], seen[-1]
        return (after - before) / (ended_s - begun_s)
    found = load_state(job.folder, job.identity, logging.getLogger("figure4"))
    assert found is not None
    return float(found[1]["timed_tokens"] / found[1]["step_s"])


def _job(folder: Path, params: ProfileParams, rung: Rung) -> Job:
    """The profile's own training, cut to a few steps of made-up text."""
    train = params.train
    steps = round(_FLOPS / rung.flops_per_token / train.batch_tokens)
    steps = min(max(steps, _LEAST_STEPS), _MOST_STEPS)
    tokens = steps * train.batch_tokens
    train = train.model_copy(
        update={
            "tokens": tokens,
            "warmup_tokens": 0,
            "min_learning_rate_fraction": 1.0,
            "eval_every_tokens": tokens,
            "valid_tokens": rung.config.n_positions,
        }
    )
    text = open_split(folder / "tokens")
    return Job(
        config=rung.config,
        recipe=make_recipe(train, params.seeds, learning_rate=1e-4),
        params=train,
        compute=params.compute.model_copy(update={"checkpoint_every_s": 1e9}),
        text=text,
        valid=text,
        folder=folder,
        until_step=steps,
    )


def _write_tokens(folder: Path, vocab_size: int) -> None:
    """Tokens as unequally common as words are (Zipf); their number shapes no speed."""
    weights = 1.0 / (np.arange(vocab_size) + 2.7)
    tokens = np.random.default_rng(1).choice(vocab_size, _TOKENS, p=weights / weights.sum())
    parts = np.array_split(tokens.astype(np.uint16), _TOKENS // 1000)
    documents = [TokenDocument(f"made-{number}", part) for number, part in enumerate(parts)]
    write_token_shards(folder, documents, tokenizer_sha256="0" * 64)
