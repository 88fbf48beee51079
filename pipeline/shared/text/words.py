"""What counts as a word, and words as 64-bit hashes, many texts at a time.

The hash of a word is a polynomial of its UTF-8 bytes modulo 2^64, each byte replaced by a random
number first, and mixed last. Prefix sums give it for all words of a buffer at once without a string
of its own for any: ten times as fast as a cryptographic hash of each. Two different words agree
with a probability of about 2^-63; nobody who writes text against it is guarded against.

Characters that are not to be seen (soft hyphens, zero-width spaces and joiners, direction marks)
part no word, as in Unicode's caseless matching (NFKC_Casefold).
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_WORD_CHARACTERS = (string.ascii_letters + string.digits).encode()
_ASCII_WORDS = bytes(
    ord(chr(code).lower()) if code in _WORD_CHARACTERS or code >= 128 else ord(" ")
    for code in range(128)
) + bytes(range(128, 256))  # of UTF-8: word characters only, once `word_bytes` has seen to it
_NOT_ASCII = re.compile("[\x80-\U0010ffff]")
_NO_WORD = re.compile(r"[^\x00-\x7f\w]")
# Default_Ignorable_Code_Point of the Unicode Character Database, version 17.
_IGNORABLES = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_IGNORABLE = re.compile(f"[{_IGNORABLES}]+")
_MOST_MARKS = 30  # in a row: of Unicode's Stream-Safe Text Format (UAX 15)
_LONG_RUN = re.compile(rf"[\x80-\U0010ffff]{{{_MOST_MARKS + 1}}}")
_SPACE = ord(" ")
_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses
_BATCH_CHARACTERS = 2**18
_CHUNK_BYTES = 2**15  # so that the arrays of one step, 256 KiB each, stay in a core's cache


def word_bytes(text: str) -> bytes:
    """The lower-case alphanumeric words of a text in UTF-8, with spaces for all between them."""
    if text.isascii():
        return text.encode().translate(_ASCII_WORDS)
    others = "".join(set(_NOT_ASCII.findall(text)))
    if _IGNORABLE.search(others):
        text = _IGNORABLE.sub("", text)
    if any(map(_is_mark, others)) and _LONG_RUN.search(text):
        text = _long_marks().sub(r"\1", text)
    lower = unicodedata.normalize("NFKC", text).lower()
    return _NO_WORD.sub(" ", lower).encode().translate(_ASCII_WORDS)


@cache
def _is_mark(character: str) -> bool:
    """Whether a character combines with the one before it, itself or once it is decomposed."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


@cache
def _long_marks() -> re.Pattern[str]:
    """More combining marks in a row than are wanted; the group is of as many as are.

    Python sorts such a run in the square of its length: 80,000 marks in a minute.
    """
    marks = "".join(filter(_is_mark.__wrapped__, map(chr, range(sys.maxunicode + 1))))
    return re.compile(f"([{marks}]{{{_MOST_MARKS}}})[{marks}]+")


def split_words(text: str) -> list[str]:
    """The lower-case alphanumeric words of a text, in any script.

    >>> split_words("Don't panic: it's the *2nd* Café_bar!")
    ['don', 't', 'panic', 'it', 's', 'the', '2nd', 'café', 'bar']
    """
    return word_bytes(text).decode().split()


def normalise(text: str) -> str:
    r"""The words of a text, joined by one space.

    >>> normalise("The  WHOLE,\nstudy.")
    'the whole study'
    """
    return " ".join(split_words(text))


class HashedTexts(NamedTuple):
    """Many texts as the hashes of their words."""

    words: Hashes
    """Of all texts, one after the other: [words]."""
    ends: Numbers
    """Where the words of each text end: [texts]."""


def hash_texts(texts: Sequence[str]) -> HashedTexts:
    """The hashes of the words of each text, as `hash_words(split_words(text))` gives them."""
    pieces = [word_bytes(text) for text in texts]
    data = np.frombuffer(b" ".join([b"", *pieces, b""]), np.uint8)
    is_word = data != _SPACE
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    text_ends = np.cumsum([len(piece) + 1 for piece in pieces], dtype=np.int64)
    return HashedTexts(_hash_pieces(data, starts, ends), np.searchsorted(starts, text_ends))


def batch_texts(texts: Sequence[str]) -> Iterator[slice]:
    """Cut many texts into batches of a size that suits `hash_texts`, a longer text by itself.

    >>> list(batch_texts(["short", "x" * 10**6, "short", "short"]))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 4, None)]
    """
    start = size = 0
    for number, text in enumerate(texts):
        if number > start and size + len(text) > _BATCH_CHARACTERS:
            yield slice(start, number)
            start, size = number, 0
        size += len(text)
    if start < len(texts):
        yield slice(start, len(texts))


def hash_words(words: Sequence[str]) -> Hashes:
    """One hash per word, or per string of any other kind: [words]."""
    pieces = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return _hash_pieces(np.frombuffer(b"".join(pieces), np.uint8), ends[:-1], ends[1:])


def _hash_pieces(data: npt.NDArray[np.uint8], starts: Numbers, ends: Numbers) -> Hashes:
    """The hash of data[start:end] for each pair; the pieces rise and do not overlap."""
    hashes = np.empty(len(starts), np.uint64)
    powers, inverses = _powers(_CHUNK_BYTES)
    done = 0
    while done < len(starts):
        begin = int(starts[done])
        until = int(np.searchsorted(ends, begin + _CHUNK_BYTES, side="right"))
        if until == done:
            hashes[done] = _hash_long(data[begin : int(ends[done])])
            done += 1
            continue
        own = data[begin : int(ends[until - 1])]
        terms = np.take(_byte_numbers(), own, mode="clip")  # three times as fast as indexing
        terms *= powers[: len(own)]
        sums = np.zeros(len(own) + 1, np.uint64)
        np.cumsum(terms, out=sums[1:])
        first, last = starts[done:until] - begin, ends[done:until] - begin
        hashes[done:until] = (sums[last] - sums[first]) * inverses[first]
        done = until
    return mix(hashes)


def _hash_long(piece: npt.NDArray[np.uint8]) -> int:
    """The polynomial of a piece that is longer than a chunk, a chunk at a time."""
    powers, _ = _powers(_CHUNK_BYTES)
    hash_ = 0
    for start in range(0, len(piece), _CHUNK_BYTES):
        own = _byte_numbers()[piece[start : start + _CHUNK_BYTES]]
        hash_ += int((own * powers[: len(own)]).sum()) * pow(_BASE, start, 2**64)
    return hash_ % 2**64


def mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection that spreads every bit."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


@cache
def _byte_numbers() -> Hashes:
    return mix(np.arange(1, 257, dtype=np.uint64) * np.uint64(_BASE))


@cache
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """The first powers of the base and of its inverse modulo 2^64."""
    inverse = pow(_BASE, -1, 2**64)
    return _first_powers(_BASE, count), _first_powers(inverse, count)


def _first_powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)
