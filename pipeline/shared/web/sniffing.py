"""What a body is, by its first bytes: the WHATWG's MIME Sniffing standard, section 7.1."""

from __future__ import annotations

import codecs
import re

HTML, PLAIN = "text/html", "text/plain"
_BINARY = "application/octet-stream"
_HEAD_BYTES = 1445  # what the standard looks at
_SPACE = b"\t\n\f\r "
_TAGS = re.compile(
    rb"<(?:(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)"
    rb"[ >]|!--)",
    re.IGNORECASE,
)
_HTML_ROOT = re.compile(rb"<html[\s>]", re.IGNORECASE)
_UTF_16_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF_16 = (
    (re.compile(rb"(?:[^\0]\0){4}"), "utf-16-le"),
    (re.compile(rb"(?:\0[^\0]){4}"), "utf-16-be"),
)
# The standard's "binary data bytes".
_BINARY_BYTES = bytes([*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_MARKS = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"RIFF", "audio/wave"),  # and WebP, AVI
    (b"FORM", "audio/aiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar \x1a\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
)
_WORDS = frozenset({b"BM", b"RIFF", b"FORM", b"ID3", b"OTTO", b"wOFF", b"wOF2"})
"""Marks with which a text may begin; they count in front of bytes that no text has."""


def sniff(body: bytes) -> str:
    r"""The type of a body of which nothing is said.

    >>> sniff(b" <HTML><p>x"), sniff(b"plain words"), sniff(b"GIF89a..."), sniff(b"\\0\\1\\2")
    ('text/html', 'text/plain', 'image/gif', 'application/octet-stream')
    """
    head = body[:_HEAD_BYTES]
    text = _unmarked(head)
    if _TAGS.match(text.lstrip(_SPACE)):
        return HTML
    if text.lstrip(_SPACE).startswith(b"<?xml"):
        return "text/xml"
    if text is not head:  # a byte order mark
        return PLAIN
    for mark, kind in _MARKS:
        if head.startswith(mark) and (mark not in _WORDS or is_binary(head)):
            return kind
    return _BINARY if is_binary(head) else PLAIN


def is_binary(body: bytes, *, most: float = 0.0) -> bool:
    """Whether more than this part of the beginning are bytes that no text has."""
    head = body[:_HEAD_BYTES]
    if len(_unmarked(head)) != len(head):
        return False
    return len(head) - len(head.translate(None, _BINARY_BYTES)) > most * len(head)


def has_html_root(body: bytes) -> bool:
    """Whether an XML document is XHTML: its first element is <html>."""
    text = re.sub(rb"<!--.*?-->|<[?!][^>]*>", b"", _unmarked(body[: 4 * _HEAD_BYTES]))
    return _HTML_ROOT.match(text.lstrip(_SPACE)) is not None


def unmarked_utf_16(body: bytes) -> str:
    """The kind of UTF-16 that shows without a mark, since every other byte is 0; '' if none."""
    return next((name for pattern, name in _UTF_16 if pattern.match(body)), "")


def _unmarked(head: bytes) -> bytes:
    """The head behind its byte order mark, as ASCII where it is UTF-16; the same if it is not."""
    if head.startswith(codecs.BOM_UTF8):
        return head[3:]
    for mark, encoding in _UTF_16_MARKS:
        if head.startswith(mark):
            return _ascii(head[2:], encoding)
    encoding = unmarked_utf_16(head)
    return _ascii(head, encoding) if encoding else head


def _ascii(head: bytes, encoding: str) -> bytes:
    return head.decode(encoding, "replace").encode("ascii", "replace")
