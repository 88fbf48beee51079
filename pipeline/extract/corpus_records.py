"""The records of one file of a ready corpus, in JSON or Parquet, as documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.extract.columns import Columns, FieldReader, NoTextError
from pipeline.extract.judge import Caps
from pipeline.extract.rules import Page, reject
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.documents import Document, Removed
from pipeline.shared.formats.json_records import parse_json, read_json_pieces
from pipeline.shared.formats.parquet_rows import read_rows
from pipeline.shared.web.text_lines import TooLong

DAMAGED, TOO_LARGE = "damaged_record", "too_large"
_ROWS_AT_ONCE = 1024
_ENOUGH_RECORDS = 1000  # without a text among them, a file holds other things than was meant
_NAME_IT = "name the column of the text in params.yaml: extract.columns.text"


class Lost(NamedTuple):
    """A record that could not be read."""

    reason: str
    problem: str
    """With its place."""


class RecordReader:
    """Reads the records of one file, and counts the values that could not be read."""

    def __init__(self, columns: Columns, caps: Caps, max_record_bytes: int) -> None:
        self._columns, self._caps, self._most_bytes = columns, caps, max_record_bytes
        self._fields = FieldReader(columns)
        self.unreadable = self._fields.unreadable
        """Values that cost themselves alone, by the name of their column."""
        self._without_text = 0
        """Records in a row from the start of the file; -1 once one has had a text."""

    def read_json(self, path: Path) -> Iterator[Document | Lost]:
        """Those of a file with a record a line, or an array, or one value after the other.

        Raises:
            CorruptDataError: it breaks off or is damaged.
            UserError: its first thousand records have no text.
        """
        for piece in read_json_pieces(path, self._most_bytes):
            where = f"{piece.unit} {piece.number}"
            if isinstance(piece.content, TooLong):
                yield self._too_large(where, piece.content.num_bytes)
            else:
                yield self._read(path, piece.content, where)

    def read_parquet(self, path: Path) -> Iterator[Document | Lost]:
        """The rows of a Parquet file.

        Raises:
            CorruptDataError: it breaks off or is damaged.
            UserError: it has no column of text.
        """
        try:
            with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
                columns = self._columns.in_schema(file.schema_arrow)
                rows = read_rows(file, columns, at_once=_ROWS_AT_ONCE)
                for number, row in enumerate(rows, 1):
                    yield self._read(path, row, f"row {number}")
        except NoTextError as error:
            asked = ", ".join(self._columns.text_names)
            raise UserError(
                f"{path}: has no column of text named {asked}, but {error}; {_NAME_IT}"
            ) from None
        except (pa.ArrowException, OSError) as error:
            raise CorruptDataError(
                f"{path}: truncated or no Parquet file ({error}); fetch it again"
            ) from None

    def _read(self, path: Path, record: Any, where: str) -> Document | Lost:
        try:
            record = parse_json(record) if isinstance(record, bytes) else record
            fields = self._fields.read(record)
        except NoTextError as error:
            problem = f"no text under {', '.join(self._columns.text_names)}, but {error}"
            self._count_without_text(path, f"{problem}; {_NAME_IT}")
            return Lost(DAMAGED, f"{where} ({problem})")
        except (ValueError, TypeError, RecursionError) as error:
            problem = f"{type(error).__name__}: {error}"
            self._count_without_text(path, problem)
            return Lost(DAMAGED, f"{where} ({problem})")
        self._without_text = -1
        text = fields["text"]
        if len(text) > self._most_bytes or len(text.encode()) > self._most_bytes:
            return self._too_large(where, len(text.encode()))
        page = Page("", text)
        reason = reject(page, min_words=self._caps.min_words, rules_off=self._caps.rules_off)
        return Removed(reason=reason, **fields) if reason else Document(**fields)

    def _too_large(self, where: str, num_bytes: int) -> Lost:
        return Lost(
            TOO_LARGE,
            f"{where} ({num_bytes:,} bytes, more than extract.max_record_bytes = "
            f"{self._most_bytes:,} of params.yaml)",
        )

    def _count_without_text(self, path: Path, problem: str) -> None:
        if self._without_text >= 0:
            self._without_text += 1
        if self._without_text >= _ENOUGH_RECORDS:
            raise UserError(f"{path}: its first {_ENOUGH_RECORDS} records hold no text ({problem})")
