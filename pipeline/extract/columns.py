"""Which columns of a ready corpus hold what, and their values as a document's fields.

Corpora name and type the same things differently: `COMMON` has the names of those that people
bring, in the order in which they are tried in each record, in JSON and in Parquet alike. Only the
text is needed. What else cannot be read costs its value and is counted by the column's name
(docs/corpora.md).
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import email.utils
import hashlib
import math
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from pipeline.shared.formats.documents import document_id
from pipeline.shared.formats.json_records import parse_json
from pipeline.shared.params.web import ColumnsParams

COMMON: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "raw_content", "contents", "body", "document", "article",
             "maintext", "plain_text", "page_content"),
    "id": ("id", "doc_id", "document_id", "docid", "_id", "uuid", "guid",
           "warc_headers.warc-record-id"),
    "url": ("url", "uri", "source_url", "link", "metadata.url", "meta.url",
            "metadata.WARC-Target-URI", "warc_headers.warc-target-uri"),
    "date": ("created_utc", "date", "timestamp", "created", "published", "date_publish",
             "date_download", "added", "meta.timestamp", "metadata.timestamp",
             "metadata.WARC-Date", "warc_headers.warc-date"),
    "title": ("title", "headline", "meta.title", "metadata.title"),
    "original_url": ("original_url",),
    "score": ("score",),
    "subreddit": ("subreddit", "metadata.subreddit"),
}  # fmt: skip
"""Names tried for each field, a dot before a field of a structure."""
_LAST_SECOND = 253_402_300_799  # of the year 9999
_MOST_CHARACTERS = 2**16  # of a field that is not the text
_MOST_META_CHARACTERS = 2**13
_Value = TypeVar("_Value")


class NoTextError(ValueError):
    """A record without a column of text; the message names what it has."""


class _Column(NamedTuple):
    name: str
    outer: str
    inner: str
    """Both empty, unless the name has a dot."""

    def value_in(self, record: Mapping[str, Any]) -> Any:
        """The value, None where there is none: a string without a character is none, nor is NaN."""
        found = record.get(self.name)
        if found is None and self.outer and (outer := record.get(self.outer)) is not None:
            outer = _parse_meta(outer) if isinstance(outer, str) else outer
            found = outer.get(self.inner) if isinstance(outer, dict) else None
        if isinstance(found, float) and math.isnan(found):
            return None
        return None if isinstance(found, str | bytes) and not found else found


def _column(name: str) -> _Column:
    outer, dot, inner = name.partition(".")
    return _Column(name, outer if dot else "", inner)


def _parse_meta(text: str) -> Any:
    """A structure that was written out as text, as JSON or as Python shows it (RedPajama's)."""
    if not text.startswith("{") or len(text) > _MOST_META_CHARACTERS:
        return None
    try:
        return parse_json(text.encode())
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


class Columns(NamedTuple):
    """The names to try, by field of a document."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def text_names(self) -> tuple[str, ...]:
        """Those of the text."""
        return self.names["text"]

    def in_schema(self, schema: pa.Schema) -> list[str]:
        """Those that a Parquet file has, of the text's those that can hold one.

        Raises:
            NoTextError: it has none of these.
        """
        kinds = dict(_flatten(schema))
        found = {
            field: [place for name in own if (place := _place_in(kinds, name))]
            for field, own in self.names.items()
        }
        found["text"] = [place for place in found["text"] if _is_text(kinds[place])]
        if not found["text"]:
            has = (f"{field.name} ({field.type!s:.40})" for field in schema)
            raise NoTextError(", ".join(has))
        return list(dict.fromkeys(chain.from_iterable(found.values())))


def columns_of(params: ColumnsParams) -> Columns:
    """The names that the parameters give, or the common ones."""
    asked = {field: (name,) for field, name in params.model_dump().items() if name is not None}
    return Columns(COMMON | asked)


def _flatten(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for field in schema:
        yield field.name, field.type
        if pa.types.is_struct(field.type):
            for inner in field.type:
                yield f"{field.name}.{inner.name}", inner.type


def _place_in(kinds: Mapping[str, pa.DataType], name: str) -> str:
    """The column that may hold what is so named: itself, or a structure written out as text."""
    outer = name.partition(".")[0]
    return name if name in kinds else outer if _is_text(kinds.get(outer)) else ""


def _is_text(kind: pa.DataType | None) -> bool:
    if kind is None:
        return False
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    asked = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in asked)


class FieldReader:
    """Makes a document's fields of records, and counts the values that could not be read."""

    def __init__(self, columns: Columns) -> None:
        self._columns = {
            field: tuple(map(_column, names)) for field, names in columns.names.items()
        }
        self.unreadable: Counter[str] = Counter()
        """Values by the name of their column."""

    def read(self, record: Any) -> dict[str, Any]:
        """The fields of a document.

        Raises:
            NoTextError: there is no column of text.
            TypeError, ValueError: there is no record, or all that should be text is none.
        """
        if not isinstance(record, dict):
            raise TypeError(f"holds a {type(record).__name__}, not an object")
        text = self._text(record)
        url = self._read("url", record, _read_string) or ""
        id_ = self._read("id", record, _read_string) or ""
        return {
            "text": text,
            "url": url,
            "id": id_ or (document_id(url) if url else _id_of_text(text)),
            "created_utc": self._read("date", record, _read_seconds) or 0,
            "score": self._read("score", record, _read_int) or 0,
            **{
                field: self._read(field, record, _read_string) or ""
                for field in ("original_url", "title", "subreddit")
            },
        }

    def _text(self, record: dict[str, Any]) -> str:
        problem: Exception | None = None
        is_there = False
        for column in self._columns["text"]:
            value = column.value_in(record)
            is_there = is_there or column.name in record
            if value is None:
                continue
            try:
                return _to_text(value)
            except (TypeError, ValueError) as error:
                problem = problem or error
        if problem:
            raise problem
        if not is_there:
            raise NoTextError(", ".join(map(repr, record)) or "nothing")
        return ""

    def _read(
        self, field: str, record: dict[str, Any], read: Callable[[Any], _Value]
    ) -> _Value | None:
        for column in self._columns[field]:
            value = column.value_in(record)
            if value is None:
                continue
            try:
                return read(value)
            except (ValueError, TypeError, LookupError, ArithmeticError):
                self.unreadable[column.name] += 1
        return None


def _to_text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not a string")
    text.encode()  # half a character is no text
    return text


def _read_string(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # pandas makes numbers of a column with gaps so
    if isinstance(value, bool) or not isinstance(
        value, str | bytes | int | decimal.Decimal | uuid.UUID
    ):
        raise TypeError(f"{type(value).__name__} is no name")
    text = _to_text(value if isinstance(value, bytes) else str(value))
    if len(text) > _MOST_CHARACTERS:
        raise ValueError("too long")
    return text


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
        raise TypeError(f"{type(value).__name__} is no number")
    number = int(float(value)) if isinstance(value, str) and "." in value else int(value)
    if abs(number) >= 2**63:
        raise OverflowError("no number of 64 bits")
    return number


def _read_seconds(value: Any) -> int:
    """Seconds since 1970 of a number of them, an ISO 8601 or RFC 5322 date, or a time."""
    if isinstance(value, str) and not _is_seconds(value):
        value = _parse_date(value.strip())
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return int(moment.timestamp())
    if isinstance(value, dt.date):
        return _read_seconds(dt.datetime.combine(value, dt.time()))
    seconds = _read_int(value)
    if abs(seconds) > _LAST_SECOND:
        raise OverflowError("no time in seconds")
    return seconds


def _is_seconds(text: str) -> bool:
    """Whether a string is a number of seconds; one of eight digits is a day."""
    digits = text.strip().removeprefix("-").partition(".")[0]
    return digits.isdecimal() and len(digits) > 8


def _parse_date(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return email.utils.parsedate_to_datetime(text)


def _id_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
