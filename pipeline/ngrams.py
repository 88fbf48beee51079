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
import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.files import open_atomic

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_WORD = re.compile(r"[^\W_]+")
_ASCII_WORDS = bytes(
    ord(chr(code).lower()) if chr(code) in string.ascii_letters + string.digits else ord(" ")
    for code in range(256)
)
_CACHED_WORDS = 2**20  # about 150 MB; the vocabulary of a web corpus has no end
_CHUNK = 2**14  # keys at a time, so that the arrays of one step stay in a core's cache


def split_words(text: str) -> list[str]:
    """The lower-case alphanumeric words of a text, in any script.

    >>> split_words("Don't panic: it's the *2nd* Café_bar!")
    ['don', 't', 'panic', 'it', 's', 'the', '2nd', 'café', 'bar']
    """
    if text.isascii():  # the same words, ten times faster
        return text.encode().translate(_ASCII_WORDS).decode().split()
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def normalise(text: str) -> str:
    r"""The words of a text, joined by one space.

    >>> normalise("The  WHOLE,\nstudy.")
    'the whole study'
    """
    return " ".join(split_words(text))


class _WordHashes(dict[str, int]):
    """Remembers the hash of each word it is asked for."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        value = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        self[word] = value
        return value


class NgramHasher:
    """Hashes n-grams of words to 64 bits."""

    def __init__(self, num_words: int) -> None:
        self.num_words = num_words
        self._word_hashes = _WordHashes()

    def hash_words(self, words: Sequence[str]) -> Hashes:
        """One hash per word: the first 8 bytes of its BLAKE2b."""
        values = map(self._word_hashes.__getitem__, words)
        return np.fromiter(values, np.uint64, len(words))

    def hash_ngrams(self, words: Sequence[str]) -> Hashes:
        """One hash per n-gram, in order: [len(words) - n + 1], empty for a shorter text."""
        return combine(self.hash_words(words), self.num_words)

    def hash_item(self, words: Sequence[str]) -> Hashes:
        """The n-grams of an item; of one with fewer than n words, its one hash as a whole."""
        return self.combine_item(self.hash_words(words))

    def combine_item(self, word_hashes: Hashes) -> Hashes:
        """As `hash_item`, for an item whose words are hashed already."""
        return combine(word_hashes, min(self.num_words, len(word_hashes)))


def combine(word_hashes: Hashes, num_words: int) -> Hashes:
    """Hashes of all runs of `num_words` words: [len(word_hashes) - num_words + 1].

    Each word is added and mixed in turn, so that order counts. The length is the first thing mixed
    in: a short item taken whole never equals an n-gram by construction.
    """
    count = len(word_hashes) - num_words + 1
    if count <= 0 or num_words <= 0:
        return np.empty(0, np.uint64)
    hashes = np.full(count, num_words, np.uint64)
    for offset in range(num_words):
        hashes += word_hashes[offset : offset + count]
        hashes = mix(hashes)
    return hashes


def mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection that spreads every bit."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


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
        return self.match_hashes(self.hasher.hash_words(words))

    def match_hashes(self, word_hashes: Hashes) -> Matches:
        """As `match`, for a text whose words are hashed already."""
        places, starts, lengths = [], [], []
        for length in self.lengths:
            found = self.find(combine(word_hashes, length))
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
        vocabulary = NgramHasher(num_words).hash_words([bytes(row).decode() for row in letters])
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
