"""Slopes on both counts of parameters, floors that agree, and what is said where they do not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_study import PARAMETERS, MadeStudy
from shipped_sizes import SIZES

from pipeline.report.losses import SizedLosses, split_losses
from pipeline.report.scale_law import scale_law
from pipeline.report.study import Study, read_study
from pipeline.shared.files import read_json, write_json
from pipeline.shared.scores.results import read_scores
from pipeline.shared.scores.scaling import Floor, Losses


def counted(made: MadeStudy, folder: Path, embedding: int) -> Study:
    """The study with models of as many parameters in the embedding."""
    for size in SIZES:
        path = folder / "train" / size / "metrics.json"
        less = {"non_embedding_parameters": PARAMETERS[size] - embedding}
        write_json(path, read_json(path) | less)
    return read_study("tiny", made.params, folder)


def test_both_slopes_are_those_of_the_documents_losses(made: MadeStudy, copy: Path) -> None:
    study = counted(made, copy, 30_000)
    law = scale_law(study, split_losses(study))
    for count, embedding in (("all", 0), ("without embeddings", 30_000)):
        x = [math.log(PARAMETERS[size] - embedding) for size in SIZES]
        y = []
        for size in SIZES:
            scores = read_scores(copy / "evaluate" / size, "webtext_test")
            y.append(sum(scores["loss_nats"]) / sum(scores["num_units"]))
        mx, my = sum(x) / 4, sum(y) / 4
        top = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
        expected = top / sum((a - mx) ** 2 for a in x)
        found = law.slopes["test"][count]
        assert found.value == pytest.approx(expected)
        assert found.low < expected < found.high < 0


def lossless(means: list[float]) -> SizedLosses:
    return SizedLosses(list(SIZES), Losses(np.array(means), np.tile(means, (200, 1))))


def test_floor_on_which_both_counts_agree_is_told_and_is_at_this_budget(
    made: MadeStudy, copy: Path
) -> None:
    study = counted(made, copy, 50)
    means = [2.0 + 3e4 * PARAMETERS[size] ** -0.9 for size in SIZES]
    floors = scale_law(study, {s: lossless(means) for s in ("train", "test")}).floors["test"]
    for found in floors.values():
        assert isinstance(found, Floor)
        assert found.floor.low < 2.0 < found.floor.high
        assert found.floor.value == pytest.approx(2.0, abs=0.01)


def test_floors_that_contradict_one_another_are_not_told(made: MadeStudy, copy: Path) -> None:
    study = counted(made, copy, 15_000)
    means = [2.0 + 3e4 * PARAMETERS[size] ** -0.9 for size in SIZES]
    floors = scale_law(study, {s: lossless(means) for s in ("train", "test")}).floors["test"]
    assert len({str(found) for found in floors.values()}) == 1
    assert "depends on which parameters are counted: 2.00 (all)" in str(floors["all"])


def test_where_only_one_size_was_measured_nothing_is_said(made: MadeStudy) -> None:
    study = read_study("tiny", made.params, made.folder)
    one = SizedLosses(["xl"], Losses(np.array([3.0]), np.full((10, 1), 3.0)))
    law = scale_law(study, {"train": one, "test": one})
    assert math.isnan(law.slopes["test"]["all"].value)
    assert law.floors["test"]["all"] == "fewer than two sizes"
