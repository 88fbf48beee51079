"""One meaning of "overlap": normalised words, n-grams, and two ways to count shared ones.

The paper (section 4) fills Bloom filters with the training side's 8-grams of lower-case
alphanumeric words, false-positive rate at most 1e-8 (`BloomFilter`). The other way round needs
little memory: an exact index of the evaluation side, over which the training side is streamed once
(`ExactIndex`). Both see n-grams as 64-bit hashes, made here and stable over runs and machines.

Odds of a collision: two different n-grams share a hash with probability 2^-64, so streaming
WebText (7e9 distinct n-grams) over an index of 5e6 gives 5e6 * 7e9 / 2^64 = 0.002 false matches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.files import open_atomic
from pipeline.words import Hashes, hash_words, mix

Places = npt.NDArray[np.int64]

_CHUNK = 2**14  # keys at a time, so that the arrays of one step stay in a core's cache
_LENGTH = 0xD1B54A32D192ED03


class NgramHasher:
    """Hashes n-grams of words to 64 bits."""

    def __init__(self, num_words: int) -> None:
        self.num_words = num_words

    def hash_ngrams(self, words: Sequence[str]) -> Hashes:
        """One hash per n-gram, in order: [len(words) - n + 1], empty for a shorter text."""
        return combine(hash_words(words), self.num_words)

    def hash_item(self, words: Sequence[str]) -> Hashes:
        """The n-grams of an item; of one with fewer than n words, its one hash as a whole."""
        return combine(hash_words(words), min(self.num_words, len(words)))


def combine(word_hashes: Hashes, num_words: int) -> Hashes:
    """Hashes of all runs of `num_words` words: [len(word_hashes) - num_words + 1]."""
    if not 0 < num_words <= len(word_hashes):
        return np.empty(0, np.uint64)
    return next(combine_lengths(word_hashes, [num_words]))


def combine_lengths(word_hashes: Hashes, lengths: Sequence[int]) -> Iterator[Hashes]:
    """As `combine`, for several lengths in one pass; `lengths` rise from 1 or more.

    A word's hash is multiplied by the number of its place in the run, so that order counts; the
    length is added: a short item taken whole never equals an n-gram by construction.
    """
    sums = np.zeros(len(word_hashes), np.uint64)
    done = 0
    for length in lengths:
        for place in range(done, length):
            count = max(len(word_hashes) - place, 0)
            sums = sums[:count]
            sums += word_hashes[place:] * _place_factor(place)
        done = length
        yield mix(sums + np.uint64(length * _LENGTH % 2**64))


@cache
def _place_factor(place: int) -> np.uint64:
    number: np.uint64 = mix(np.array([place + 1], np.uint64))[0]
    return number | np.uint64(1)


class Matches(NamedTuple):
    """Where a text meets an index, by length and then by position in the text; all [matches]."""

    places: Places
    """Which of the index's hashes."""
    starts: Places
    """Which word of the text the shared n-gram begins at."""
    lengths: Places
    """How many words it has: n, or those of a short item matched whole."""


class ExactIndex:
    """The n-grams of the evaluation side, for a training side that is streamed past them."""

    def __init__(self, items: Iterable[Sequence[str]], num_words: int) -> None:
        """Index the words of each item; one of fewer than `num_words` words counts as a whole."""
        self.hasher = NgramHasher(num_words)
        pieces: list[Hashes] = [np.empty(0, np.uint64)]
        lengths: set[int] = set()
        for words in items:
            if words:
                pieces.append(self.hasher.hash_item(words))
                lengths.add(min(len(words), num_words))
        self._settle(np.unique(np.concatenate(pieces)), sorted(lengths))

    def _settle(self, hashes: Hashes, lengths: list[int]) -> None:
        self.hashes = hashes
        """[n-grams], sorted and distinct."""
        self.lengths = lengths
        """Numbers of words: n, and those of the items that count as a whole."""
        # A table over the leading bits turns 9 of 10 absent hashes away without a search.
        bits = max(len(self.hashes), 1).bit_length() + 3
        self._shift = np.uint64(64 - bits)
        self._occupied = np.zeros(2**bits, np.bool_)
        self._occupied[self.hashes >> self._shift] = True

    def save(self, path: Path) -> None:
        """Write the index for `load`, in this process or another."""
        with open_atomic(path) as file:
            np.savez(
                file, hashes=self.hashes, lengths=self.lengths, num_words=self.hasher.num_words
            )

    @classmethod
    def load(cls, path: Path) -> ExactIndex:
        """The index that `save` wrote."""
        with np.load(path) as arrays:
            index = cls([], int(arrays["num_words"]))
            index._settle(arrays["hashes"], arrays["lengths"].tolist())
        return index

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, hashes: Hashes) -> Places:
        """The place of each hash in `self.hashes`, or -1: [hashes]."""
        places = np.full(len(hashes), -1, np.int64)
        likely = np.flatnonzero(self._occupied[hashes >> self._shift])
        if len(likely):
            wanted = hashes[likely]
            found = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
            places[likely] = np.where(self.hashes[found] == wanted, found, -1)
        return places

    def match(self, words: Sequence[str]) -> Matches:
        """All n-grams, and all short items as a whole, that a text shares with the index."""
        return self.match_hashes(hash_words(words))

    def match_hashes(self, word_hashes: Hashes) -> Matches:
        """As `match`, for a text whose words are hashed already."""
        places, starts, lengths = [], [], []
        hashes = combine_lengths(word_hashes, self.lengths)
        for length, own in zip(self.lengths, hashes, strict=True):
            found = self.find(own)
            hits = np.flatnonzero(found >= 0)
            places.append(found[hits])
            starts.append(hits)
            lengths.append(np.full(len(hits), length, np.int64))
        if not places:
            return Matches(*(np.empty(0, np.int64) for _ in range(3)))
        return Matches(np.concatenate(places), np.concatenate(starts), np.concatenate(lengths))


