"""Near-duplicates: MinHash finds the candidates, the true Jaccard similarity decides.

Candidates share one of several bands of their MinHash signatures. Bands are chosen narrow, for
recall; the false candidates they bring cost a comparison each and never a document.

Which document stays is decided greedily by rank (the earliest link, then the lowest id): a
document is removed if and only if it is similar enough to one of lower rank that stays. So no two
kept documents are near-duplicates, each removed one is truly similar to the kept one it names
(with union-find, a chain of edits could remove a document that resembles nothing kept), and the
outcome depends neither on shard order nor on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from pipeline.words import Hashes, mix

_RECALL = 0.995  # of pairs exactly at the threshold; more similar pairs are missed less


class Bands(NamedTuple):
    """How a signature is cut."""

    num_bands: int
    num_rows: int


def choose_bands(num_permutations: int, threshold: float) -> Bands:
    """The widest bands that still find a pair at the threshold with a probability of 0.995.

    A pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b.

    >>> choose_bands(128, 0.8)
    Bands(num_bands=21, num_rows=6)
    """
    for rows in range(num_permutations, 1, -1):
        bands = Bands(num_permutations // rows, rows)
        if candidate_probability(bands, threshold) >= _RECALL:
            return bands
    return Bands(num_permutations, 1)


def candidate_probability(bands: Bands, similarity: float) -> float:
    """The probability that a pair of this similarity becomes a candidate."""
    return float(1 - (1 - similarity**bands.num_rows) ** bands.num_bands)


def band_keys(
    shingles: Sequence[Hashes], *, num_permutations: int, bands: Bands, seed: int
) -> Hashes:
    """A key for each band of each document's signature: [documents, bands]."""
    if not shingles:
        return np.empty((0, bands.num_bands), np.uint64)
    flat = np.concatenate([*shingles])
    offsets = np.cumsum([0, *map(len, shingles)])
    digests = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, num_permutations, seed)
    signatures = np.array(digests.to_rows(), np.uint64)[:, : bands.num_bands * bands.num_rows]
    rows = signatures.reshape(len(shingles), bands.num_bands, bands.num_rows)
    keys = np.broadcast_to(np.arange(bands.num_bands, dtype=np.uint64), rows.shape[:2])
    for row in range(bands.num_rows):
        keys = mix(keys + rows[:, :, row])
    return keys


def jaccard(left: Hashes, right: Hashes) -> float:
    """Size of the intersection over size of the union of two sorted sets of hashes.

    >>> jaccard(np.array([1, 2, 3], np.uint64), np.array([2, 3, 4], np.uint64))
    0.5
    """
    if not len(left) or not len(right):
        return 0.0
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


class NearDuplicates(NamedTuple):
    """The outcome, and what it cost."""

    kept_for: dict[int, int]
    """Document -> the document of lower rank that it is a near-duplicate of, and that stays."""
    num_compared: int


def find_near_duplicates(
    keys: Hashes, order: npt.NDArray[np.int64], shingles: Callable[[int], Hashes], threshold: float
) -> NearDuplicates:
    """Decide which documents are near-duplicates of one that stays.

    Args:
        keys: band keys, [documents, bands].
        order: the documents to consider, by rank.
        shingles: the sorted, distinct shingle hashes of a document.
        threshold: least Jaccard similarity of near-duplicates.
    """
    buckets = _shared_buckets(keys[order])
    kept: dict[int, list[int]] = {}
    kept_for: dict[int, int] = {}
    num_compared = 0
    for place in np.flatnonzero((buckets >= 0).any(axis=1)).tolist():
        mine = [bucket for bucket in buckets[place].tolist() if bucket >= 0]
        candidates = sorted({other for bucket in mine for other in kept.get(bucket, ())})
        own = shingles(int(order[place]))
        for other in candidates:
            theirs = shingles(int(order[other]))
            if min(len(own), len(theirs)) < threshold * max(len(own), len(theirs)):
                continue  # too different in size to be similar
            num_compared += 1
            if jaccard(own, theirs) >= threshold:
                kept_for[int(order[place])] = int(order[other])
                break
        else:
            for bucket in mine:
                kept.setdefault(bucket, []).append(place)
    return NearDuplicates(kept_for, num_compared)


def _shared_buckets(keys: Hashes) -> npt.NDArray[np.int64]:
    """A number for each key that two documents share, -1 for the others: [documents, bands].

    Most documents share no bucket, and need no place in the dictionary above.
    """
    buckets = np.full(keys.shape, -1, np.int64)
    first = 0
    for band in range(keys.shape[1]):
        _, number, count = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shared = count[number] > 1
        buckets[shared, band] = first + number[shared]
        first += len(count)
    return buckets
