"""Texts in parts that the tokenizers' libraries can take, with the tokens of the whole text.

GPT-2's pattern cuts a text into pieces: letters, digits, other signs, each with one space before
them, or white space. Merges never pass from one piece to the next, so a text can be parted between
two of them without another token. Only a piece longer than a library takes is parted within.
"""

from __future__ import annotations

from itertools import pairwise

import regex

MOST_OF_PIECE = 2**22  # characters, which take tiktoken 4 s and 400 MB
_MOST_SPACES = 2**19  # tiktoken's pattern gives up at a million with another character behind them
NEVER_PARTED = min(MOST_OF_PIECE, _MOST_SPACES)  # a text of fewer characters
# White space as Unicode and tiktoken have it; Python's own has four control characters more.
_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_KINDS = rf"\p{{L}}+|\p{{N}}+|[^{_SPACE}\p{{L}}\p{{N}}]+|[{_SPACE}]+"
_RUN = regex.compile(_KINDS)
_RUN_BACKWARDS = regex.compile(rf"(?r){_KINDS}")
_IS_SPACE = regex.compile(f"[{_SPACE}]")


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
    within = [place for start, end in _runs(text, most) for place in range(start + most, end, most)]
    bounds = [0, *sorted({*_beside_spaces(text), *within}), len(text)]
    return [text[a:b] for a, b in pairwise(bounds) if a < b], len(within)


def _beside_spaces(text: str) -> list[int]:
    """Where a long white space begins, and before its last character, which the next piece has."""
    runs = _runs(text, _MOST_SPACES)
    long = [run for run in runs if _IS_SPACE.match(text, run[0]) and run[1] < len(text)]
    return [place for start, end in long for place in (start, end - 1)]


def _runs(text: str, least: int) -> list[tuple[int, int]]:
    """Where runs of one kind begin and end that have at least so many characters.

    Each of them covers a multiple of that number, so only the runs at these are looked at.
    """
    found = []
    end = 0
    for place in range(0, len(text), least):
        if place >= end:
            start = _RUN_BACKWARDS.match(text, 0, place + 1).start()
            end = _RUN.match(text, start).end()
            if end - start >= least:
                found.append((start, end))
    return found
