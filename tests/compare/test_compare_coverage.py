"""How often the interval over documents and seeds holds the truth, beside the plain bootstrap's."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.shared.scores.scaling import draw_losses, of_size

pytestmark = pytest.mark.long

STUDIES, DOCUMENTS = 400, 120
# Of the tiny study: losses of documents differ by 0.25 nats, and of trainings by about 0.01.
OF_DOCUMENTS, OF_TRAININGS = 0.25, 0.01


def _study(chance: np.random.Generator, seeds: int, of_trainings: float) -> np.ndarray:
    """Mean loss a document, [seeds, documents, 1], around a true mean of 4."""
    documents = OF_DOCUMENTS * chance.normal(size=(1, DOCUMENTS, 1))
    trainings = of_trainings * chance.normal(size=(seeds, 1, 1))
    both = 0.02 * chance.normal(size=(seeds, DOCUMENTS, 1))
    return np.asarray(4 + documents + trainings + both)


def _plain(cube: np.ndarray, chance: np.random.Generator) -> tuple[float, float]:
    """Seeds and documents both drawn with replacement, percentiles of the mean."""
    seeds, documents, _ = cube.shape
    drawn = [
        cube[chance.integers(seeds, size=seeds)][
            :, chance.integers(documents, size=documents)
        ].mean()
        for _ in range(400)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _coverage(seeds: int, of_trainings: float) -> tuple[float, float]:
    """Part of the studies whose interval holds 4: ours, and the plain bootstrap's."""
    chance = np.random.default_rng(3)
    ours = plain = 0
    for number in range(STUDIES):
        cube = _study(chance, seeds, of_trainings)
        losses = draw_losses(cube, np.ones(DOCUMENTS), samples=400, seed=number)
        found = of_size(losses, 0)
        ours += found.low <= 4 <= found.high
        low, high = _plain(cube, chance)
        plain += low <= 4 <= high
    return ours / STUDIES, plain / STUDIES


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("of_trainings", [0.01, 0.03, 0.1])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int, of_trainings: float) -> None:
    ours, plain = _coverage(seeds, of_trainings)
    print(f"{seeds} seeds, trainings {of_trainings}: ours {ours:.3f}, plain {plain:.3f}")
    assert ours >= 0.925  # 0.95 less two and a half standard errors of 400 studies
    if of_trainings > 0.05:
        assert plain < 0.85  # why seeds are not drawn like documents
