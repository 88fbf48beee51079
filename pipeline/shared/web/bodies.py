"""Undo Content-Encoding with a cap on what comes out, so that a bomb costs its cap and no more."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Protocol

import brotli
import zstandard

ACCEPT_ENCODING = "gzip, deflate, br, zstd"
_STEP_BYTES = 2**16
# zstd has no cap on its output: 256 bytes hold at most 64 blocks of 128 KiB, so 8 MiB at a time.
_ZSTD_PIECE_BYTES = 256
_ZSTD_WINDOW_BYTES = 8 * 2**20  # what RFC 9659 lets a server use


class TooLargeError(Exception):
    """The decoded body exceeds its cap."""


class BrokenBodyError(Exception):
    """The body is not what its Content-Encoding says, or ends too soon."""


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterable[bytes]: ...
    def ended(self) -> bool: ...


class BodyReader:
    """Decodes a body as it comes; `finish` gives it whole."""

    def __init__(self, content_encoding: str, max_bytes: int, *, truncate: bool = False) -> None:
        """With `truncate`, what exceeds the cap is dropped instead of being an error.

        Raises:
            BrokenBodyError: an encoding that was not asked for.
        """
        names = [name.strip() for name in content_encoding.lower().split(",") if name.strip()]
        names = [name for name in names if name != "identity"]
        if len(names) > 1:  # nested encodings are a bomb's form, and no server's
            raise BrokenBodyError(f"Content-Encoding: {content_encoding}")
        self._decoder = _make_decoder(names[0] if names else "")
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._truncate = truncate
        self.full = False
        """Truncated: nothing more need be fed."""

    def feed(self, data: bytes) -> None:
        """Decode what arrived."""
        try:
            for part in self._decoder.feed(data):
                self._size += len(part)
                self._parts.append(part)
                if self._size > self._max_bytes:
                    self._overflow()
                    return
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise BrokenBodyError(str(error)) from None

    def _overflow(self) -> None:
        if not self._truncate:
            raise TooLargeError(f"more than {self._max_bytes} bytes")
        self.full = True
        self._parts = [b"".join(self._parts)[: self._max_bytes]]

    def finish(self) -> bytes:
        """The whole body."""
        if not self.full and not self._decoder.ended():
            raise BrokenBodyError("the compressed body ends too soon")
        return b"".join(self._parts)


def decode_body(data: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Decode a body that is here as a whole.

    Raises:
        TooLargeError: more than `max_bytes` come out.
        BrokenBodyError: it cannot be decoded.
    """
    reader = BodyReader(content_encoding, max_bytes)
    reader.feed(data)
    return reader.finish()


def _make_decoder(encoding: str) -> _Decoder:
    match encoding:
        case "":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Zlib(31)
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
    raise BrokenBodyError(f"Content-Encoding: {encoding}")


class _Identity:
    def feed(self, data: bytes) -> Iterable[bytes]:
        yield data

    def ended(self) -> bool:
        return True


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)
        self._begun = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._begun = self._begun or bool(data)
        while data and not self._zlib.eof:
            yield self._zlib.decompress(data, _STEP_BYTES)
            data = self._zlib.unconsumed_tail

    def ended(self) -> bool:
        return self._zlib.eof or not self._begun


class _Deflate:
    """`deflate` should be zlib data, and from some servers is raw deflate."""

    def __init__(self) -> None:
        self._inner: _Zlib | None = None

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self._inner is None:
            if not data:
                return
            is_zlib = data[0] & 0x0F == 8 and (len(data) < 2 or (data[0] * 256 + data[1]) % 31 == 0)
            self._inner = _Zlib(15 if is_zlib else -15)
        yield from self._inner.feed(data)

    def ended(self) -> bool:
        return self._inner is None or self._inner.ended()


class _Brotli:
    def __init__(self) -> None:
        self._brotli = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._begun = self._begun or bool(data)
        if self._brotli.is_finished():
            return
        yield self._brotli.process(data, output_buffer_limit=_STEP_BYTES)
        while not self._brotli.can_accept_more_data() and not self._brotli.is_finished():
            yield self._brotli.process(b"", output_buffer_limit=_STEP_BYTES)

    def ended(self) -> bool:
        return self._brotli.is_finished() or not self._begun


class _Zstd:
    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._begun = self._begun or bool(data)
        for start in range(0, len(data), _ZSTD_PIECE_BYTES):
            if self._zstd.eof:
                return
            yield self._zstd.decompress(data[start : start + _ZSTD_PIECE_BYTES])

    def ended(self) -> bool:
        return self._zstd.eof or not self._begun
