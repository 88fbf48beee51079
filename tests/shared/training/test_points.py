"""Where a loss curve has its points."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.params.file import load_params
from pipeline.shared.training.job import point_steps


@pytest.mark.parametrize(
    ("tokens", "every"), [(350_000, 35_000), (350_000, 512), (10_000, 9_000), (700, 10**9)]
)
def test_points_are_as_many_as_asked_for_and_evenly_apart(
    project: Path, tokens: int, every: int
) -> None:
    tiny = load_params(project / "params.yaml", "tiny").params.train
    train = tiny.model_copy(update={"tokens": tokens, "eval_every_tokens": every})
    steps = point_steps(train)
    assert steps[-1] == tokens // 512
    assert len(steps) == min(tokens // 512, max(1, round(tokens / every)))
    apart = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    assert max(apart) - min(apart) <= 1
    assert min(apart) >= 1
