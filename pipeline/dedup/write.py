"""Shards of kept and of removed documents, one of each per input shard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dedup.cut import PIECE_SCHEMA, CutShard, show_words
from pipeline.dedup.reasons import EVAL_OVERLAP, STAYS
from pipeline.dedup.verdict_files import DOCUMENTS, MATCHES
from pipeline.shared.files import once, open_atomic
from pipeline.shared.formats.documents import (
    Removed,
    Shard,
    read_verified_table,
    schema,
    write_table,
)
from pipeline.shared.text.words import split_words

MATCH_SCHEMA = pa.schema([
    pa.field("document", pa.string(), nullable=False),
    pa.field("set", pa.string(), nullable=False),
    pa.field("example", pa.string(), nullable=False),
    pa.field("num_matches", pa.int64(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
])
"""Columns of `eval_matches.parquet`."""
CUT_SCHEMA = PIECE_SCHEMA.remove(0)
"""Columns of `cut.parquet`."""


class WriteItem(NamedTuple):
    """What is to become of one shard."""

    shard: Shard
    verdicts: Path
    """Folder of `verdict_files`."""
    cut: CutShard | None
    """What is left of its documents that were cut."""


class Written(NamedTuple):
    """What a shard came to."""

    kept: dict[str, Any]
    """Entry of the manifest."""
    removed: dict[str, Any]
    reasons: dict[str, int]
    """Documents by reason."""
    matches: Path
    """Its part of `eval_matches.parquet`."""
    pieces: Path
    """Its part of `cut.parquet`."""


@dataclass(frozen=True, kw_only=True)
class WriteShards:
    """Writes a shard's kept and removed documents; a callable for `map_shards`."""

    kept: Path
    removed: Path
    done: Path
    """Folder of the parts of matches and pieces, and of the notes that say what is written."""

    def __call__(self, item: WriteItem) -> Written:
        """Write, unless an earlier attempt did."""
        name = item.shard.path.stem
        note = self.done / f"{name}.json"
        found = once(note, lambda: self._write(item))
        matches, pieces = self.done / f"{name}.matches.parquet", self.done / f"{name}.cut.parquet"
        return Written(**found, matches=matches, pieces=pieces)

    def _write(self, item: WriteItem) -> dict[str, Any]:
        table = read_verified_table(item.shard)
        verdicts = pq.read_table(item.verdicts / DOCUMENTS)
        matches = _show(pq.read_table(item.verdicts / MATCHES).to_pylist(), table)
        matched = _name_matches(verdicts, matches)
        is_kept = pc.equal(verdicts["reason"], STAYS)
        kept, pieces = _put_cuts(table, verdicts, item.cut)
        removed = table.append_column("reason", verdicts["reason"])
        removed = removed.append_column("matched", [matched]).filter(pc.invert(is_kept))
        self._save(f"{item.shard.path.stem}.matches.parquet", matches, MATCH_SCHEMA)
        self._save(f"{item.shard.path.stem}.cut.parquet", pieces, CUT_SCHEMA)
        counts = pc.value_counts(verdicts["reason"]).to_pylist()
        name = item.shard.path.name
        return {
            "kept": write_table(self.kept / name, kept.filter(is_kept)),
            "removed": write_table(self.removed / name, removed.cast(schema(Removed))),
            "reasons": {count["values"]: count["counts"] for count in counts},
        }

    def _save(self, name: str, rows: list[dict[str, Any]], columns: pa.Schema) -> None:
        with open_atomic(self.done / name) as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=columns), file)


def _show(matches: list[dict[str, Any]], table: pa.Table) -> list[dict[str, Any]]:
    """The matches with their document's id and the words that matched."""
    shown = []
    for match in matches:
        words = split_words(table["text"][match["row"]].as_py())
        text = show_words(words[match["start"] : match["end"]])
        shown.append(match | {"document": table["id"][match["row"]].as_py(), "text": text})
    return shown


def _name_matches(verdicts: pa.Table, matches: list[dict[str, Any]]) -> list[str]:
    """What each document matched; where it is an evaluation set, its strongest example."""
    strongest: dict[int, str] = {}
    for match in matches:  # the strongest of a document comes first
        strongest.setdefault(match["row"], f"{match['set']}/{match['example']}: {match['text']}")
    pairs = zip(verdicts["reason"].to_pylist(), verdicts["matched"].to_pylist(), strict=True)
    return [
        strongest[row] if reason == EVAL_OVERLAP else matched
        for row, (reason, matched) in enumerate(pairs)
    ]


def _put_cuts(
    table: pa.Table, verdicts: pa.Table, cut: CutShard | None
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The documents with what is left of those that were cut, and the pieces of those that stay."""
    if cut is None:
        return table, []
    texts = table["text"].to_pylist()
    rests = read_verified_table(cut.shard)["text"].to_pylist()
    for row, rest in zip(cut.rows, rests, strict=True):
        texts[row] = rest
    place = table.schema.get_field_index("text")
    table = table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))
    pieces = pq.read_table(cut.pieces).to_pylist()
    reasons = verdicts["reason"].to_pylist()
    return table, [piece for piece in pieces if reasons[piece["row"]] == STAYS]


def join_parts(parts: Iterable[Path], columns: pa.Schema, target: Path) -> None:
    """One Parquet file of many, in order, one in memory at a time."""
    with open_atomic(target) as file, pq.ParquetWriter(file, columns, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
