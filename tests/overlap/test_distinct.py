"""Counting distinct hashes: exact while they fit, an honest estimate beyond."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.overlap.distinct import DistinctCounter

RANDOM = np.random.default_rng(7).integers(0, 2**64, 100_000, np.uint64)


def test_count_is_exact_while_all_hashes_fit() -> None:
    counter = DistinctCounter()
    for part in (RANDOM[:60_000], RANDOM[40_000:]):
        counter.add(np.unique(part))
    assert counter.count == len(np.unique(RANDOM))
    assert counter.standard_error == 0


@pytest.mark.parametrize("most_kept", [10_000, 30_000])
def test_estimate_lies_within_four_standard_errors_of_the_truth(most_kept: int) -> None:
    counter = DistinctCounter(most_kept)
    for part in np.array_split(RANDOM, 7):
        counter.add(np.unique(part))
        counter.add(np.unique(part))  # a second time changes nothing
    assert counter.depth > 0
    assert counter.count == pytest.approx(100_000, rel=4 * counter.standard_error)
    assert counter.standard_error < 2 / np.sqrt(most_kept)
