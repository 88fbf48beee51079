"""Undo Content-Encoding with a cap on what comes out, so that a bomb costs its cap and no more.

As browsers and curl do: codings that nobody knows and labels of what is not compressed leave the
body as it is, a body that ends before its trailer gives what there is of it, and of several gzip
members or zstd frames (which browsers cut off behind the first) all count, as their formats say.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import brotli
import zstandard

from pipeline.shared.web.decoders import Decoder, make_decoder
from pipeline.shared.web.sniffing import HTML, is_binary, sniff

ACCEPT_ENCODING = "gzip, deflate, br, zstd"
_MOST_CODINGS = 5  # one after another, as in curl
_ERRORS = (zlib.error, brotli.error, zstandard.ZstdError)


class TooLargeError(Exception):
    """The decoded body exceeds its cap."""


class BrokenBodyError(Exception):
    """The body is not what its Content-Encoding says."""


class BodyReader:
    """Decodes a body as it comes; `finish` gives it whole."""

    def __init__(self, content_encoding: str, max_bytes: int, *, truncate: bool = False) -> None:
        """Of several lines of the header, `content_encoding` is all, joined by commas.

        With `truncate`, what exceeds the cap is dropped instead of being an error.

        Raises:
            BrokenBodyError: more codings than any server applies.
        """
        self._layers = [_Layer(decoder) for decoder in _decoders(content_encoding)]
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._truncate = truncate
        self.full = False
        """Truncated: nothing more need be fed."""

    def feed(self, data: bytes) -> None:
        """Decode what arrived.

        Raises:
            TooLargeError: more comes out than the cap, of the body or of a coding on the way.
            BrokenBodyError: it cannot be decoded.
        """
        for part in self._through(data, 0):
            self._size += len(part)
            self._parts.append(part)
            if self._size > self._max_bytes:
                self._overflow()
                return

    def _through(self, data: bytes, layer: int) -> Iterable[bytes]:
        if layer == len(self._layers):
            yield data
            return
        here = self._layers[layer]
        for part in here.feed(data):
            if here.size > max(self._max_bytes, len(data)) and layer + 1 < len(self._layers):
                raise TooLargeError(f"more than {self._max_bytes} bytes on the way")
            yield from self._through(part, layer + 1)

    def _overflow(self) -> None:
        if not self._truncate:
            raise TooLargeError(f"more than {self._max_bytes} bytes")
        self.full = True
        self._parts = [b"".join(self._parts)[: self._max_bytes]]

    def finish(self) -> bytes:
        """The whole body, or what came of it."""
        return b"".join(self._parts)


class _Layer:
    """One coding, which is passed over when the body turns out not to have it."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder: Decoder | None = decoder
        self._raw: list[bytes] = []
        """What came before any was decoded; nothing afterwards."""
        self.size = 0

    def feed(self, data: bytes) -> Iterable[bytes]:
        if not self._raw and not self.size and sniff(data) == HTML:
            self._decoder = None  # no coding begins like that
        if self._decoder is None:
            self.size += len(data)
            yield data
            return
        if self.size == 0:
            self._raw.append(data)
        try:
            for part in self._decoder.feed(data):
                self.size += len(part)
                yield part
        except _ERRORS as error:
            raw = b"".join(self._raw)
            if self.size or is_binary(raw):
                raise BrokenBodyError(str(error)) from None
            self._decoder = None
            yield from self.feed(raw)
        if self.size:
            self._raw.clear()


def _decoders(content_encoding: str) -> list[Decoder]:
    """Those that undo the codings, the last one first."""
    names = [name.partition(";")[0].strip() for name in content_encoding.lower().split(",")]
    found = [decoder for name in reversed(names) if (decoder := make_decoder(name)) is not None]
    if len(found) > _MOST_CODINGS:
        raise BrokenBodyError(f"Content-Encoding: {content_encoding[:100]}")
    return found


def decode_body(data: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Decode a body that is here as a whole.

    Raises:
        TooLargeError: more than `max_bytes` come out.
        BrokenBodyError: it cannot be decoded.
    """
    reader = BodyReader(content_encoding, max_bytes)
    reader.feed(data)
    return reader.finish()
