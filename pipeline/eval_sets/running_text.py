"""Cut running text into examples that, put together again, are the whole file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.eval_sets.detokenizers import Detokenizer
from pipeline.eval_sets.sources import SourceFile
from pipeline.shared.formats.examples import Example

_BLOCK_BYTES = 1024
_ARTICLE = re.compile(r" = [^=\s].*[^=\s]? = ")


def sentences(file: SourceFile, detokenizer: Detokenizer) -> Iterator[Example]:
    """One sentence a line; each example keeps its newline."""
    for number, text in file.lines():
        raw = f"{text}\n"
        natural = detokenizer.detokenize(raw).text.strip()
        yield Example(id=str(number), text=natural, target=raw)


def articles(file: SourceFile, detokenizer: Detokenizer) -> Iterator[Example]:
    """WikiText's articles, each from its heading ` = Title = ` to the next."""
    lines: list[str] = []
    number, blank_before = 0, True
    for _, text in file.lines():
        starts = blank_before and _ARTICLE.fullmatch(text) is not None
        if starts and any(line.strip() for line in lines):
            yield _article(number, lines, detokenizer)
            number, lines = number + 1, []
        lines.append(text)
        blank_before = not text.strip()
    if lines:
        yield _article(number, lines, detokenizer)


def _article(number: int, lines: list[str], detokenizer: Detokenizer) -> Example:
    raw = "".join(f"{line}\n" for line in lines)
    title = next((line.strip(" =") for line in lines if line.strip()), "")
    natural = detokenizer.detokenize(raw).text.strip()
    return Example(id=str(number), text=natural, target=raw, group=title)


def blocks(content: bytes, *, first_id: int = 0) -> Iterator[Example]:
    """Blocks of at least 1 KiB of UTF-8, each up to the next newline or, without one, space.

    A character cut at either end of `content` is left out: up to three bytes at each.
    """
    text = whole_characters(content).decode()
    place, number = 0, first_id
    while place < len(text):
        end = _block_end(text, place)
        piece = text[place:end]
        yield Example(id=str(number), text=piece, target=piece)
        place, number = end, number + 1


def _block_end(text: str, start: int) -> int:
    """The end of the block from `start`: after a newline, or a space where lines are endless."""
    least = start + _BLOCK_BYTES
    newline = text.find("\n", least, least + _BLOCK_BYTES)
    if newline >= 0:
        return newline + 1
    space = text.find(" ", least)
    return space + 1 if space >= 0 else len(text)


def whole_characters(content: bytes) -> bytes:
    """`content` without the pieces of characters that were cut at its ends.

    >>> whole_characters("é, é".encode()[1:-1])
    b', '
    """
    start = next((n for n, byte in enumerate(content[:4]) if byte & 0xC0 != 0x80), 0)
    tail = content[-3:]
    for place, byte in enumerate(tail):
        width = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        if place + width > len(tail):  # a character that begins here is not all there
            return content[start : len(content) - len(tail) + place]
    return content[start:]


def last_twentieth(content: bytes) -> bytes:
    """The test part that the literature uses: the last 5 of 100 million bytes."""
    return content[len(content) - len(content) // 20 :]


def first_nine_tenths(content: bytes) -> bytes:
    """The train part that the literature uses: the first 90 of 100 million bytes."""
    return content[: len(content) * 9 // 10]
