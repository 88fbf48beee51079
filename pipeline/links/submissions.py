"""Read Reddit submissions from monthly dumps as a stream: Pushshift's NDJSON, or Parquet.

A dump is a file or a URL, of which never more than a piece is here at a time. A line or row that is
no submission is yielded as what is wrong with it, since one bad line must not cost a month; an
archive that breaks off is an error, since nobody can tell what its rest held.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.json_records import parse_json, read_json_pieces
from pipeline.shared.formats.parquet_rows import read_rows
from pipeline.shared.running.storage import is_url
from pipeline.shared.web.remote_file import open_place
from pipeline.shared.web.text_lines import TooLong, broken_archive

SUFFIXES = (".zst", ".xz", ".bz2", ".gz", ".ndjson", ".jsonl", ".json", ".parquet", "")
_FIELDS = ("url", "subreddit", "score", "created_utc", "over_18", "is_self", "domain")
_ROWS_AT_ONCE = 16_384
_MOST_BYTES = 16 * 2**20  # a longer line is no submission, whatever it is


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
    """A line or row that holds no submission."""

    number: int
    problem: str


def find_dumps(places: Sequence[Path]) -> list[Path]:
    """The dumps at these places, each of them a file, a URL, or a folder of files named RS*.

    Raises:
        UserError: a place is missing, or a folder holds none.
    """
    return [dump for place in places for dump in _dumps_at(place)]


def _dumps_at(place: Path) -> list[Path]:
    if is_url(place) and place.suffix in SUFFIXES[:-1]:
        return [place]  # not asked for before it is read: a server need not list
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(
            f"{place}: no such file or folder; put submission dumps (RS_YYYY-MM.zst) there"
        )
    dumps = [p for p in sorted(place.glob("RS*")) if p.suffix in SUFFIXES and p.is_file()]
    if not dumps:
        raise UserError(f"{place}: holds no submission dump; they are named RS_YYYY-MM.zst or so")
    return dumps


def read_submissions(path: Path) -> Iterator[Submission | BadLine]:
    """The submissions of one dump, bad lines in their place.

    Raises:
        UserError: there is no such dump.
        CorruptDataError: it breaks off or is damaged.
        RetryableError: the store gives no answer.
    """
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_json(path)
    for number, row in rows:
        try:
            yield _to_submission(parse_json(row) if isinstance(row, bytes) else row)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            yield BadLine(number, f"{type(error).__name__}: {error}")


def _read_json(path: Path) -> Iterator[tuple[int, bytes | TooLong]]:
    for piece in read_json_pieces(path, _MOST_BYTES):
        yield piece.number, piece.content


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open_place(path) as raw, pq.ParquetFile(raw) as file:
            columns = [name for name in _FIELDS if name in file.schema_arrow.names]
            missing = {"url", "score", "created_utc"} - set(columns)
            if missing:
                raise CorruptDataError(
                    f"{path}: has no column {', '.join(sorted(missing))}; name them as Reddit does"
                )
            yield from enumerate(read_rows(file, columns, at_once=_ROWS_AT_ONCE), 1)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptDataError(broken_archive(path, error)) from None


def _to_submission(record: Any) -> Submission:
    if isinstance(record, TooLong):
        raise ValueError(f"its {record.num_bytes:,} bytes are more than {_MOST_BYTES:,}")
    if not isinstance(record, dict):
        raise TypeError(f"holds a {type(record).__name__}, not an object")
    url, subreddit = str(record.get("url") or ""), str(record.get("subreddit") or "")
    if not (url.isascii() and subreddit.isascii()):
        (url + subreddit).encode()  # half a character is no text
    is_self = record.get("is_self", _UNKNOWN)
    if is_self is _UNKNOWN:
        is_self = str(record.get("domain") or "").startswith("self.")
    return Submission(
        url=url,
        subreddit=subreddit,
        score=_int64(record["score"]),
        created_utc=_seconds(record["created_utc"]),
        over_18=bool(record.get("over_18")),
        is_self=bool(is_self),
    )


_UNKNOWN = object()


def _seconds(value: Any) -> int:
    """A time as seconds since 1970: a number, a string of one (in some months), or a timestamp."""
    if isinstance(value, dt.datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp())
    return _int64(value)


def _int64(value: Any) -> int:
    number = int(value)
    if abs(number) >= 2**63:
        raise OverflowError(f"{number} is no number of this field")
    return number
