"""The tune stage: one size's trainings at several learning rates, of which the best goes on.

Each trial keeps its checkpoint and its comparisons in the work folder, so a kill costs what one
trial did since its last checkpoint. The winner's checkpoint is handed on: the train stage goes on
from there.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.shared.errors import NonFiniteLossError, UserError
from pipeline.shared.files import link_or_copy, once, open_atomic, remove_path, write_json
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.params.profile import TrainParams, TuneParams
from pipeline.shared.running.stage import Stage
from pipeline.shared.tracking.record import open_run
from pipeline.shared.training.job import (
    TrainingData,
    make_job,
    open_data,
    point_steps,
)
from pipeline.shared.training.run import train_to
from pipeline.shared.training.state import keep_newest, newest_checkpoint
from pipeline.tune.search import Comparison, Search, Trial, search

OnPoint = Callable[[CurvePoint], None]


def run(stage: Stage) -> dict[str, Any]:
    """Search, write every trial and the choice, and hand on the winner's checkpoint.

    Raises:
        UserError: every rate diverged.
    """
    tune, data = stage.params.tune, open_data(stage)
    with open_run(stage) as tracked:

        def run_to(rate: float, step: int) -> Trial:
            def on_point(point: CurvePoint) -> None:
                name = f"valid_loss_nats.lr_{rate:g}"
                tracked.log_metrics({name: point.valid_loss}, tokens=point.tokens)

            return _run_trial(stage, data, rate, step, on_point)

        comparisons = plan_comparisons(tune, stage.params.train)
        found = search(tune.learning_rates, comparisons, run_to, max_extensions=tune.max_extensions)
    _check(stage, found)
    _write_trials(stage, found.trials)
    best = found.ranking[0]
    _hand_on(_trial_folder(stage, best.learning_rate), stage.staging / "state")
    choice = {
        "learning_rate": best.learning_rate,
        "valid_loss": best.valid_loss,
        "tokens": best.tokens,
        "at_grid_edge": found.edge,
        "extended_by": sorted({t.learning_rate for t in found.trials} - set(tune.learning_rates)),
        "next_best": [trial.learning_rate for trial in found.ranking[1:]],
    }
    write_json(stage.staging / "learning_rate.json", choice)
    return choice | _costs(stage, found)


def plan_comparisons(tune: TuneParams, train: TrainParams) -> list[Comparison]:
    """The steps at which trials are compared: those points of the loss curve that are nearest.

    Raises:
        UserError: two of them fall on one point, or the first on one within the warm-up.
    """
    points = point_steps(train)
    steps = [
        min(points, key=lambda point: abs(point - part * points[-1])) for part in tune.compare_at
    ]
    asked = (
        f"params.yaml: tune.compare_at = {tune.compare_at} are steps {steps} on a loss curve "
        f"with {len(points)} points over {points[-1]} steps"
    )
    if steps != sorted(set(steps)):
        raise UserError(f"{asked}; set them farther apart or lower train.eval_every_tokens")
    if steps[0] * train.batch_tokens <= train.warmup_tokens:
        raise UserError(
            f"{asked}: the first is after {steps[0] * train.batch_tokens} tokens, within "
            f"train.warmup_tokens = {train.warmup_tokens}, where no rate has been reached yet; "
            f"lower train.eval_every_tokens = {train.eval_every_tokens} or raise the first"
        )
    return [
        Comparison(step, compared)
        for step, compared in zip(steps, [len(tune.learning_rates), *tune.keep], strict=True)
    ]


def _trial_folder(stage: Stage, rate: float) -> Path:
    return stage.work / f"trial_{rate:g}"


def _run_trial(
    stage: Stage, data: TrainingData, rate: float, step: int, on_point: OnPoint
) -> Trial:
    """One training up to a step, or what it came to when an earlier attempt went there."""
    note = stage.work / f"trial_{rate:g}_to_{step}.json"
    noted = once(note, partial(_train_trial, stage, data, rate, step, on_point))
    loss = noted["valid_loss"]
    return Trial(rate, noted["tokens"], math.inf if loss is None else loss)


def _train_trial(
    stage: Stage, data: TrainingData, rate: float, step: int, on_point: OnPoint
) -> dict[str, Any]:
    folder = _trial_folder(stage, rate)
    job = replace(make_job(stage, data, learning_rate=rate, folder=folder), until_step=step)
    try:
        curve = train_to(stage, job, f"learning rate {rate:g}", on_point).curve
    except NonFiniteLossError as error:
        stage.log.warning("learning rate %g diverged: %s", rate, error)
        remove_path(folder)
        tokens = error.step * job.recipe.batch_tokens
        return {"tokens": tokens, "valid_loss": None}  # JSON knows no infinity
    keep_newest(folder)
    tokens = step * job.recipe.batch_tokens
    (loss,) = [point.valid_loss for point in curve if point.tokens == tokens]
    stage.log.info("learning rate %g: held-out loss %.4f", rate, loss)
    return {"tokens": tokens, "valid_loss": loss if math.isfinite(loss) else None}


def _check(stage: Stage, found: Search) -> None:
    """Refuse a search without a winner; say where one with a winner at the edge should go on."""
    if not found.ranking:
        rates = ", ".join(f"{rate:g}" for rate in sorted({t.learning_rate for t in found.trials}))
        raise UserError(
            f"tune.learning_rates: every rate tried ({rates}) diverged; lower them in params.yaml"
        )
    if found.edge:
        stage.log.warning(
            "learning rate %g is the %sest tried: the optimum may lie beyond; widen "
            "tune.learning_rates or raise tune.max_extensions",
            found.ranking[0].learning_rate,
            found.edge,
        )


def _costs(stage: Stage, found: Search) -> dict[str, Any]:
    """Tokens of all trials, and those that did not go into the winner, as a part of a training."""
    reached: dict[float, int] = {}
    for trial in found.trials:
        reached[trial.learning_rate] = max(trial.tokens, reached.get(trial.learning_rate, 0))
    lost = sum(reached.values()) - reached[found.ranking[0].learning_rate]
    return {
        "trials": len(reached),
        "trained_tokens": sum(reached.values()),
        "cost_in_trainings": round(lost / stage.params.train.tokens, 4),
    }


def _hand_on(trial: Path, state: Path) -> None:
    remove_path(state)  # of an attempt that was killed
    state.mkdir()
    checkpoint = newest_checkpoint(trial)
    assert checkpoint is not None
    link_or_copy(checkpoint, state / checkpoint.name)


def _write_trials(stage: Stage, trials: list[Trial]) -> None:
    ordered = sorted(trials, key=lambda trial: (trial.tokens, trial.learning_rate))
    with open_atomic(stage.staging / "sweep.csv", "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Trial._fields)
        writer.writerows(ordered)