class BloomFilter:
    """A set of hashes that may say yes to an absent one, with a known and bounded probability.

    Sized by the textbook: -ln(bound) / ln(2)^2 bits a key and log2(1 / bound) probes, which for
    the paper's bound of 1e-8 is 38.3 bits and 27 probes. Probes are independent outputs of a
    mixing function and not an arithmetic progression (double hashing), whose excess of false
    positives would not fit under so low a bound: then the rate is exactly fill ** probes.
    """

    def __init__(self, capacity: int, bound: float) -> None:
        """Room for `capacity` distinct keys at a false-positive rate of at most `bound`."""
        if not 0 < bound < 1:
            raise ValueError(f"bound = {bound} is no probability between 0 and 1")
        self.bound = bound
        self.num_probes = math.ceil(-math.log2(bound))
        self.num_bits = size_bits(capacity, bound)
        self.cells: npt.NDArray[np.uint8] = np.zeros(self.num_bits // 8, np.uint8)

    def add(self, hashes: Hashes) -> None:
        """Add keys; adding one again changes nothing."""
        for chunk in _chunks(hashes):
            for probe in range(self.num_probes):
                bits = self._bits(chunk, probe)
                masks = np.uint8(1) << (bits & np.uint64(7)).astype(np.uint8)
                np.bitwise_or.at(self.cells, bits >> np.uint64(3), masks)

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Whether each key was added: never a false no, a false yes at `false_positive_rate`."""
        answers = [self._contains(chunk) for chunk in _chunks(hashes)]
        return np.concatenate(answers) if answers else np.empty(0, np.bool_)

    def _contains(self, keys: Hashes) -> npt.NDArray[np.bool_]:
        left = np.arange(len(keys))  # each probe turns half of the absent keys away
        for probe in range(self.num_probes):
            bits = self._bits(keys[left], probe)
            masks = np.uint8(1) << (bits & np.uint64(7)).astype(np.uint8)
            left = left[(self.cells[bits >> np.uint64(3)] & masks) != 0]
        answers = np.zeros(len(keys), np.bool_)
        answers[left] = True
        return answers

    def _bits(self, keys: Hashes, probe: int) -> Hashes:
        # SplitMix64's stream from the key: state + probe * golden ratio, mixed.
        step = (probe + 1) * 0x9E3779B97F4A7C15 % 2**64
        return mix(keys + np.uint64(step)) % np.uint64(self.num_bits)

    @property
    def fill(self) -> float:
        """The fraction of bits that are set."""
        return int(np.bitwise_count(self.cells).sum(dtype=np.int64)) / self.num_bits

    @property
    def false_positive_rate(self) -> float:
        """The probability of a yes to a key that was not added: fill ** probes."""
        return float(self.fill**self.num_probes)

    def count_found_random(self, num_strings: int, num_words: int, *, seed: int) -> int:
        """How many of `num_strings` random n-grams the filter claims to hold.

        The paper's check: 1,000,000 generated strings, none found. The n-grams are drawn from
        65,536 words of 12 random letters, of which no text has any.
        """
        generator = np.random.default_rng(seed)
        letters = generator.integers(ord("a"), ord("z") + 1, (65_536, 12), np.uint8)
        vocabulary = hash_words([bytes(row).decode() for row in letters])
        found = 0
        for start in range(0, num_strings, _CHUNK):
            count = min(_CHUNK, num_strings - start)
            choice = generator.integers(0, len(vocabulary), count + num_words - 1)
            found += int(self.contains(combine(vocabulary[choice], num_words)).sum())
        return found


def size_bits(capacity: int, bound: float) -> int:
    """Bits of a Bloom filter for `capacity` keys at a false-positive rate of `bound`.

    The fill that `capacity` keys reach varies by chance; 0.1 % of slack and 4096 bits keep
    fill ** probes below the bound.

    >>> round(size_bits(10**9, 1e-8) / 10**9, 1)  # bits a key
    38.4
    """
    probes = math.ceil(-math.log2(bound))
    # fill = 1 - exp(-probes * capacity / bits) must be at most bound ** (1 / probes)
    bits = probes * capacity / -math.log1p(-(bound ** (1 / probes)))
    return math.ceil((bits * 1.001 + 4096) / 8) * 8


def _chunks(hashes: Hashes) -> Iterable[Hashes]:
    return (hashes[start : start + _CHUNK] for start in range(0, len(hashes), _CHUNK))
