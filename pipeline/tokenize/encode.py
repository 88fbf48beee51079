"""From documents to splits: each shard's tokens, then the splits gathered from them by hash.

A shard's tokens are remembered beyond the run, so that none is encoded twice by one tokenizer.
There they lie by hash, as in the splits: gathering reads each file from its beginning to its end,
however many documents there are, and keeps one Arrow row of each in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Shard, read_verified_texts
from pipeline.shared.formats.long_texts import NEVER_PARTED, part_text
from pipeline.shared.formats.token_shards import DTYPE, TokenDocument, Tokens
from pipeline.shared.running.open_files import allow_files
from pipeline.shared.running.shard_memory import Memory
from pipeline.tokenize.encoders import (
    Encoded,
    cached_tokenizer,
    encode_by_gigatoken,
    encode_by_tiktoken,
)
from pipeline.tokenize.split import Keys, in_bounds, split_keys

_INDEX, _TOKENS = "documents.parquet", "tokens.bin"
_BATCH_DOCUMENTS = 2048
_INDEX_SCHEMA = pa.schema([
    ("id", pa.string()),
    ("key", pa.uint64()),
    ("length", pa.int64()),  # tokens, <|endoftext|> included
    ("text_bytes", pa.int64()),
    ("parted", pa.int64()),  # how often a piece of it was, being too long for any tokenizer
    ("checked", pa.bool_()),
])
CHECKED_SHARE = 0.01  # of the documents, when gigatoken makes the ids


class _EncodedBatch(NamedTuple):
    """Some documents of a shard, in its order."""

    index: pa.Table
    """A row each, without their places in the file."""
    tokens: Tokens
    """One document after the other, <|endoftext|> behind each."""

    def documents(self) -> Iterator[Tokens]:
        """The tokens of each document."""
        ends = np.cumsum(self.index["length"].to_numpy()).tolist()
        for start, end in pairwise([0, *ends]):
            yield self.tokens[start:end]


@dataclass(frozen=True, kw_only=True)
class EncodeShard:
    """Writes the tokens of a shard and an index of its documents; a callable for `map_shards`."""

    tokenizer: Path
    tokenizer_sha256: str
    memory: Memory
    seed: int
    num_threads: int
    encoder: str

    def __call__(self, shard: Shard) -> Path:
        """Returns the index, a row per document: id, key, start, length, text_bytes, and more."""
        return self.memory.recall(self.key(shard), partial(self._write, shard)).folder / _INDEX

    def key(self, shard: Shard) -> str:
        """What the tokens of a shard are remembered by."""
        return f"{self.tokenizer_sha256} {shard.sha256}"

    def _write(self, shard: Shard, folder: Path) -> dict[str, Any]:
        texts = read_verified_texts(shard, at_once=_BATCH_DOCUMENTS)
        batches = [self._encode_batch(*batch) for batch in texts]
        index = pa.concat_tables([_INDEX_SCHEMA.empty_table(), *(batch.index for batch in batches)])
        order = np.argsort(index["key"].to_numpy(), kind="stable")
        documents = list(chain.from_iterable(batch.documents() for batch in batches))
        with (folder / _TOKENS).open("wb") as file:
            for start in range(0, len(order), _BATCH_DOCUMENTS):
                rows = order[start : start + _BATCH_DOCUMENTS].tolist()
                file.write(np.concatenate([documents[row] for row in rows]).data)
        index = index.take(order)
        lengths = index["length"].to_numpy()
        starts = pa.array(np.cumsum(lengths) - lengths, pa.int64())
        pq.write_table(index.append_column("start", starts), folder / _INDEX)
        return {"documents": len(index)}

    def _encode_batch(self, ids: list[str], texts: pa.StringArray) -> _EncodedBatch:
        keys = split_keys(ids, seed=self.seed)
        parts, num_parts, parted = _part(texts)
        encoded = self._encode(parts, np.repeat(keys, num_parts))
        lengths = np.add.reduceat(encoded.lengths, np.cumsum(num_parts) - num_parts)
        end_of_text = cached_tokenizer(self.tokenizer, self.tokenizer_sha256).end_of_text
        columns = (ids, keys, lengths + 1, pc.binary_length(texts), parted, self._is_checked(keys))
        index = dict(zip(_INDEX_SCHEMA.names, columns, strict=True))
        tokens = _close_documents(encoded.ids, lengths, end_of_text)
        return _EncodedBatch(pa.table(index, schema=_INDEX_SCHEMA), tokens)

    def _encode(self, texts: pa.StringArray, keys: Keys) -> Encoded:
        """The ids of each text or part of one; `keys` are those of their documents."""
        tokenizer = cached_tokenizer(self.tokenizer, self.tokenizer_sha256)
        if self.encoder == "tiktoken":
            return encode_by_tiktoken(tokenizer, texts.to_pylist(), num_threads=self.num_threads)
        found = encode_by_gigatoken(
            self.tokenizer, self.tokenizer_sha256, texts, num_threads=self.num_threads
        )
        chosen = np.flatnonzero(self._is_checked(keys))
        checked = texts.take(chosen).to_pylist()
        right = encode_by_tiktoken(tokenizer, checked, num_threads=1)
        for place, number in enumerate(chosen.tolist()):
            if not np.array_equal(found.of(number), right.of(place)):
                raise UserError(
                    f"gigatoken and tiktoken disagree on a text that begins "
                    f"{checked[place][:80]!r}; set tokenize.encoder = tiktoken in params.yaml"
                )
        return found

    def _is_checked(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """A share of the documents by the low half of their hash; the high half orders them."""
        if self.encoder == "tiktoken":
            return np.zeros(len(keys), np.bool_)
        return (keys & np.uint64(2**32 - 1)) < np.uint64(round(CHECKED_SHARE * 2**32))


def _part(texts: pa.StringArray) -> tuple[pa.StringArray, npt.NDArray[np.int64], list[int]]:
    """The texts, in parts where one is too long for a tokenizer.

    Returns:
        The parts of all, the number of each text's, and how often a piece of it was parted within.
    """
    num_parts, parted = np.ones(len(texts), np.int64), [0] * len(texts)
    parts, done = [], 0
    num_bytes = pc.binary_length(texts).to_numpy()  # no fewer than characters
    for row in np.flatnonzero(num_bytes >= NEVER_PARTED).tolist():
        own, parted[row] = part_text(texts[row].as_py())
        if len(own) > 1:
            num_parts[row] = len(own)
            parts += [texts[done:row], pa.array(own, pa.string())]
            done = row + 1
    if parts:  # else they stay where Arrow has them
        texts = pa.concat_arrays([*parts, texts[done:]])
    return texts, num_parts, parted


def _close_documents(
    ids: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64], end_of_text: int
) -> Tokens:
    """The ids of documents of these lengths, <|endoftext|> behind each."""
    closed = np.full(len(ids) + len(lengths), end_of_text, DTYPE)
    is_text = np.ones(len(closed), np.bool_)
    is_text[np.cumsum(lengths + 1) - 1] = False
    closed[is_text] = ids
    return closed


class EncodedCorpus:
    """The documents of all shards, without their tokens: what a split is gathered by."""

    def __init__(self, indexes: list[Path]) -> None:
        self._files = [index.with_name(_TOKENS) for index in indexes]
        tables = [pq.read_table(index) for index in indexes]
        parts = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        self.table = pa.concat_tables(tables).append_column("part", pa.array(parts, pa.int32()))

    def of_split(self, bounds: tuple[int, int]) -> pa.Table:
        """The documents of a split in its order: by hash, then (for equal hashes) by id."""
        inside = in_bounds(self.table["key"].to_numpy(), bounds)
        documents = self.table.filter(pa.array(inside))
        return documents.sort_by([("key", "ascending"), ("id", "ascending")])

    def read(self, documents: pa.Table) -> Iterator[TokenDocument]:
        """The documents that `of_split` lists, with their tokens."""
        allow_files(len(self._files))  # each map holds its own open
        empty = np.empty(0, DTYPE)  # a zero-length file cannot be mapped
        # A plain view: slicing a memmap costs ten times as much as slicing an array.
        maps: list[npt.NDArray[Any]] = [
            np.memmap(f, DTYPE, "r").view(np.ndarray) if f.stat().st_size else empty
            for f in self._files
        ]
        for batch in documents.to_batches(max_chunksize=2**16):
            columns = (batch[name].to_pylist() for name in ("id", "part", "start", "length"))
            for id_, part, start, length in zip(*columns, strict=True):
                yield TokenDocument(id_, maps[part][start : start + length])
