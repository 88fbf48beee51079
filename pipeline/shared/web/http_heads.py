"""Heads of HTTP answers and of WARC records, read as browsers read them: whatever is there.

Each line is looked at once, so that no head can cost more than its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

END = re.compile(rb"\n\r*\n")
"""The empty line behind a head, with the end of the last line."""
# Chrome takes four bytes before it, and a version or a number that are missing.
_STATUS = re.compile(
    rb".{0,4}?http(?:/(\d+)(?:\.(\d+))?[ \t]*(\d{3})?|[ \t]+(\d{3}))[ \t]*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte != ord("\t"))

Fields = list[tuple[bytes, bytes]]


class Status(NamedTuple):
    """The first line of an answer."""

    version: str
    """`1.0` or `1.1`."""
    code: str
    """Three digits; 200 where there are none."""
    phrase: bytes


def read_status(line: bytes) -> Status | None:
    """The status in the first line of a head; None if it is none.

    >>> read_status(b"http/1.0 404")
    Status(version='1.0', code='404', phrase=b'')
    >>> read_status(b"HTTP/1.1").code, read_status(b"<html>")
    ('200', None)
    """
    found = _STATUS.match(line)
    if found is None:
        return None
    major, minor, code, bare_code, phrase = found.groups()
    is_old = (major, minor) in {(b"1", b"0"), (b"0", b"9"), (None, None)}
    return Status(
        "1.0" if is_old else "1.1",
        (code or bare_code or b"200").decode(),
        phrase.translate(None, _CONTROLS).strip(),
    )


def read_fields(lines: list[bytes]) -> Fields:
    r"""Names and values of the lines of a head; what is no header is passed over.

    >>> read_fields([b"A: b\r", b" c", b"no header", b"A:\0d", b"bad name: x"])
    [(b'A', b'b c'), (b'A', b'd')]
    """
    fields: Fields = []
    parts: list[bytes] = []  # of the last field's value, which may go on in the next line
    for line in [*lines, b"end:"]:
        if line[:1] in {b" ", b"\t"}:
            parts.append(line.strip())
            continue
        if fields and parts:
            fields[-1] = fields[-1][0], b" ".join(parts).translate(None, _CONTROLS).strip()
        name, colon, value = line.partition(b":")
        parts = []
        if colon and _NAME.fullmatch(name.rstrip()):
            parts.append(value.strip())
            fields.append((name.rstrip(), b""))
    return fields[:-1]


def joined(fields: Fields, name: bytes) -> str:
    """The values of all lines of a header, between commas; '' if there are none."""
    return ", ".join(value.decode("latin-1") for key, value in fields if key.lower() == name)
