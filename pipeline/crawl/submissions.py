"""Read Reddit submissions from Pushshift's monthly dumps as a stream, one line in memory.

A line that is no submission is yielded as what is wrong with it, since one bad line must not cost
a month; an archive that breaks off is an error, since nobody can tell what its rest held.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard

from pipeline.errors import CorruptDataError, UserError

SUFFIXES = (".zst", ".xz", ".bz2", ".gz", ".ndjson", ".jsonl", ".json", "")
_WINDOW_BYTES = 2**31  # Pushshift's dumps are made with `--long=31`
_LINE_BYTES = 16 * 2**20  # a longer line is no record, whatever it is


class Submission(NamedTuple):
    """What the choice of links needs to know of one submission."""

    url: str
    subreddit: str
    score: int
    created_utc: int
    """Seconds since 1970."""
    over_18: bool
    is_self: bool


class BadLine(NamedTuple):
    """A line that holds no submission."""

    number: int
    problem: str


def find_dumps(folder: Path) -> list[Path]:
    """The dumps of a folder (RS_2017-11.zst, RS_v2_2005-06.xz, ...) by name.

    Raises:
        UserError: the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; put submission dumps (RS_YYYY-MM.zst) there")
    dumps = [p for p in sorted(folder.glob("RS*")) if p.is_file() and p.suffix in SUFFIXES]
    if not dumps:
        raise UserError(f"{folder}: holds no submission dump; they are named RS_YYYY-MM.zst or so")
    return dumps


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain or compressed text file, without their ends.

    Raises:
        CorruptDataError: the archive breaks off or is damaged.
    """
    try:
        with path.open("rb") as raw, _decompressed(path, raw) as file:
            while line := file.readline(_LINE_BYTES):
                yield line.rstrip(b"\r\n")
            if raw.seek(0, io.SEEK_END) == 0:
                raise EOFError("it is empty")
    except (zstandard.ZstdError, lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(_broken_archive(path, error)) from None
    except OSError as error:
        if error.errno is not None:  # the machine's fault; a bad bzip2 stream has no errno
            raise
        raise CorruptDataError(_broken_archive(path, error)) from None


def _broken_archive(path: Path, error: Exception) -> str:
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


def read_submissions(path: Path) -> Iterator[Submission | BadLine]:
    """The submissions of one dump, bad lines in their place.

    Raises:
        CorruptDataError: the archive breaks off or is damaged.
    """
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            yield _parse(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            yield BadLine(number, f"{type(error).__name__}: {error}")


def _parse(line: bytes) -> Submission:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise TypeError(f"holds a {type(record).__name__}, not an object")
    domain = str(record.get("domain") or "")
    url, subreddit = str(record.get("url") or ""), str(record.get("subreddit") or "")
    (url + subreddit).encode()  # half a character is no text
    return Submission(
        url=url,
        subreddit=subreddit,
        score=_int64(record["score"]),
        created_utc=_int64(record["created_utc"]),  # some months hold a string
        over_18=bool(record.get("over_18")),
        is_self=bool(record.get("is_self", domain.startswith("self."))),
    )


def _int64(value: Any) -> int:
    number = int(value)
    if abs(number) >= 2**63:
        raise OverflowError(f"{number} is no number of this field")
    return number
