"""Runs of words of each document: for MinHash as they come, for Jaccard as sets.

A set is kept as the leading 32 bits of its members' hashes: half the disk of the whole hashes, and
two documents of 1000 shingles each share one by chance once in 4000 pairs, which shifts their
similarity by less than 0.001.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.running.open_files import allow_files
from pipeline.shared.text.ngrams import combine
from pipeline.shared.text.words import HashedTexts, Hashes, Numbers

Members = npt.NDArray[np.uint32]

_MEMBERS, _OFFSETS = "shingles.npy", "shingle_offsets.npy"
_PAIR_MEMBERS = 2**18  # compared at a time, so that they stay in a core's cache


class Shingles(NamedTuple):
    """The shingles of many documents."""

    hashes: Hashes
    """Of all documents, one after the other, repetitions included."""
    counts: Numbers
    """How many are each document's: [documents]."""

    @property
    def offsets(self) -> Numbers:
        """Where each document's begin, and where the last ones end: [documents + 1]."""
        return count_offsets(self.counts)


def make_shingles(texts: HashedTexts, num_words: int) -> Shingles:
    """Every run of `num_words` words; a shorter document is one shingle, an empty one has none."""
    starts = count_offsets(np.diff(texts.ends, prepend=0))[:-1]
    lengths = texts.ends - starts
    counts = np.maximum(lengths - num_words + 1, 0)
    hashes = combine(texts.words, num_words)[_ranges(starts, counts)]
    short = np.flatnonzero((lengths > 0) & (counts == 0))
    if len(short):
        wholes = [combine(texts.words[starts[n] : texts.ends[n]], lengths[n]) for n in short]
        hashes = np.insert(hashes, np.cumsum(counts)[short], np.concatenate(wholes))
        counts[short] = 1
    return Shingles(hashes, counts)


def distinct_members(shingles: Shingles) -> tuple[Members, Numbers]:
    """The sorted, distinct members of each document's set, end to end, and how many it has."""
    members = (shingles.hashes >> np.uint64(32)).astype(np.uint32)
    offsets = shingles.offsets
    _sort_parts(members, offsets)
    is_first = np.ones(len(members), np.bool_)
    np.not_equal(members[1:], members[:-1], out=is_first[1:])
    is_first[offsets[:-1][shingles.counts > 0]] = True
    return members[is_first], np.diff(count_offsets(is_first.astype(np.int64))[offsets])


class ShingleSets:
    """The sets of all documents, numbered over all shards; mapped from files, not read.

    A map holds its file open, so that there is one a shard for as long as these are in use.
    """

    def __init__(self, members: Sequence[Members], offsets: Sequence[Numbers]) -> None:
        """One array of each for each shard."""
        self._members, self._offsets = members, offsets
        counts = [np.diff(own).astype(np.int32) for own in offsets]
        self._firsts = count_offsets(np.array([len(own) for own in counts], np.int64))
        self.sizes = np.concatenate([np.empty(0, np.int32), *counts])
        """The size of each document's set: [documents]."""

    @classmethod
    def open(cls, folders: Sequence[Path]) -> ShingleSets:
        """The sets that `save_sets` wrote into these folders."""
        allow_files(len(folders))
        members = [np.asarray(np.load(folder / _MEMBERS, mmap_mode="r")) for folder in folders]
        return cls(members, [np.load(folder / _OFFSETS) for folder in folders])

    def _find(self, documents: Numbers) -> list[Members]:
        """The set of each document, sorted."""
        shards = np.searchsorted(self._firsts, documents, side="right") - 1
        rows = documents - self._firsts[shards]
        return [
            self._members[shard][self._offsets[shard][row] : self._offsets[shard][row + 1]]
            for shard, row in zip(shards.tolist(), rows.tolist(), strict=True)
        ]

    def similarities(self, left: Numbers, right: Numbers) -> npt.NDArray[np.float64]:
        """The Jaccard similarity of each pair, intersection over union: [pairs]."""
        sizes = self.sizes[left].astype(np.int64) + self.sizes[right]
        cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _PAIR_MEMBERS)) + 1
        batches = zip(np.split(left, cuts), np.split(right, cuts), strict=True)
        shared = [self._count_shared(*batch) for batch in batches if len(left)]
        common = np.concatenate([np.empty(0, np.int64), *shared])
        similarities: npt.NDArray[np.float64] = common / np.maximum(sizes - common, 1)
        return similarities

    def _count_shared(self, left: Numbers, right: Numbers) -> Numbers:
        """Members that each pair has in common: those that occur twice in the pair."""
        pairs = zip(self._find(left), self._find(right), strict=True)
        both = np.concatenate([own for pair in pairs for own in pair])
        offsets = count_offsets(self.sizes[left].astype(np.int64) + self.sizes[right])
        _sort_parts(both, offsets)
        is_twice = np.zeros(len(both), np.bool_)
        np.equal(both[1:], both[:-1], out=is_twice[1:])
        is_twice[offsets[:-1]] = False  # equal to the last of the pair before
        shared: Numbers = np.diff(count_offsets(is_twice.astype(np.int64))[offsets])
        return shared


def save_sets(folder: Path, batches: Sequence[tuple[Members, Numbers]]) -> None:
    """Write what `distinct_members` made of a shard's batches."""
    members = [np.empty(0, np.uint32), *(own for own, _ in batches)]
    counts = [np.empty(0, np.int64), *(own for _, own in batches)]
    np.save(folder / _MEMBERS, np.concatenate(members))
    np.save(folder / _OFFSETS, count_offsets(np.concatenate(counts)))


def _sort_parts(members: Members, offsets: Numbers) -> None:
    """Sort each part by itself: short runs of 32 bits sort five times as fast as all in one."""
    for start, end in pairwise(offsets.tolist()):
        members[start:end].sort()


def count_offsets(counts: Numbers) -> Numbers:
    """Where each of several arrays begins, one after the other, and the last ends: [arrays + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _ranges(starts: Numbers, counts: Numbers) -> Numbers:
    """start, start + 1, ... (count numbers) for each pair, one after the other."""
    before = np.cumsum(counts) - counts
    numbers: Numbers = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return numbers
