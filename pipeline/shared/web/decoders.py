"""The codings of HTTP bodies: each decoder gives out small pieces, whatever a body blows up to."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Protocol

import brotli
import zstandard

_STEP_BYTES = 2**16
# zstd has no cap on its output: 256 bytes hold at most 64 blocks of 128 KiB, so 8 MiB at a time.
_ZSTD_PIECE_BYTES = 256
_ZSTD_WINDOW_BYTES = 8 * 2**20  # what RFC 9659 lets a server use
_GZIP = b"\x1f\x8b\x08"
_GZIP_HEAD_BYTES, _GZIP_TRAILER_BYTES = 10, 8
_MOST_HEAD_BYTES = 2**17  # with a name and a comment
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))  # RFC 8878, 3.1.2
_SKIPPED_HEAD_BYTES = 8  # its mark, and the length of what follows in four bytes


class Decoder(Protocol):
    """Decodes data as it comes; raises the error of its library."""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """What came out."""
        ...


def make_decoder(coding: str) -> Decoder | None:
    """The decoder of a coding; None for one that leaves the body as it is, or is unknown."""
    match coding:
        case "gzip" | "x-gzip":
            return _Gzip()
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
    return None


def _inflate(decompressor: Any, data: bytes) -> Iterable[bytes]:
    while data and not decompressor.eof:
        yield decompressor.decompress(data, _STEP_BYTES)
        data = decompressor.unconsumed_tail


class _Gzip:
    """Member after member; what is no member behind the first is padding, as gzip itself says.

    As in browsers, nobody looks at the trailer of a member, which is often wrong or missing.
    """

    def __init__(self) -> None:
        self._zlib: Any = None
        self._head = b""  # of a member, while it is not whole
        self._skip = 0
        self._begun = self._over = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        data, self._head = self._head + data, b""
        while data and not self._over:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
            elif self._zlib is not None:
                yield from _inflate(self._zlib, data)
                data = self._zlib.unused_data
                if self._zlib.eof:
                    self._zlib, self._skip = None, _GZIP_TRAILER_BYTES
            else:
                data = self._begin(data)

    def _begin(self, data: bytes) -> bytes:
        """What stands behind the head of a member; nothing where more must come first."""
        if self._begun and not _GZIP.startswith(data[: len(_GZIP)]):
            self._over = True
            return b""
        size = _gzip_head_bytes(data)
        if size is None:
            self._head = data
            return b""
        self._begun, self._zlib = True, zlib.decompressobj(-15)
        return data[size:]


def _gzip_head_bytes(data: bytes) -> int | None:
    """Bytes of a member's head (RFC 1952, section 2.3), None if there is more of it to come."""
    if not data.startswith(_GZIP[: len(data)]) or len(data) > _MOST_HEAD_BYTES:
        raise zlib.error("no gzip member begins here")
    if len(data) < _GZIP_HEAD_BYTES:
        return None
    flags, end = data[3], _GZIP_HEAD_BYTES
    if flags & 4:  # further fields
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for _ in range(bool(flags & 8) + bool(flags & 16)):  # a name, a comment
        end = data.find(b"\0", end) + 1
        if not end:
            return None
    end += flags & 2  # a checksum
    return end if end <= len(data) else None


class _Deflate:
    """`deflate` should be zlib data, and from some servers is raw deflate."""

    def __init__(self) -> None:
        self._inner: Any = None

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self._inner is None:
            if not data:
                return
            is_zlib = data[0] & 0x0F == 8 and (len(data) < 2 or (data[0] * 256 + data[1]) % 31 == 0)
            self._inner = zlib.decompressobj(15 if is_zlib else -15)
        yield from _inflate(self._inner, data)


class _Brotli:
    def __init__(self) -> None:
        self._brotli = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterable[bytes]:
        # It says that it takes more data while it still holds some that came out of the last.
        while not self._brotli.is_finished():
            piece = self._brotli.process(data, output_buffer_limit=_STEP_BYTES)
            if not piece and not data:
                return
            yield piece
            data = b""


class _Zstd:
    """Frame after frame, without those that are to be skipped."""

    def __init__(self) -> None:
        self._zstd: Any = None
        self._head = b""
        self._skip = 0
        self._begun = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        data = self._head + data
        self._head = b""
        while data:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
            elif self._zstd is not None:
                piece, data = data[:_ZSTD_PIECE_BYTES], data[_ZSTD_PIECE_BYTES:]
                yield self._zstd.decompress(piece)
                if self._zstd.eof:
                    data, self._zstd = self._zstd.unused_data + data, None
            elif not self._begin(data):
                return

    def _begin(self, data: bytes) -> bool:
        """Go into the frame that begins here; False if more must come first, or there is none."""
        if data.startswith(_SKIPPABLE) and len(data) >= _SKIPPED_HEAD_BYTES:
            self._skip = _SKIPPED_HEAD_BYTES + int.from_bytes(data[4:8], "little")
            return True
        if len(data) < _SKIPPED_HEAD_BYTES and (
            _ZSTD.startswith(data[:4]) or any(mark.startswith(data[:4]) for mark in _SKIPPABLE)
        ):
            self._head = data
            return False
        if self._begun and not data.startswith(_ZSTD):
            return False
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self._begun = True
        return True
