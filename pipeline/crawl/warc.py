"""Write answers as WARC 1.1, one gzip member a record, and find each again by its place.

A record is counted only once the frontier has it; what lies beyond is cut off when the files are
opened again, so that after a kill files and frontier agree.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.crawl.exchange import Answer
from pipeline.crawl.frontier import Place
from pipeline.errors import CorruptDataError

ROLL_BYTES = 10**9  # the usual size of a WARC file; a larger one is awkward to move
_FRAMING = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})


class WarcFiles:
    """The WARC files of a crawl, open for appending."""

    def __init__(
        self,
        folder: Path,
        committed: Mapping[int, int],
        *,
        about: Mapping[str, str],
        roll_bytes: int = ROLL_BYTES,
    ) -> None:
        """Go on after the committed bytes.

        Args:
            folder: where the files lie; made if missing.
            committed: bytes of each file that the frontier knows, by the file's number.
            about: fields of the warcinfo record that heads each file.
            roll_bytes: size from which a new file is begun.

        Raises:
            CorruptDataError: a file is shorter than the frontier knows it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._about, self._roll_bytes = folder, about, roll_bytes
        for path in folder.iterdir():
            if path.name not in map(file_name, committed):
                path.unlink()
        for number, end in committed.items():
            _cut(folder / file_name(number), end)
        self._number = max(committed, default=0)
        self._file: IO[bytes] | None = None
        self._writer = WARCWriter(None, gzip=True, warc_version="1.1")

    def add(self, answer: Answer) -> Place:
        """Append one response; its bytes are safe only after `sync`."""
        file = self._open()
        content = StatusAndHeaders(
            f"{answer.status} {_ascii(answer.phrase)}".strip(),
            [
                (_ascii(name.decode("latin-1")), value.decode("latin-1"))
                for name, value in answer.headers
                if name.lower() not in _FRAMING
            ],
            protocol="HTTP/1.1",
        )
        record = self._writer.create_warc_record(
            answer.url,
            "response",
            payload=BytesIO(answer.body),
            length=len(answer.body),
            http_headers=content,
        )
        offset = file.tell()
        length = file.write(self._bytes_of(record))
        return Place(self._number, offset, length)

    def sync(self) -> None:
        """Bring everything added to disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file at hand."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() >= self._roll_bytes:
            self.sync()
            self.close()
            self._number += 1
        if self._file is None:
            path = self._folder / file_name(self._number)
            self._file = path.open("ab")
            if self._file.tell() == 0:
                record = self._writer.create_warcinfo_record(path.name, dict(self._about))
                self._file.write(self._bytes_of(record))
        return self._file

    def _bytes_of(self, record: object) -> bytes:
        out = BytesIO()
        self._writer.out = out
        self._writer.write_record(record)
        return out.getvalue()


def file_name(number: int) -> str:
    """The name of a WARC file.

    >>> file_name(7)
    'crawl-00007.warc.gz'
    """
    return f"crawl-{number:05d}.warc.gz"


class Response(NamedTuple):
    """A response read back."""

    url: str
    content_type: str
    """With its parameters; '' if there was none."""
    content_encoding: str
    body: bytes
    """Still encoded."""


def read_response(folder: Path, place: Place) -> Response:
    """The response at a place.

    Raises:
        CorruptDataError: there is none.
    """
    path = folder / file_name(place.warc)
    try:
        with path.open("rb") as file:
            file.seek(place.offset)
            data = gzip.decompress(file.read(place.length))
        record = ArcWarcRecordLoader().parse_record_stream(BytesIO(data))
        body = record.raw_stream.read()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise CorruptDataError(
            f"{path}: no record at byte {place.offset} ({error}); delete the stage's folder under "
            "work/ and run the same command again"
        ) from None
    headers = record.http_headers
    return Response(
        record.rec_headers.get_header("WARC-Target-URI"),
        headers.get_header("Content-Type") or "",
        headers.get_header("Content-Encoding") or "",
        body,
    )


def _ascii(text: str) -> str:
    """Text that a record's head can hold; warcio escapes the values of headers itself."""
    return text.encode("ascii", "backslashreplace").decode()


def _cut(path: Path, end: int) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size < end:
        raise CorruptDataError(
            f"{path}: {size} bytes where the frontier knows {end}; delete the stage's folder under "
            "work/ and run the same command again"
        )
    os.truncate(path, end)
