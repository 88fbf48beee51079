"""Studies in, one figure, its tables and one page out; then the comparison is put into MLflow."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from pipeline.compare.against import against_first
from pipeline.compare.budget_law import BudgetLaw
from pipeline.compare.budgets import fit_runs
from pipeline.compare.command import CompareOptions
from pipeline.compare.compared import Compared
from pipeline.compare.figure import draw
from pipeline.compare.page import render
from pipeline.compare.sources import find
from pipeline.compare.studies import group, read_study
from pipeline.compare.tables import comparison, measure_figure4, slopes
from pipeline.compare.terminal import as_text
from pipeline.shared.files import open_atomic, write_json
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.tracking.finished import record_comparison


def run(asked: CompareOptions, log: logging.Logger) -> None:
    """Compare what was asked for; prints a table.

    Raises:
        UserError: a study is not to be had, or studies do not go together.
    """
    with TemporaryDirectory(prefix="figure4-compare-") as scratch:
        compared = compare(asked, Path(scratch), log)
    asked.out.mkdir(parents=True, exist_ok=True)
    files = [asked.out / name for name in ("fit.json", "compare.png", "compare.svg", "index.html")]
    for name, frame in compared.tables.items():
        files.append(asked.out / f"{name}.csv")
        with open_atomic(files[-1], "w") as file:
            frame.to_csv(file, index=False, lineterminator="\n")
    write_json(asked.out / "fit.json", _fits(compared.budgets))
    draw(compared.groups, compared.figure4, compared.tables["ratios"], asked.out)
    with open_atomic(asked.out / "index.html", "w") as file:
        file.write(render(compared, asked.out))
    named = {f"study.{n}": f"{s.label}={s.where}" for n, s in enumerate(asked.studies, start=1)}
    record_comparison(named, _points(compared.tables["compare"]), files, log)
    print(as_text(compared))
    print(f"\nFigure, tables and what the intervals mean: {asked.out / 'index.html'}")


def compare(asked: CompareOptions, scratch: Path, log: logging.Logger) -> Compared:
    """Read and compare; studies of a revision are copied to folders in `scratch`."""
    studies = []
    for number, named in enumerate(asked.studies):
        folder = scratch / str(number)
        folder.mkdir()
        place = find(named.where, asked.data, folder)
        log.info("%s: %s", place.name, place.origin)
        studies.append(read_study(place))
    groups = group(studies, [named.label for named in asked.studies])
    draws = Draws(asked.samples, asked.seed)
    figure4 = measure_figure4(groups, draws)
    tables = {
        "compare": comparison(groups, figure4, draws),
        "ratios": against_first(groups, draws),
        "slopes": slopes(groups, figure4, draws),
    }
    return Compared(groups, figure4, tables, fit_runs(groups, figure4, draws))


def _fits(budgets: dict[str, BudgetLaw | str]) -> dict[str, Any]:
    """fit.json: by the way to count parameters, the law or `cannot_tell`."""
    return {
        count: {"cannot_tell": law} if isinstance(law, str) else _as_json(law)
        for count, law in budgets.items()
    }


def _as_json(law: BudgetLaw) -> dict[str, Any]:
    values = law._asdict()
    return {
        "law": "loss_nats = floor + scale_of_size / parameters**alpha "
        "+ scale_of_tokens / tokens**beta",
        **{key: v._asdict() if hasattr(v, "_asdict") else v for key, v in values.items()},
    }


def _points(table: pd.DataFrame) -> dict[str, float]:
    """What MLflow shows of a comparison: perplexities by group and size.

    A folder's slashes would be levels of the name, and MLflow refuses one that begins with them.
    """
    return {
        f"{row['study'].replace('/', '_').strip('_')}/{row['size']}/{split}_perplexity": float(
            row[f"{split}_perplexity"]
        )
        for row in table.to_dict("records")
        for split in ("train", "test")
        if np.isfinite(row[f"{split}_perplexity"])
    }
