"""The bytes inside an archive file (plain, gzip or zstd), each with its place in the file.

gzip and zstd files are chains of members that can each be read alone. So a place is a member and a
number of decompressed bytes into it, and reading can begin at any place, also behind damage. A zstd
file may begin with the dictionary of all its members, in a frame of its own, itself compressed or
not (IIPC's WARC-Zstandard, as Archive Team writes it), and hold frames that are to be skipped.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import zstandard

_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))  # RFC 8878, 3.1.2
_SKIPPED_HEAD_BYTES = 8  # its mark, and the length of what follows in four bytes
_MOST_DICTIONARY_BYTES = 2**26  # the largest in use are of 1 MiB
_PIECE_BYTES = 2**16
_ZSTD_PIECE_BYTES = 2**12  # compressed: a hostile one becomes 128 MiB at most
_WINDOW_BYTES = 2**27  # zstd's own limit for what was made without --long


class BrokenArchiveError(Exception):
    """A member cannot be decompressed to its end."""

    def __init__(self, member: int, problem: str) -> None:
        super().__init__(problem)
        self.member = member


class BytePlace(NamedTuple):
    """Where something begins."""

    member: int
    """First byte of its compressed member in the file; 0 in a plain file."""
    within: int
    """Decompressed bytes before it in that member."""

    def __str__(self) -> str:
        """For a message.

        >>> str(BytePlace(512, 0)), str(BytePlace(0, 70)), str(BytePlace(512, 70))
        ('byte 512', 'byte 70', 'byte 512, 70 bytes decompressed')
        """
        if self.member and self.within:
            return f"byte {self.member}, {self.within} bytes decompressed"
        return f"byte {self.member + self.within}"


def find_magic(file: BinaryIO) -> bytes:
    """How each member of a compressed file begins; b'' for a plain one."""
    file.seek(0)
    head = file.read(4)
    if head in _SKIPPABLE:
        return _ZSTD
    return next((magic for magic in (_GZIP, _ZSTD) if head.startswith(magic)), b"")


def read_pieces(file: BinaryIO, magic: bytes, place: BytePlace) -> Iterator[tuple[int, bytes]]:
    """Decompressed bytes from a place on, each piece with the beginning of its member.

    Raises:
        BrokenArchiveError: a member is damaged or breaks off.
    """
    if not magic:
        file.seek(place.within)
        while piece := file.read(_PIECE_BYTES):
            yield 0, piece
        return
    skip = place.within
    for member, piece in _decompress(file, magic, place.member):
        if len(piece) > skip:
            yield member, piece[skip:]
        skip = max(skip - len(piece), 0)


def _decompress(file: BinaryIO, magic: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    dictionary = _read_dictionary(file) if magic == _ZSTD else None
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    packed = b""
    while packed := packed or file.read(_PIECE_BYTES):
        member = file.tell() - len(packed)
        if magic == _ZSTD and (size := _skippable_bytes(file, packed)):
            if member + size > end:
                raise BrokenArchiveError(member, "the file breaks off")
            file.seek(member + size)
            packed = b""
            continue
        decompressor = _Gzip() if magic == _GZIP else _Zstd(dictionary)
        while not decompressor.eof:
            packed = packed or file.read(_PIECE_BYTES)
            if not packed:
                raise BrokenArchiveError(member, "the file breaks off")
            try:
                piece, packed = decompressor.feed(packed)
            except (zlib.error, zstandard.ZstdError) as error:
                raise BrokenArchiveError(member, str(error)) from None
            yield member, piece


def _skippable_bytes(file: BinaryIO, packed: bytes) -> int:
    """Bytes of the frame to be skipped that begins here, 0 if there is none.

    `packed` was read last, and what of the frame's head it lacks comes next.
    """
    head = packed[:_SKIPPED_HEAD_BYTES]
    if len(head) < _SKIPPED_HEAD_BYTES:
        at = file.tell()
        head += file.read(_SKIPPED_HEAD_BYTES - len(head))
        file.seek(at)
    if len(head) < _SKIPPED_HEAD_BYTES or not head.startswith(_SKIPPABLE):
        return 0
    return _SKIPPED_HEAD_BYTES + int.from_bytes(head[4:], "little")


def _read_dictionary(file: BinaryIO) -> zstandard.ZstdCompressionDict | None:
    """The dictionary at the beginning of a zstd file; None if there is none that can be read.

    Frames that need it then cannot be decompressed, as theirs tell; others can.
    """
    file.seek(0)
    head = file.read(_SKIPPED_HEAD_BYTES)
    if not head.startswith(_DICTIONARY) or len(head) < _SKIPPED_HEAD_BYTES:
        return None
    data = file.read(min(int.from_bytes(head[4:], "little"), _MOST_DICTIONARY_BYTES))
    with suppress(zstandard.ZstdError):
        if data.startswith(_ZSTD):
            reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).stream_reader(data)
            data = reader.read(_MOST_DICTIONARY_BYTES)
        return zstandard.ZstdCompressionDict(data) if data else None
    return None


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def feed(self, packed: bytes) -> tuple[bytes, bytes]:
        """Decompress some; returns it and what of `packed` is left."""
        piece = self._zlib.decompress(packed, _PIECE_BYTES)
        return piece, self._zlib.unused_data if self.eof else self._zlib.unconsumed_tail


class _Zstd:
    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        decompressor = zstandard.ZstdDecompressor(
            dict_data=dictionary, max_window_size=_WINDOW_BYTES
        )
        self._zstd: Any = decompressor.decompressobj()

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof)

    def feed(self, packed: bytes) -> tuple[bytes, bytes]:
        """Decompress some; returns it and what of `packed` is left."""
        piece = self._zstd.decompress(packed[:_ZSTD_PIECE_BYTES])
        return piece, self._zstd.unused_data + packed[_ZSTD_PIECE_BYTES:]


def next_member(file: BinaryIO, magic: bytes, after: int) -> int | None:
    """The next byte behind `after` where a member may begin, None if there is none."""
    start = after + 1
    while True:
        file.seek(start)
        piece = file.read(2**20)
        found = piece.find(magic)
        if found >= 0:
            return start + found
        if len(piece) < 2**20:
            return None
        start += len(piece) - len(magic) + 1


class ArchiveReader:
    """Reads the bytes from a place on, and knows at any time the place it has come to."""

    def __init__(self, file: BinaryIO, magic: bytes, place: BytePlace) -> None:
        self._pieces = read_pieces(file, magic, place)
        self._buffer = bytearray()
        self._position = place.within  # of the buffer's first byte, counted from the first member
        self._members = deque([(0, place.member)])  # where members begin: position, place in file
        self._broken: BrokenArchiveError | None = None

    @property
    def problem(self) -> str:
        """Why nothing comes behind the bytes that can be read, if not for the file's end."""
        return str(self._broken or "")

    @property
    def breaks_here(self) -> bool:
        """Whether all readable bytes have been read of a member that is damaged."""
        return bool(
            self._broken and not self._buffer and self._broken.member == self._members[-1][1]
        )

    def place(self) -> BytePlace:
        """Where the next byte stands; at a border the beginning of the later member."""
        if self._broken and not self._buffer and not self.breaks_here:
            return BytePlace(self._broken.member, 0)
        while len(self._members) > 1 and self._members[1][0] <= self._position:
            self._members.popleft()
        position, member = self._members[0]
        return BytePlace(member, self._position - position)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer if there are no more."""
        self._fill(size)
        return bytes(self._buffer[:size])

    def skip(self, size: int) -> int:
        """Pass over so many bytes; returns how many there were."""
        passed = 0
        while passed < size and self._fill(1):
            step = min(size - passed, len(self._buffer))
            del self._buffer[:step]
            self._position += step
            passed += step
        return passed

    def _fill(self, size: int) -> bool:
        """Have so many bytes in the buffer, if there are; returns whether there are any."""
        try:
            while len(self._buffer) < size:
                member, piece = next(self._pieces)
                if member != self._members[-1][1]:
                    self._members.append((self._position + len(self._buffer), member))
                self._buffer += piece
        except StopIteration:
            pass
        except BrokenArchiveError as error:
            self._broken = error
        return bool(self._buffer)
