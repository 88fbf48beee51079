"""Texts in parts that the tokenizers' libraries can take, with the tokens of the whole text.

GPT-2's pattern cuts a text into pieces: letters, digits, other signs, each with one space before
them, or white space. Merges never pass from one piece to the next, so a text can be parted between
two of them without another token. Only a piece longer than a library takes is parted within.
"""

from __future__ import annotations

import re
from itertools import pairwise

import regex

MOST_OF_PIECE = 2**22  # characters, which take tiktoken 4 s and 400 MB
_MOST_SPACES = 2**19  # tiktoken's pattern gives up at a million with another character behind them
# White space as Unicode and tiktoken have it; Python's own has four control characters more.
_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_PYTHONS_OWN = ("\x1c", "\x1d", "\x1e", "\x1f")
_SPACES = re.compile(rf"[{_SPACE}]{{2,}}")
NEVER_PARTED = _MOST_SPACES  # a text of fewer characters
_RUN = regex.compile(rf"\p{{L}}+|\p{{N}}+|[^{_SPACE}\p{{L}}\p{{N}}]+|[{_SPACE}]+")


def part_text(text: str, most: int = MOST_OF_PIECE) -> tuple[list[str], int]:
    """A text in parts, whose tokens one after the other are those of the whole.

    Args:
        text: any.
        most: characters of one piece; a longer one is parted within.

    Returns:
        The parts, nearly always the text itself, and how often a piece was parted within, where
        the tokens may be others.
    """
    if len(text) < min(most, _MOST_SPACES):
        return [text], 0
    within = _within_pieces(text, most)
    bounds = [0, *sorted({*_beside_spaces(text), *within}), len(text)]
    return [text[a:b] for a, b in pairwise(bounds) if a < b], len(within)


def _beside_spaces(text: str) -> list[int]:
    """Where a long white space begins, and before its last character, which the next piece has."""
    if len(text) < _MOST_SPACES:
        return []
    long = [span for span in map(re.Match.span, _SPACES.finditer(text))
            if span[1] - span[0] >= _MOST_SPACES and span[1] < len(text)]  # fmt: skip
    return [place for start, end in long for place in (start, end - 1)]


def _within_pieces(text: str, most: int) -> list[int]:
    if not _may_have_longer(text, most):
        return []
    runs = (found.span() for found in _RUN.finditer(text))
    return [place for start, end in runs for place in range(start + most, end, most)]


def _may_have_longer(text: str, most: int) -> bool:
    """Whether a piece may have more than `most` characters, told faster than by cutting them."""
    words = text.split()
    if max(map(len, words), default=0) >= most or any(own in text for own in _PYTHONS_OWN):
        return True
    num_spaces = len(text) - sum(map(len, words))
    if num_spaces - len(words) < most - 2:  # one between two words, and no more left
        return False
    return any(end - start >= most for start, end in map(re.Match.span, _SPACES.finditer(text)))
