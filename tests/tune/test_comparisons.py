"""When a search compares its trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.errors import UserError
from pipeline.shared.params.file import load_params
from pipeline.tune.run import plan_comparisons
from pipeline.tune.search import Comparison


def plan(project: Path, *, eval_every_tokens: int) -> list[Comparison]:
    """The tiny study's: 683 steps of 512 tokens, of which the first 170 warm up."""
    params = load_params(project / "params.yaml", "tiny").params
    train = params.train.model_copy(update={"eval_every_tokens": eval_every_tokens})
    return plan_comparisons(params.tune, train)


def test_trials_are_compared_at_the_points_of_the_curve_that_are_nearest(project: Path) -> None:
    assert plan(project, eval_every_tokens=35_000) == [(205, 3), (683, 2)]
    assert plan(project, eval_every_tokens=60_000) == [(228, 3), (683, 2)]


def test_a_nearest_point_within_the_warm_up_is_refused_with_the_numbers(project: Path) -> None:
    with pytest.raises(UserError) as refusal:
        plan(project, eval_every_tokens=70_000)
    assert str(refusal.value) == (
        "params.yaml: tune.compare_at = [0.3, 1.0] are steps [137, 683] on a loss curve with 5 "
        "points over 683 steps: the first is after 70144 tokens, within train.warmup_tokens = "
        "87500, where no rate has been reached yet; lower train.eval_every_tokens = 70000 or raise "
        "the first"
    )
