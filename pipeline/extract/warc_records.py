"""The records of a WARC or ARC file, past damage: a damaged record costs itself alone.

A reader that goes from length to length stops at the first damage. Here the next head of a record
is then looked for, in the bytes behind the damaged one's beginning and, where these cannot be
decompressed, in the members that follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.extract.archive_bytes import (
    ArchiveReader,
    BrokenArchiveError,
    Place,
    find_magic,
    next_member,
    read_pieces,
)

_HEAD_BYTES = 2**15
_WARC_LINE = rb"WARC/\d\.\d+\r*\n"
_ARC_LINE = rb"([a-z][a-z0-9+.-]*:[^\r\n]*?) [\d.:a-f]+ \d{12,} [^\r\n]*?(-?\w+)\r*\n"
_WARC_HEAD = re.compile(_WARC_LINE + rb"((?:[^\r\n]+\r*\n)*)\r*\n")
_ARC_HEAD = re.compile(_ARC_LINE)
_BEGINNING = re.compile(_WARC_LINE + rb"[\w-]+:|" + _ARC_LINE)
_NEXT_BEGINNING = re.compile(rb"\n(?=" + _BEGINNING.pattern + rb")")


class Record(NamedTuple):
    """One record."""

    kind: str
    """WARC-Type; for ARC `response`, or the scheme of what is no page (`filedesc`, `dns`)."""
    url: str
    content_type: str
    """Of the block; '' in ARC, whose line tells that of the page."""
    block: bytes
    """Its first bytes, up to the limit."""


class Damage(NamedTuple):
    """A record that could not be read."""

    place: Place
    problem: str


class _DamagedError(Exception):
    """What stands here is no whole record."""


def is_web_archive(path: Path) -> bool:
    """Whether a file begins as a WARC or ARC file, plain or compressed."""
    with path.open("rb") as file:
        reader = ArchiveReader(file, find_magic(file), Place(0, 0))
        return _BEGINNING.match(reader.peek(_HEAD_BYTES)) is not None


def read_records(file: BinaryIO, max_block_bytes: int) -> Iterator[Record | Damage]:
    """The records of a file, damaged ones in their place, each block cut to a limit."""
    magic = find_magic(file)
    place: Place | None = Place(0, 0)
    while place is not None:
        reader = ArchiveReader(file, magic, place)
        try:
            while (record := _read_record(reader, max_block_bytes)) is not None:
                yield record
                place = reader.place()
            return
        except _DamagedError as error:
            yield Damage(place, str(error))
            place = _find_beginning(file, magic, place)


def _read_record(reader: ArchiveReader, limit: int) -> Record | None:
    """The record that begins here; None at the end of the file."""
    head = reader.peek(_HEAD_BYTES)
    if not head and not reader.problem:
        return None
    record, length, size = _read_head(head, reader.problem)
    reader.skip(size)
    block = reader.peek(min(length, limit))
    if reader.skip(length) < length:
        raise _DamagedError(reader.problem or "the file ends inside the record")
    _check_end(reader)
    return record._replace(block=block)


def _read_head(head: bytes, problem: str) -> tuple[Record, int, int]:
    """The record without its block, the block's length, and the bytes of its head."""
    if found := _WARC_HEAD.match(head):
        fields = read_fields(found[1].decode("utf-8", "replace"))
        kind, url = (
            fields.get("warc-type", "").lower(),
            fields.get("warc-target-uri", "").strip("<>"),
        )
        record = Record(kind, url, fields.get("content-type", ""), b"")
        length = fields.get("content-length", "")
    elif found := _ARC_HEAD.match(head):
        url, length = found[1].decode("utf-8", "replace"), found[2].decode("latin-1")
        scheme = url.partition(":")[0]
        record = Record("response" if scheme.startswith("http") else scheme, url, "", b"")
    else:
        raise _DamagedError(problem or f"no record begins with {head[:20]!r}")
    if not record.kind or not re.fullmatch(r"\d{1,18}", length, re.ASCII):
        raise _DamagedError(f"a record of type {record.kind!r} and length {length!r}")
    return record, int(length), found.end()


def read_fields(lines: str) -> dict[str, str]:
    r"""Header fields by their lower-case names; of a repeated field the first.

    >>> read_fields("Content-Type: text/html;\r\n charset=utf-8\r\n")
    {'content-type': 'text/html; charset=utf-8'}
    """
    fields: dict[str, str] = {}
    for line in re.sub(r"\r*\n[ \t]+", " ", lines).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _check_end(reader: ArchiveReader) -> None:
    """Whether the length was right: the record ends with its member, or as a record must."""
    rest = reader.peek(_HEAD_BYTES)
    follows = rest.lstrip(b"\r\n")
    reader.skip(len(rest) - len(follows))
    if reader.breaks_here:
        raise _DamagedError(reader.problem)
    if not follows or reader.place().within == 0 or rest.startswith(b"\r\n\r\n"):
        return
    if not _BEGINNING.match(follows):
        raise _DamagedError(f"its length is wrong: it is followed by {follows[:20]!r}")


def _find_beginning(file: BinaryIO, magic: bytes, damaged: Place) -> Place | None:
    """Where the next record may begin behind a damaged one; None if nowhere."""
    place = damaged._replace(within=damaged.within + 1)
    while True:
        member = place.member
        try:
            for member, start, window in _windows(file, magic, place):
                if found := _NEXT_BEGINNING.search(window):
                    return Place(member, start + found.end())
            return None
        except BrokenArchiveError:
            following = next_member(file, magic, member)
            if following is None:
                return None
            place = Place(following, 0)


def _windows(file: BinaryIO, magic: bytes, place: Place) -> Iterator[tuple[int, int, bytes]]:
    """Member, place in it, and bytes there; those of one member overlap by the length of a head.

    A member's first window has a line end more before it, since a record begins a line.
    """
    member, start, window = -1, 0, b""
    for piece_member, piece in read_pieces(file, magic, place):
        if piece_member != member:
            member = piece_member
            at_border = member != place.member or place.within == 0
            start, window = (-1, b"\n") if at_border else (place.within, b"")
        window += piece
        yield member, start, window
        passed = max(len(window) - _HEAD_BYTES, 0)
        start, window = start + passed, window[passed:]
