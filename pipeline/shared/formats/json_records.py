"""Records in JSON as corpora and dumps have them: one a line, or an array, or pretty-printed.

A file is read as lines if its first one is an object, or nothing that a longer value could begin
with; otherwise values are told apart by their brackets, one record in memory at a time.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.web.text_lines import TooLong, broken_archive, read_blocks, split_lines

_BEFORE_MORE = (b"{", b"[", b",", b":")  # at the end of a line: the value goes on in the next
_BRACKET = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class JsonPiece(NamedTuple):
    """The bytes of one record, not yet parsed."""

    unit: str
    """What `number` counts: `line` or `record`."""
    number: int
    """From 1; empty lines count, too."""
    content: bytes | TooLong


def read_json_pieces(path: Path, most_bytes: int) -> Iterator[JsonPiece]:
    """The records of a plain or compressed file; one longer than `most_bytes` is not held.

    Raises:
        UserError: there is no such file.
        CorruptDataError: the file breaks off or is damaged.
        RetryableError: the store gives no answer.
    """
    blocks = read_blocks(path)
    head = next(blocks, b"").removeprefix(codecs.BOM_UTF8)
    if _has_lines(head):
        for number, line in enumerate(split_lines(chain([head], blocks), most_bytes), 1):
            if isinstance(line, TooLong) or (line and not line.isspace()):
                yield JsonPiece("line", number, line)
    else:
        values = _Values(most_bytes)
        for number, value in enumerate(values.split(chain([head], blocks)), 1):
            yield JsonPiece("record", number, value)
        if values.depth:
            raise CorruptDataError(broken_archive(path, EOFError("it ends inside a value")))


def _has_lines(head: bytes) -> bool:
    text = head.lstrip()
    if text.startswith(b"["):
        return False
    first, end, rest = text.partition(b"\n")
    if not end or not first.rstrip().endswith(_BEFORE_MORE) or _is_object(first):
        return True
    return _is_object(rest.lstrip().partition(b"\n")[0])


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except (ValueError, RecursionError):
        return False


def parse_json(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested thousands of times.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # stricter than JSON as it is found: NaN, half a character
        return json.loads(content, parse_int=_parse_int)


def _parse_int(digits: str) -> int | float:
    """An integer of any length; one with more digits than Python converts is infinite."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


class _Values:
    """Cuts a stream of JSON values, in an array or one after the other, at their brackets."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.depth = 0
        """Brackets open at the end of what was read."""
        self._base = 0
        """Depth at which a record begins: 1 inside an array."""
        self._in_string = False
        self._escaped = 0
        """1 if the next block's first byte comes after a backslash."""

    def split(self, blocks: Iterable[bytes]) -> Iterator[bytes | TooLong]:
        """The objects; what else stands beside them is left out."""
        pieces: list[bytes] = []
        size = 0
        for block in blocks:
            start = 0
            for place, is_open in self._ends(block):
                if is_open:
                    start = place
                    continue
                size += place - start
                pieces.append(block[start:place])
                yield TooLong(size) if size > self._most_bytes else b"".join(pieces)
                pieces, size = [], 0
            if self.depth > self._base:
                size += len(block) - start
                if size > self._most_bytes:
                    pieces.clear()
                else:
                    pieces.append(block[start:])

    def _ends(self, block: bytes) -> Iterator[tuple[int, bool]]:
        """Where each record begins (True) and ends (False) in a block."""
        place, self._escaped = self._escaped, 0
        while place < len(block):
            if self._in_string:
                place = self._skip_string(block, place)
                continue
            found = _BRACKET.search(block, place)
            if found is None:
                return
            place = found.end()
            match found[0]:
                case b'"':
                    self._in_string = True
                case b"[" if self.depth == 0:
                    self.depth = self._base = 1
                case b"{" | b"[":
                    if self.depth == self._base:
                        yield found.start(), True
                    self.depth += 1
                case _ if self.depth:
                    self.depth -= 1
                    if self.depth < self._base:
                        self._base = 0
                    elif self.depth == self._base:
                        yield place, False

    def _skip_string(self, block: bytes, place: int) -> int:
        """Where the rest of a string ends, behind its quote, or the block does."""
        found = _IN_STRING.match(block, place)
        assert found is not None
        end = found.end()
        self._in_string = end == len(block) or block[end] != ord('"')
        self._escaped = int(end < len(block) and self._in_string)  # by a backslash, the last byte
        return end + 1
