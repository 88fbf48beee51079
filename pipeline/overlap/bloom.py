"""The paper's Bloom filter: a set of hashes that may say yes to an absent one, at a bounded rate.

Each key's bits lie in one block of 64 KiB, chosen by the key's leading bits. Sorted keys therefore
fill the filter from front to back, one block in a core's cache at a time, and a part of the filter
can be filled and asked by itself: neither the whole filter nor all keys need be in memory. A filter
whose bits lie anywhere waits for memory 27 times a key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.shared.text.ngrams import combine
from pipeline.shared.text.words import Hashes, hash_words, mix

_BLOCK_BITS = 2**19
_PROBES_A_MIX = 3  # 64 bits give three places in a block, 21 bits apart
_GOLDEN = 0x9E3779B97F4A7C15
_RANDOM_WORDS = 65_536
_CHUNK = 2**15  # keys asked for at a time, so that the arrays of one step stay in a core's cache


@dataclass(frozen=True)
class BloomShape:
    """How large a filter is, and in how many parts it is filled."""

    bound: float
    """On the false-positive rate."""
    num_parts: int
    blocks_a_part: int

    @property
    def num_probes(self) -> int:
        """Bits of a key: log2(1 / bound), 27 for the paper's 1e-8."""
        return math.ceil(-math.log2(self.bound))

    @property
    def num_blocks(self) -> int:
        """Of all parts."""
        return self.num_parts * self.blocks_a_part

    @property
    def num_bytes(self) -> int:
        """Of the whole filter."""
        return self.num_blocks * _BLOCK_BITS // 8


def shape_filter(capacity: int, bound: float, *, num_parts: int = 1) -> BloomShape:
    """A filter for `capacity` distinct keys at a false-positive rate of at most `bound`.

    The textbook's -ln(bound) / ln(2)^2 bits a key, 38.4 for 1e-8, in whole blocks. Blocks get
    unequal numbers of keys: with 13,600 keys a block the spread of 0.9 % raises the rate by 1.3 %,
    for which 0.2 % more bits make up, and six standard errors of the number of keys in one block
    or in all are added.

    >>> round(8 * shape_filter(10**9, 1e-8).num_bytes / 10**9, 1)  # bits a key
    38.4
    """
    if not 0 < bound < 1:
        raise ValueError(f"bound = {bound} is no probability between 0 and 1")
    probes = math.ceil(-math.log2(bound))
    # fill = 1 - exp(-probes * capacity / bits) must be at most bound ** (1 / probes)
    bits = probes * capacity / -math.log1p(-(bound ** (1 / probes)))
    bits *= 1.002 + 6 / math.sqrt(max(capacity, 1))
    return BloomShape(bound, num_parts, max(math.ceil(bits / num_parts / _BLOCK_BITS), 1))


class BloomFilter:
    """One part of a filter of this shape (of one part, unless said otherwise: the whole).

    Probes are independent outputs of a mixing function and not an arithmetic progression (double
    hashing), whose excess of false positives would not fit under so low a bound: then the rate of a
    block is exactly its fill ** probes.
    """

    def __init__(self, shape: BloomShape, part: int = 0) -> None:
        self.shape = shape
        self._first = part * shape.blocks_a_part
        self.cells: npt.NDArray[np.uint8] = np.zeros(
            (shape.blocks_a_part, _BLOCK_BITS // 8), np.uint8
        )

    def add(self, hashes: Hashes) -> None:
        """Add keys of this part, in rising order; adding one again changes nothing."""
        assert (hashes[1:] >= hashes[:-1]).all(), "keys must rise"
        for block in range(len(self.cells)):
            keys = hashes[slice_part(hashes, self._first + block, self.shape.num_blocks)]
            if len(keys):
                bits = np.zeros(_BLOCK_BITS, np.bool_)
                for places in self._places(keys):
                    bits[places] = True
                self.cells[block] |= np.packbits(bits, bitorder="little")

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Whether each key of this part was added: never a false no."""
        starts = range(0, len(hashes), _CHUNK)
        answers = [self._contains(hashes[start : start + _CHUNK]) for start in starts]
        return np.concatenate([np.empty(0, np.bool_), *answers])

    def _contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        blocks = self._blocks(hashes)
        left = np.arange(len(hashes))
        for probe in range(self.shape.num_probes):  # each turns half of the absent keys away
            places = _probe(_mixed(hashes[left], probe // _PROBES_A_MIX), probe % _PROBES_A_MIX)
            bits = self.cells[blocks[left], places >> 3] >> (places & 7).astype(np.uint8)
            left = left[(bits & 1) != 0]
        answers = np.zeros(len(hashes), np.bool_)
        answers[left] = True
        return answers

    def _blocks(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        """The block of each key within this part; rises with the key."""
        return part_of(hashes, self.shape.num_blocks) - self._first

    def _places(self, keys: Hashes) -> Iterator[npt.NDArray[np.int64]]:
        """Each probe's bit in the block, of all keys."""
        mixed = keys
        for probe in range(self.shape.num_probes):
            if probe % _PROBES_A_MIX == 0:
                mixed = _mixed(keys, probe // _PROBES_A_MIX)
            yield _probe(mixed, probe % _PROBES_A_MIX)

    @property
    def false_positive_rate(self) -> float:
        """The probability of a yes to a key of this part that was not added.

        The mean over the blocks, which absent keys meet equally often, of fill ** probes.
        """
        fills = np.bitwise_count(self.cells).sum(axis=1, dtype=np.int64) / _BLOCK_BITS
        return float((fills**self.shape.num_probes).mean())


def _mixed(keys: Hashes, number: int) -> Hashes:
    """SplitMix64's stream from the key: state + number * golden ratio, mixed."""
    return mix(keys + np.uint64((number + 1) * _GOLDEN % 2**64))


def _probe(mixed: Hashes, third: int) -> npt.NDArray[np.int64]:
    # seen as signed, which NumPy takes for an index without a copy
    return ((mixed >> np.uint64(21 * third)) & np.uint64(_BLOCK_BITS - 1)).view(np.int64)


def part_of(hashes: Hashes, num_parts: int) -> npt.NDArray[np.int64]:
    """Which of `num_parts` equal ranges of hashes each lies in; rises with the hash."""
    return ((hashes >> np.uint64(32)) * np.uint64(num_parts) >> np.uint64(32)).astype(np.int64)


def slice_part(hashes: Hashes, number: int, num_parts: int) -> slice:
    """Where the hashes of one of the parts lie among sorted ones, without reading them all."""
    start, end = (
        int(np.searchsorted(hashes, _first_hash(part, num_parts))) if part < num_parts else None
        for part in (number, number + 1)
    )
    return slice(start, len(hashes) if end is None else end)


def _first_hash(part: int, num_parts: int) -> np.uint64:
    # `part_of` goes by the 32 leading bits: part p begins at the least x with x * parts >= p << 32.
    return np.uint64(-(-(part << 32) // num_parts) << 32)


def random_ngrams(num_strings: int, num_words: int, *, seed: int) -> Hashes:
    """Sorted hashes of random n-grams, for the paper's check: 1,000,000 of them, none found.

    They are drawn from 65,536 words of 12 random letters, of which no text has any.
    """
    generator = np.random.default_rng(seed)
    letters = generator.integers(ord("a"), ord("z") + 1, (_RANDOM_WORDS, 12), np.uint8)
    vocabulary = hash_words([bytes(row).decode() for row in letters])
    choice = generator.integers(0, len(vocabulary), num_strings + num_words - 1)
    return np.sort(combine(vocabulary[choice], num_words))
