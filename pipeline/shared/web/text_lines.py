"""A text file, plain or compressed, here or at a URL, as a stream: its pieces and its lines.

What a file is compressed with, its first bytes tell; where they tell nothing, its name does.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.web.remote_file import open_place

_WINDOW_BYTES = 2**31  # Pushshift's dumps are made with `--long=31`
_BLOCK_BYTES = 2**18
_MAGIC = {b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ\x00": ".xz", b"BZh": ".bz2", b"\x1f\x8b": ".gz"}
_OF_JSON = (b"{", b"[")  # what no compressed file begins with


class TooLong(NamedTuple):
    """A line or record that is longer than asked for, in the place where it stood."""

    num_bytes: int


def read_blocks(path: Path) -> Iterator[bytes]:
    """What a plain or compressed file holds, piece by piece.

    Raises:
        UserError: there is no such file.
        CorruptDataError: the archive breaks off or is damaged.
        RetryableError: the store gives no answer.
    """
    try:
        with open_place(path) as raw, _decompressed(path, raw) as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
            if raw.tell() == 0:
                raise EOFError("it is empty")
    except (zstandard.ZstdError, lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(broken_archive(path, error)) from None
    except OSError as error:
        if error.errno is not None:  # the machine's fault; a bad bzip2 stream has no errno
            raise
        raise CorruptDataError(broken_archive(path, error)) from None


def split_lines(blocks: Iterable[bytes], most_bytes: int) -> Iterator[bytes | TooLong]:
    r"""The lines of a text that comes in pieces, without their ends.

    >>> list(split_lines([b"one\r\nt", b"wo\n", b"\nthree"], 4))
    [b'one', b'two', b'', TooLong(num_bytes=5)]
    """
    line = _Line(most_bytes)
    for block in blocks:
        first, *others = block.split(b"\n")
        line.add(first)
        for other in others:
            yield line.whole()
            line = _Line(most_bytes)
            line.add(other)
    if line.num_bytes:
        yield line.whole()


class _Line:
    """A line as it grows, of which no more is kept than may be."""

    __slots__ = ("_most_bytes", "_pieces", "num_bytes")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self.num_bytes = 0

    def add(self, piece: bytes) -> None:
        self.num_bytes += len(piece)
        if self.num_bytes > self._most_bytes:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def whole(self) -> bytes | TooLong:
        if self.num_bytes > self._most_bytes:
            return TooLong(self.num_bytes)
        return b"".join(self._pieces).rstrip(b"\r")


def broken_archive(path: Path, error: Exception) -> str:
    """What to say of a file that breaks off or is damaged."""
    return (
        f"{path}: truncated or damaged archive ({error}); fetch it again, compare its checksum "
        "with the publisher's, and run the same command again"
    )


def _decompressed(path: Path, raw: BinaryIO) -> Any:
    match _compression(path, raw):
        case ".zst":
            reader = _WholeZstd(raw)
            return io.BufferedReader(reader, 2**20)
        case ".xz":
            return lzma.open(raw)
        case ".bz2":
            return bz2.open(raw)
        case ".gz":
            return gzip.open(raw)
    return nullcontext(raw)


def _compression(path: Path, raw: Any) -> str:
    head = raw.peek(8)[:8]
    if head.startswith(_OF_JSON):
        return ""
    known = (suffix for magic, suffix in _MAGIC.items() if head.startswith(magic))
    return next(known, path.suffix.lower())


class _WholeZstd(io.RawIOBase):
    """Decompresses zstd and, unlike zstandard's own readers, notices that a frame breaks off."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._ready = b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._fill():
            pass
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _fill(self) -> bool:
        """Decompress the next piece; False at the end of the file."""
        rest = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame = self._decompressor.decompressobj()
            self._begun = False
        data = rest or self._raw.read(2**16)
        if not data:
            if self._begun:
                raise EOFError("it ends inside a zstd frame")
            return False
        self._begun = True
        self._ready = self._frame.decompress(data)
        return True
