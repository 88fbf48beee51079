"""The lines of a text file, plain or compressed, here or at a URL, as a stream."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.web.remote_file import open_place

_WINDOW_BYTES = 2**31  # Pushshift's dumps are made with `--long=31`
_LINE_BYTES = 16 * 2**20  # a longer line is no record, whatever it is


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain or compressed text file, here or at a URL, without their ends.

    Raises:
        UserError: there is no such file.
        CorruptDataError: the archive breaks off or is damaged.
        RetryableError: the store gives no answer.
    """
    try:
        with open_place(path) as raw, _decompressed(path, raw) as file:
            while line := file.readline(_LINE_BYTES):
                yield line.rstrip(b"\r\n")
            if raw.tell() == 0:
                raise EOFError("it is empty")
    except (zstandard.ZstdError, lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(broken_archive(path, error)) from None
    except OSError as error:
        if error.errno is not None:  # the machine's fault; a bad bzip2 stream has no errno
            raise
        raise CorruptDataError(broken_archive(path, error)) from None


def broken_archive(path: Path, error: Exception) -> str:
    """What to say of a file that breaks off or is damaged."""
    return (
        f"{path}: truncated or damaged archive ({error}); fetch it again, compare its checksum "
        "with the publisher's, and run the same command again"
    )


def _decompressed(path: Path, raw: BinaryIO) -> Any:
    match path.suffix:
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
