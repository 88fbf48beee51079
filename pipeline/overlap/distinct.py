"""How many distinct n-grams a stream holds: exact while they fit in memory, then estimated."""

from __future__ import annotations

import math

import numpy as np

from pipeline.words import Hashes

_MOST_KEPT = 4_000_000  # 32 MB; relative standard error 1 / sqrt(2e6) = 0.07 % at worst


def sort_distinct(hashes: Hashes) -> Hashes:
    """The distinct hashes, sorted; `numpy.unique` goes through a hash table, ten times slower."""
    ordered = np.sort(hashes)
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]


class DistinctCounter:
    """Counts distinct hashes by adaptive sampling (Wegman 1984; Flajolet 1990).

    All hashes are kept until there are too many; then only those whose next leading bit is zero,
    half of them, and so on. Hashes are uniform, so the kept number times 2 ** depth estimates the
    whole without bias, and equals it while the depth is 0.
    """

    def __init__(self, most_kept: int = _MOST_KEPT) -> None:
        self.depth = 0
        """Leading bits that a kept hash has at zero."""
        self._most_kept = most_kept
        self._kept: Hashes = np.empty(0, np.uint64)

    def add(self, hashes: Hashes) -> None:
        """Count hashes; one counted before changes nothing."""
        self._kept = sort_distinct(np.concatenate([self._kept, self._sample(hashes)]))
        while len(self._kept) > self._most_kept:
            self.depth += 1
            self._kept = self._sample(self._kept)

    def _sample(self, hashes: Hashes) -> Hashes:
        return hashes[hashes < np.uint64(2 ** (64 - self.depth))] if self.depth else hashes

    @property
    def count(self) -> int:
        """The number of distinct hashes: exact at depth 0, an estimate beyond."""
        return len(self._kept) << self.depth

    @property
    def standard_error(self) -> float:
        """Of `count`, as a fraction of it; 0 where it is exact."""
        return 1 / math.sqrt(len(self._kept)) if self.depth else 0.0
