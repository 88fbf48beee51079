"""Heads of answers as servers send them, made into what aiohttp's strict parser takes.

Browsers pass over lines that are no header, read `http/1.0 200`, take one of several equal lengths
and heads of up to 256 KiB. So a head is read here until its empty line, put in order and handed on.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.shared.web.http_heads import END, Fields, read_fields, read_status

MOST_HEAD_BYTES = 2**18  # Chrome's cap
_NO_HEAD = b"\0\r\n\r\n"  # what the parser gives up at
_END_BYTES = 8  # of an empty line; more come of no server
_MOST_LENGTH_DIGITS = 18


class ForgivingConnector(aiohttp.TCPConnector):
    """A connector whose connections read heads as browsers do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = _Handler
        self._factory = functools.partial(handler, loop=self._loop)


class _Handler(ResponseHandler):
    """Holds a head back until it is whole."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytearray | None = None

    def set_response_params(self, **params: Any) -> None:
        """An answer begins."""
        self._head = bytearray()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Pass on what is body, and heads once they are whole."""
        if self._head is None or not data:
            super().data_received(data)
            return
        seen = max(len(self._head) - _END_BYTES, 0)
        self._head += data.lstrip(b"\r\n") if not self._head else data
        found = END.search(self._head, seen)
        if found is None or found.end() > MOST_HEAD_BYTES:
            if len(self._head) > MOST_HEAD_BYTES:
                self._head = None
                super().data_received(_NO_HEAD)
            return
        head, rest = bytes(self._head[: found.end()]), bytes(self._head[found.end() :])
        if re.match(rb"http/1\.1 1(?!01)", head, re.IGNORECASE):  # a word before the answer
            self._head = bytearray()
            super().data_received(tidy_head(head))
            if rest:
                self.data_received(rest)
        else:
            self._head = None
            super().data_received(tidy_head(head) + rest)


def tidy_head(head: bytes) -> bytes:
    r"""A head as the standard wants it; one that is none at all, as it is.

    >>> tidy_head(b"http/1.0 200\nA:b\njunk\nContent-Length: 5\nContent-length:5\n\n")
    b'HTTP/1.0 200\r\nA: b\r\nContent-Length: 5\r\n\r\n'
    """
    first, *lines = head.split(b"\n")
    status = read_status(first)
    if status is None:
        return head
    fields = _framed(read_fields(lines), is_chunkable=status.version == "1.1")
    top = f"HTTP/{status.version} {status.code} ".encode() + status.phrase
    return b"\r\n".join([top.rstrip(), *(name + b": " + value for name, value in fields), b"", b""])


def _framed(fields: Fields, *, is_chunkable: bool) -> Fields:
    """Fields with one way to tell where the body ends: chunks before a length, as browsers do."""
    is_chunked = False
    kept: Fields = []
    lengths: dict[bytes, None] = {}
    for name, value in fields:
        lower = name.lower()
        if lower == b"transfer-encoding":
            is_chunked = is_chunked or (is_chunkable and b"chunked" in value.lower())
        elif lower == b"content-length":
            lengths |= dict.fromkeys(part.strip() for part in value.split(b","))
        else:
            kept.append((name, value))
    if is_chunked:
        return [*kept, (b"Transfer-Encoding", b"chunked")]
    good = [one for one in lengths if one.isdigit() and len(one) <= _MOST_LENGTH_DIGITS]
    return [*kept, *((b"Content-Length", one) for one in good)]
