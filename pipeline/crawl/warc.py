"""Write answers as WARC 1.1, one gzip member a record.

A record is counted only once the crawl's databases have it; what lies beyond is cut off when the
files are opened again, so that after a kill files and databases agree. Each crawler has a series
of files. Written here rather than by warcio, which takes longer for a record than the fetch.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
import uuid
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from pipeline.crawl.archive import Place
from pipeline.crawl.exchange import Answer
from pipeline.shared.errors import CorruptDataError

ROLL_BYTES = 10**9  # the usual size of a WARC file; a larger one is awkward to move
_FRAMING = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})
_GZIP_LEVEL = 6  # zlib's own; 9 takes half as long again for half a percent
_SERIES = 100_000  # numbers of a crawler's files


class WarcFiles:
    """The WARC files of one crawler, open for appending."""

    def __init__(
        self,
        folder: Path,
        committed: Mapping[int, int],
        *,
        about: Mapping[str, str],
        sealed: Collection[int] = (),
        series: int = 0,
        roll_bytes: int = ROLL_BYTES,
    ) -> None:
        """Go on after the committed bytes.

        Args:
            folder: where the files lie; made if missing.
            committed: bytes of each file that are known, by the file's number.
            about: fields of the warcinfo record that heads each file.
            sealed: numbers of files that nothing may be added to.
            series: the crawler's number.
            roll_bytes: size from which a new file is begun.

        Raises:
            CorruptDataError: a file is shorter than the list knows it.
        """
        self._folder, self._about, self._roll_bytes = folder, about, roll_bytes
        own = {number: end for number, end in committed.items() if number // _SERIES == series}
        cut(folder, own, sealed=sealed, series=series)
        self._number = max(own, default=series * _SERIES)
        if self._number in sealed:
            self._number += 1
        self._file: IO[bytes] | None = None

    def add(self, record: bytes) -> Place:
        """Append one record; its bytes are safe only after `sync`."""
        file = self._open()
        offset = file.tell()
        return Place(self._number, offset, file.write(record))

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
                fields = "".join(f"{name}: {value}\r\n" for name, value in self._about.items())
                self._file.write(
                    _record(
                        {"WARC-Type": "warcinfo", "WARC-Filename": path.name},
                        kind="application/warc-fields",
                        block=fields.encode(),
                        when=dt.datetime.now(dt.UTC),
                    )
                )
        return self._file


def response_record(answer: Answer, when: dt.datetime) -> bytes:
    """One answer as a compressed record; its body stays encoded as it came."""
    status = f"HTTP/1.1 {answer.status} {_ascii(answer.phrase)}".rstrip()
    lines = [status.encode()]
    lines += [
        name + b": " + value for name, value in answer.headers if name.lower() not in _FRAMING
    ]
    head = {
        "WARC-Type": "response",
        "WARC-Target-URI": answer.url,
        "WARC-Payload-Digest": _digest(answer.body),
    }
    block = b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
    return _record(head, kind="application/http; msgtype=response", block=block, when=when)


def _record(head: Mapping[str, str], *, kind: str, block: bytes, when: dt.datetime) -> bytes:
    fields = {
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid4()}>",
        **head,
        "WARC-Date": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "WARC-Block-Digest": _digest(block),
        "Content-Type": kind,
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = b"WARC/1.1\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n"
    return zlib.compress(data, _GZIP_LEVEL, wbits=31)


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def file_name(number: int) -> str:
    """The name of a WARC file: its crawler and its number.

    >>> file_name(300_007)
    'crawl-003-00007.warc.gz'
    """
    return f"crawl-{number // _SERIES:03d}-{number % _SERIES:05d}.warc.gz"


def cut(
    folder: Path,
    committed: Mapping[int, int],
    *,
    sealed: Collection[int],
    series: int | None = None,
) -> None:
    """Remove what is not known, of all crawlers or of one; makes the folder if it is missing.

    Nothing is cut off a sealed file: no crawler has written there since, so what the list does not
    know is of a file that was given up (`pipeline.crawl.lost`) and put back after all.

    Raises:
        CorruptDataError: a file is shorter than the list knows it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = set(map(file_name, committed))
    which = "*" if series is None else f"{series:03d}-*"
    for path in folder.glob(f"crawl-{which}.warc.gz"):
        if path.name not in known:
            path.unlink()
    for number, end in committed.items():
        path = folder / file_name(number)
        if _checked_size(path, end) > end and number not in sealed:
            os.truncate(path, end)


def _ascii(text: str) -> str:
    """Text that the head of a record can hold."""
    return text.encode("ascii", "backslashreplace").decode()


def size_of(path: Path) -> int:
    """Bytes of a file; none of one that is missing."""
    return path.stat().st_size if path.is_file() else 0


def _checked_size(path: Path, end: int) -> int:
    size = size_of(path)
    if size < end:
        raise CorruptDataError(
            f"{path}: {size} bytes where the archive's list knows {end}; put the file back or, if "
            f"it is lost, run `python -m pipeline.crawl.lost {path.parent.parent}` "
            "(docs/archive.md)"
        )
    return size
