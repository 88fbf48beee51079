"""MinHash signatures, cut into bands: documents that agree in one are worth a comparison."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
from rensa import RMinHash

from pipeline.dedup.shingles import Shingles
from pipeline.shared.text.words import Hashes, mix

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


def band_keys(shingles: Shingles, *, num_permutations: int, bands: Bands, seed: int) -> Hashes:
    """A key for each band of each document's signature: [bands, documents]."""
    count = len(shingles.counts)
    if not count:
        return np.empty((bands.num_bands, 0), np.uint64)
    digests = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.hashes, shingles.offsets, num_permutations, seed
    )
    values = np.fromiter(
        chain.from_iterable(digests.to_rows()), np.uint32, count * num_permutations
    )
    signatures = values.reshape(count, num_permutations).T.astype(np.uint64)
    rows = signatures[: bands.num_bands * bands.num_rows].reshape(*bands, count)
    keys = np.broadcast_to(
        np.arange(bands.num_bands, dtype=np.uint64)[:, None], (bands.num_bands, count)
    )
    for row in range(bands.num_rows):
        keys = mix(keys + rows[:, row])
    return keys
