"""The records of a WARC or ARC file, past damage: a damaged record costs itself alone.

A reader that goes from length to length stops at the first damage. Here the next head of a record
is then looked for, in the bytes behind the damaged one's beginning and, where these cannot be
decompressed, in the members that follow.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.extract.archive_bytes import (
    ArchiveReader,
    BrokenArchiveError,
    BytePlace,
    find_magic,
    next_member,
    read_pieces,
)
from pipeline.shared.web.http_heads import END, read_fields

_HEAD_BYTES = 2**15
_WARC_LINE = re.compile(rb"WARC/\d\.\d+[ \t]*\r*\n")
_WARC_BEGINNING = re.compile(_WARC_LINE.pattern + rb"[\w-]+:")
_ARC_URL = re.compile(rb"[a-z][a-z0-9+.-]*:")
_ARC_ADDRESS, _ARC_DATE = re.compile(rb"[\dA-Fa-f.:]+"), re.compile(rb"\d{12,}")
_LENGTH = re.compile(rb"-?\w+")
_LINE_OF_BEGINNING = re.compile(rb"\n(?=WARC/\d|[a-z][a-z0-9+.-]*:)")
_MOST_DAMAGES = 100  # in a row, from which a compressed member is not begun again for the next


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

    place: BytePlace
    problem: str


class _DamagedError(Exception):
    """What stands here is no whole record."""


def is_web_archive(path: Path) -> bool:
    """Whether a file begins as a WARC or ARC file, plain or compressed."""
    with path.open("rb") as file:
        reader = ArchiveReader(file, find_magic(file), BytePlace(0, 0))
        return _is_beginning(reader.peek(_HEAD_BYTES))


class ArcLine(NamedTuple):
    """The line that heads a record of ARC: "URL address date ... length"."""

    url: bytes
    length: bytes
    size: int
    """Bytes of the line with its end."""


def _read_arc_line(head: bytes) -> ArcLine | None:
    """The line at the beginning, each word of it looked at once: a URL may hold spaces."""
    line, end, _ = head.partition(b"\n")
    if not end or not _ARC_URL.match(line):
        return None
    words = line.rstrip(b"\r").split(b" ")
    for place in range(1, len(words) - 2):
        if _ARC_ADDRESS.fullmatch(words[place]) and _ARC_DATE.fullmatch(words[place + 1]):
            length = words[-1]
            good = _LENGTH.fullmatch(length) is not None
            return ArcLine(b" ".join(words[:place]), length, len(line) + 1) if good else None
    return None


def _is_beginning(head: bytes) -> bool:
    """Whether a record of WARC or ARC begins here."""
    return _WARC_BEGINNING.match(head) is not None or _read_arc_line(head) is not None


def read_records(file: BinaryIO, max_block_bytes: int) -> Iterator[Record | Damage]:
    """The records of a file, damaged ones in their place, each block cut to a limit."""
    magic = find_magic(file)
    size = None if magic else file.seek(0, io.SEEK_END)
    place: BytePlace | None = BytePlace(0, 0)
    damages = 0  # in a row
    while place is not None:
        reader = ArchiveReader(file, magic, place)
        try:
            while (record := _read_record(reader, max_block_bytes, size)) is not None:
                yield record
                place, damages = reader.place(), 0
            return
        except _DamagedError as error:
            yield Damage(place, str(error))
            damages += 1
            if magic and damages > _MOST_DAMAGES:  # each would decompress it all again
                following = next_member(file, magic, place.member)
                place = None if following is None else BytePlace(following, 0)
            else:
                place = _find_beginning(file, magic, place)


def _read_record(reader: ArchiveReader, limit: int, file_bytes: int | None) -> Record | None:
    """The record that begins here; None at the end of the file, whose size is known if plain."""
    head = reader.peek(_HEAD_BYTES)
    if not head and not reader.problem:
        return None
    record, length, size = _read_head(head, reader.problem)
    if file_bytes is not None and reader.place().within + size + length > file_bytes:
        raise _DamagedError("the file ends inside the record")  # told without reading it all
    reader.skip(size)
    block = reader.peek(min(length, limit))
    if reader.skip(length) < length:
        raise _DamagedError(reader.problem or "the file ends inside the record")
    _check_end(reader)
    return record._replace(block=block)


def _read_head(head: bytes, problem: str) -> tuple[Record, int, int]:
    """The record without its block, the block's length, and the bytes of its head."""
    line = _WARC_LINE.match(head)
    end = END.search(head, line.end() - 1) if line else None
    if line and end:
        fields = _read_fields(head[line.end() : end.start()])
        kind, url = (
            fields.get("warc-type", "").lower(),
            fields.get("warc-target-uri", "").strip("<>"),
        )
        record = Record(kind, url, fields.get("content-type", ""), b"")
        length, size = fields.get("content-length", ""), end.end()
    elif found := _read_arc_line(head):
        url, length = found.url.decode("utf-8", "replace"), found.length.decode("latin-1")
        scheme = url.partition(":")[0]
        record = Record("response" if scheme.startswith("http") else scheme, url, "", b"")
        size = found.size
    else:
        raise _DamagedError(problem or f"no record begins with {head[:20]!r}")
    if not record.kind or not re.fullmatch(r"\d{1,18}", length, re.ASCII):
        raise _DamagedError(f"a record of type {record.kind!r} and length {length!r}")
    return record, int(length), size


def _read_fields(lines: bytes) -> dict[str, str]:
    """Header fields by their lower-case names; of a repeated field the first."""
    fields: dict[str, str] = {}
    for name, value in read_fields(lines.split(b"\n")):
        fields.setdefault(name.decode().lower(), value.decode("utf-8", "replace"))
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
    if not _is_beginning(follows):
        raise _DamagedError(f"its length is wrong: it is followed by {follows[:20]!r}")


def _find_beginning(file: BinaryIO, magic: bytes, damaged: BytePlace) -> BytePlace | None:
    """Where the next record may begin behind a damaged one; None if nowhere."""
    place = damaged._replace(within=damaged.within + 1)
    while True:
        member = place.member
        try:
            for member, start, window in _windows(file, magic, place):
                if (begins := _next_beginning(window)) is not None:
                    return BytePlace(member, start + begins)
            return None
        except BrokenArchiveError:
            following = next_member(file, magic, member)
            if following is None:
                return None
            place = BytePlace(following, 0)


def _next_beginning(window: bytes) -> int | None:
    for found in _LINE_OF_BEGINNING.finditer(window):
        end = window.find(b"\n", window.find(b"\n", found.end()) + 1)  # of two lines
        if _is_beginning(window[found.end() : end + 1 if end >= 0 else None][:_HEAD_BYTES]):
            return found.end()
    return None


def _windows(file: BinaryIO, magic: bytes, place: BytePlace) -> Iterator[tuple[int, int, bytes]]:
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
