"""Which split a document belongs to, and its place there: both by a hash of its id.

The hash is a number from 0 to 1: the lowest go to test, the next to valid, the rest to train.
So no document moves when others come or go, the test split stays when the valid fraction changes,
and the order by hash is a shuffle that depends on the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from pipeline.shared.params.text import TokenizeParams

SPLITS = ("train", "valid", "test")

Keys = npt.NDArray[np.uint64]


def split_keys(ids: Iterable[str], *, seed: int) -> Keys:
    """A uniform 64-bit number for each document id: [documents]."""
    key = str(seed).encode()
    digests = (blake2b(id_.encode(), digest_size=8, key=key).digest() for id_ in ids)
    return np.fromiter((int.from_bytes(digest, "little") for digest in digests), np.uint64)


def split_bounds(params: TokenizeParams) -> dict[str, tuple[int, int]]:
    """The range of keys of each split, its end excluded.

    The three ranges are disjoint and cover 0 ... 2**64.
    """
    test = round(params.test_fraction * 2**64)
    valid = round((params.test_fraction + params.valid_fraction) * 2**64)
    return {"train": (valid, 2**64), "valid": (test, valid), "test": (0, test)}


def in_bounds(keys: Keys, bounds: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which keys lie in a split's range: [documents]."""
    low, high = bounds
    if low == high:
        return np.zeros(len(keys), np.bool_)
    return (keys >= np.uint64(low)) & (keys <= np.uint64(high - 1))
