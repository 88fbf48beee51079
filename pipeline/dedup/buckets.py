"""Buckets: documents whose MinHash signatures agree in a band, found by one sort for each band.

Only what two documents share is held in memory, and a bucket once however many bands it comes from:
most documents of a corpus resemble no other, and those that do mostly in several bands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.text.words import Hashes, Numbers, mix

ReadBand = Callable[[int], Hashes]
"""The keys of one band: [documents]."""

_Small = npt.NDArray[np.int32]


class SharedBuckets(NamedTuple):
    """The documents of each bucket, by their ranks; ordered by bucket, then by rank."""

    buckets: _Small
    """The bucket of each entry: [entries]."""
    ranks: _Small
    """The document of each entry: [entries]."""

    def where(self, mask: npt.NDArray[np.bool_]) -> SharedBuckets:
        """The entries that a mask picks."""
        return SharedBuckets(self.buckets[mask], self.ranks[mask])

    def open_ones(self, num_references: int) -> SharedBuckets:
        """Without the buckets that leave nothing to compare.

        These hold one document only; or, if there are references (the lowest ranks), no reference
        or nothing else.
        """
        heads, counts = self.heads()
        is_open = counts > 1
        if num_references:
            is_open = self.ranks[heads] < num_references
            is_open &= self.ranks[heads + counts - 1] >= num_references
        return self.where(np.repeat(is_open, counts))

    def pair_with_leaders(
        self, num_references: int
    ) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
        """Who can be compared now: leaders and followers [pairs], and which entries that settles.

        A leader is first in all of its buckets; or, if there are references, first in this one.
        """
        heads, counts = self.heads()
        is_head = np.zeros(len(self.ranks), np.bool_)
        is_head[heads] = True
        leads = np.ones(len(heads), np.bool_)
        if not num_references:
            waits = np.zeros(int(self.ranks.max()) + 1, np.bool_)
            waits[self.ranks[~is_head]] = True
            leads = ~waits[self.ranks[heads]]
        is_led = np.repeat(leads, counts)
        follows = is_led & ~is_head & (self.ranks >= num_references)
        leaders = np.repeat(self.ranks[heads], counts)[follows]
        return leaders.astype(np.int64), self.ranks[follows].astype(np.int64), is_led & is_head

    def heads(self) -> tuple[Numbers, Numbers]:
        """The first entry of each bucket, and how many it has."""
        heads = np.flatnonzero(np.diff(self.buckets, prepend=-1))
        return heads, np.diff(heads, append=len(self.buckets))


def share_buckets(read_band: ReadBand, num_bands: int, order: Numbers) -> SharedBuckets:
    """The buckets that two of the documents in `order`, which gives their ranks, share."""
    pieces: list[SharedBuckets] = [SharedBuckets(np.empty(0, np.int32), np.empty(0, np.int32))]
    seen = np.empty(0, np.uint64)
    count = 0
    for band in range(num_bands):
        own = _share_band(read_band(band)[order])
        prints = _fingerprints(own)
        is_new = np.isin(prints, seen, invert=True)
        seen = np.concatenate([seen, prints[is_new]])
        own = own.where(is_new[own.buckets])
        numbers = np.cumsum(is_new, dtype=np.int32) - 1 + count
        pieces.append(SharedBuckets(numbers[own.buckets], own.ranks))
        count += int(is_new.sum())
    return SharedBuckets(*map(np.concatenate, zip(*pieces, strict=True)))


def _share_band(keys: Hashes) -> SharedBuckets:
    ranks = np.argsort(keys, kind="stable")
    keys = keys[ranks]
    is_same = keys[1:] == keys[:-1]
    is_shared = np.zeros(len(keys), np.bool_)
    is_shared[1:] |= is_same
    is_shared[:-1] |= is_same
    is_first = np.concatenate([np.ones(min(len(keys), 1), np.bool_), ~is_same])[is_shared]
    buckets = np.cumsum(is_first, dtype=np.int32) - 1
    return SharedBuckets(buckets.astype(np.int32), ranks[is_shared].astype(np.int32))


def _fingerprints(shared: SharedBuckets) -> Hashes:
    """A number for each bucket that tells by its members whether it was met before."""
    heads, _ = shared.heads()
    if not len(heads):
        return np.empty(0, np.uint64)
    return np.add.reduceat(mix(shared.ranks.astype(np.uint64) + np.uint64(1)), heads)
