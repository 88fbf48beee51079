"""A page read back from the place in WARC where the crawl left it."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from warcio.recordloader import ArcWarcRecordLoader

from pipeline.shared.errors import CorruptDataError


class Response(NamedTuple):
    """A response read back."""

    url: str
    content_type: str
    """With its parameters; '' if there was none."""
    content_encoding: str
    body: bytes
    """Still encoded."""


def read_response(path: Path, offset: int, length: int) -> Response:
    """The response whose record is so many bytes of a WARC file.

    Raises:
        CorruptDataError: there is none.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = gzip.decompress(file.read(length))
        record = ArcWarcRecordLoader().parse_record_stream(BytesIO(data))
        body = record.raw_stream.read()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise CorruptDataError(
            f"{path}: no record at byte {offset} ({error}); bring this file of the archive from "
            "where the crawl ran, or have the pages fetched anew (docs/archive.md)"
        ) from None
    headers = record.http_headers
    return Response(
        record.rec_headers.get_header("WARC-Target-URI"),
        _joined(headers.headers, "content-type"),
        _joined(headers.headers, "content-encoding"),
        body,
    )


def _joined(headers: list[tuple[str, str]], name: str) -> str:
    """The values of all lines of a header, between commas."""
    return ", ".join(value for key, value in headers if key.lower() == name)
