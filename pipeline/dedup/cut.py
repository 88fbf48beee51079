"""Cutting passages of evaluation texts out of documents, as GPT-3 did, instead of removing these.

A passage goes with a margin of words on either side, up to the next white space; what was before
and what comes after become two paragraphs. The document keeps its id, and so its split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.files import open_folder, read_json, write_json
from pipeline.shared.formats.documents import Shard, read_verified_table, write_table
from pipeline.shared.text.words import split_words

_CHUNK = re.compile(r"\S+")
_SHOWN_WORDS = 60


class Passage(NamedTuple):
    """Words that a document shares with an evaluation example."""

    start: int
    """First word."""
    end: int
    """Word after the last."""


class Piece(NamedTuple):
    """What is cut out."""

    start: int
    """Its first character in the document."""
    text: str
    because: int
    """The number of the first passage that lies in it."""


def cut_text(text: str, passages: Sequence[Passage], margin: int) -> tuple[str, list[Piece]]:
    r"""What is left of a text, and the pieces cut out of it.

    Args:
        text: the document.
        passages: by their words; the first ones are named as the reason.
        margin: words that go with a passage on either side.

    >>> cut_text("One two, three four. Five six!", [Passage(2, 3)], 1)
    ('One\n\nFive six!', [Piece(start=4, text='two, three four.', because=0)])
    """
    chunks = [match.span() for match in _CHUNK.finditer(text)]
    chunk_of_word = [
        number for number, (start, end) in enumerate(chunks) for _ in split_words(text[start:end])
    ]
    pieces: list[tuple[int, int, int]] = []
    widened = [
        (max(start - margin, 0), min(end + margin, len(chunk_of_word)), number)
        for number, (start, end) in enumerate(passages)
    ]
    for first, last, number in sorted(widened):
        start, end = chunks[chunk_of_word[first]][0], chunks[chunk_of_word[last - 1]][1]
        if pieces and start <= pieces[-1][1]:
            before = pieces.pop()
            pieces.append((before[0], max(before[1], end), min(before[2], number)))
        else:
            pieces.append((start, end, number))
    bounds = [0, *(place for start, end, _ in pieces for place in (start, end)), len(text)]
    rest = [text[a:b].strip() for a, b in zip(bounds[0::2], bounds[1::2], strict=True)]
    cut = [Piece(start, text[start:end], number) for start, end, number in pieces]
    return "\n\n".join(part for part in rest if part), cut


class CutShard(NamedTuple):
    """What is left of one shard's documents that were cut."""

    shard: Shard
    """Of the documents of which enough is left."""
    pieces: Path
    """What was cut out (Parquet)."""
    rows: list[int]
    """Which rows of the shard they are of."""
    too_short: list[int]
    """Rows of the documents of which too little is left."""


class CutItem(NamedTuple):
    """What is to be cut out of one shard."""

    shard: Shard
    passages: Path
    """Parquet: row, start, end (words), set, example; the strongest of a row first."""


@dataclass(frozen=True, kw_only=True)
class CutShards:
    """Cuts passages out of a shard's documents; a callable for `map_shards`."""

    folder: Path
    margin_words: int
    min_words: int
    """A document with fewer words left goes as a whole."""

    def __call__(self, item: CutItem) -> CutShard:
        """Cut, unless an earlier attempt did."""
        target = self.folder / item.shard.path.stem
        if not target.is_dir():
            with open_folder(target) as folder:
                self._write(item, folder)
        note = read_json(target / "note.json")
        entry = note.pop("shard")
        shard = Shard(target / entry.pop("name"), **entry)
        return CutShard(shard, target / "pieces.parquet", **note)

    def _write(self, item: CutItem, folder: Path) -> None:
        table = read_verified_table(item.shard)
        passages: dict[int, list[dict[str, Any]]] = {}
        for passage in pq.read_table(item.passages).to_pylist():
            passages.setdefault(passage["row"], []).append(passage)
        texts: list[str] = []
        rows, too_short, pieces = [], [], []
        for row, own in sorted(passages.items()):
            text = table["text"][row].as_py()
            spans = [Passage(passage["start"], passage["end"]) for passage in own]
            rest, cut = cut_text(text, spans, self.margin_words)
            if len(split_words(rest)) < self.min_words:
                too_short.append(row)
                continue
            rows.append(row)
            texts.append(rest)
            words = split_words(text)
            pieces += [
                {"row": row, "document": table["id"][row].as_py()}
                | {"start": piece.start, "text": piece.text}
                | {"matched": show_match(own[piece.because], words)}
                for piece in cut
            ]
        place = table.schema.get_field_index("text")
        documents = table.take(pa.array(rows, pa.int64()))
        field = table.schema.field(place)
        documents = documents.set_column(place, field, pa.array(texts, pa.string()))
        name = item.shard.path.name
        entry = write_table(folder / name, documents)
        pq.write_table(pa.Table.from_pylist(pieces, schema=PIECE_SCHEMA), folder / "pieces.parquet")
        write_json(folder / "note.json", {"shard": entry, "rows": rows, "too_short": too_short})


PIECE_SCHEMA = pa.schema([
    pa.field("row", pa.int64(), nullable=False),
    pa.field("document", pa.string(), nullable=False),
    pa.field("start", pa.int64(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("matched", pa.string(), nullable=False),
])
"""Columns of the pieces; all but `row` are published."""


def show_words(words: Sequence[str]) -> str:
    """Words that matched, the first sixty of them."""
    dots = " ..." if len(words) > _SHOWN_WORDS else ""
    return " ".join(words[:_SHOWN_WORDS]) + dots


def show_match(match: dict[str, Any], words: Sequence[str]) -> str:
    """Set, example and the words that matched, of which `start` and `end` tell."""
    return f"{match['set']}/{match['example']}: {show_words(words[match['start'] : match['end']])}"
