"""The tune stage: short trainings of one size over a grid of learning rates, in one process.

Finished trials are kept in the work folder, so a kill costs at most part of the one under way.
"""

from __future__ import annotations

import csv
import math
from typing import Any

from pipeline.errors import NonFiniteLossError, UserError
from pipeline.files import open_atomic, read_json, remove_path, write_json
from pipeline.stage import Stage
from pipeline.tracking import open_run
from pipeline.training_job import TrainingData, make_job, open_data
from pipeline.training_run import train_to_end
from pipeline.tune.sweep import Trial, best_trial, edge_of_grid, is_divergence, rate_beyond


def run(stage: Stage) -> dict[str, Any]:
    """Sweep, extend the grid while the best rate is at its end, write the choice.

    Raises:
        UserError: every rate diverged.
    """
    tune, data = stage.params.tune, open_data(stage)
    with open_run(stage, tune.model_dump()) as tracked:
        trials: list[Trial] = []

        def try_rate(rate: float) -> None:
            trial = _run_trial(stage, data, rate)
            trials.append(trial)
            if not is_divergence(trial.valid_loss):
                tracked.log_metrics(
                    {f"valid_loss.lr_{rate:g}": trial.valid_loss}, tokens=trial.tokens
                )

        for rate in tune.learning_rates:
            try_rate(rate)
        for _ in range(tune.max_extensions):
            if edge := edge_of_grid(trials):
                try_rate(rate_beyond([trial.learning_rate for trial in trials], edge))
    trials.sort()
    best, edge = best_trial(trials), edge_of_grid(trials)
    if is_divergence(best.valid_loss):
        rates = ", ".join(f"{trial.learning_rate:g}" for trial in trials)
        raise UserError(
            f"tune.learning_rates: every rate tried ({rates}) diverged; lower them in params.yaml"
        )
    if edge:
        stage.log.warning(
            "learning rate %g is the %sest tried: the optimum may lie beyond; widen "
            "tune.learning_rates or raise tune.max_extensions",
            best.learning_rate,
            edge,
        )
    _write_sweep(stage, trials)
    choice = {
        "learning_rate": best.learning_rate,
        "valid_loss": best.valid_loss,
        "at_grid_edge": edge,
        "extended_by": [
            t.learning_rate for t in trials if t.learning_rate not in tune.learning_rates
        ],
    }
    write_json(stage.staging / "learning_rate.json", choice)
    return choice | {"trials": len(trials), "tokens": sum(trial.tokens for trial in trials)}


def _run_trial(stage: Stage, data: TrainingData, rate: float) -> Trial:
    """One short training, or what it came to when an earlier attempt finished it."""
    folder = stage.work / f"trial_{rate:g}"
    result = folder.with_suffix(folder.suffix + ".json")
    if result.is_file():
        return _read_trial(read_json(result))
    job = make_job(
        stage,
        data,
        learning_rate=rate,
        tokens=stage.params.tune.tokens,
        valid_tokens=stage.params.tune.valid_tokens,
        eval_every_tokens=stage.params.tune.tokens,
        folder=folder,
    )
    try:
        point = train_to_end(stage, job, f"learning rate {rate:g}").curve[-1]
        trial = Trial(rate, point.tokens, point.valid_loss)
    except NonFiniteLossError as error:
        stage.log.warning("learning rate %g diverged: %s", rate, error)
        trial = Trial(rate, 0, math.inf)
    stage.log.info("learning rate %g: held-out loss %.4f", rate, trial.valid_loss)
    write_json(result, [trial.learning_rate, trial.tokens, _finite(trial.valid_loss)])
    remove_path(folder)
    return trial


def _finite(loss: float) -> float | None:
    """JSON knows no infinity: null says that a trial diverged."""
    return None if is_divergence(loss) else loss


def _read_trial(values: list[Any]) -> Trial:
    rate, tokens, loss = values
    return Trial(rate, tokens, math.inf if loss is None else loss)


def _write_sweep(stage: Stage, trials: list[Trial]) -> None:
    with open_atomic(stage.staging / "sweep.csv", "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Trial._fields)
        writer.writerows(trials)
