"""From documents to splits: each shard's tokens, then the splits gathered from them by hash.

A shard's tokens are remembered beyond the run, so that none is encoded twice by one tokenizer.
There they lie by hash, as in the splits: gathering reads each file from its beginning to its end,
however many documents there are, and keeps one Arrow row of each in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Shard, read_verified_table
from pipeline.shared.formats.long_texts import part_text
from pipeline.shared.formats.token_shards import DTYPE, TokenDocument
from pipeline.shared.running.shard_memory import Memory
from pipeline.tokenize.encoders import (
    Encoded,
    cached_tokenizer,
    encode_by_gigatoken,
    encode_by_tiktoken,
)
from pipeline.tokenize.split import Keys, in_bounds, split_keys

_INDEX, _TOKENS = "documents.parquet", "tokens.bin"
_BATCH_DOCUMENTS = 512
CHECKED_SHARE = 0.01  # of the documents, when gigatoken makes the ids


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
        table = read_verified_table(shard).select(["id", "text"])
        keys = split_keys(table["id"].to_pylist(), seed=self.seed)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        texts = table["text"].to_pylist()  # to order these, Arrow would copy them all
        lengths, parted = self._write_tokens(
            folder / _TOKENS, [texts[row] for row in order.tolist()], keys
        )
        columns = {
            "id": table["id"].take(order),
            "key": pa.array(keys, pa.uint64()),
            "start": pa.array(np.cumsum(lengths) - lengths, pa.int64()),
            "length": pa.array(lengths, pa.int64()),
            "text_bytes": pc.binary_length(table["text"]).cast(pa.int64()).take(order),
            "parted": pa.array(parted, pa.int64()),
            "checked": pa.array(self._is_checked(keys), pa.bool_()),
        }
        pq.write_table(pa.table(columns), folder / _INDEX)
        return {"documents": len(table)}

    def _write_tokens(
        self, path: Path, texts: list[str], keys: Keys
    ) -> tuple[npt.NDArray[np.int64], list[int]]:
        """Returns the number of tokens of each text, its <|endoftext|> included.

        And how often a piece of it had to be parted, being too long for any tokenizer.
        """
        tokenizer = cached_tokenizer(self.tokenizer, self.tokenizer_sha256)
        lengths: list[npt.NDArray[np.int64]] = []
        parted: list[int] = []
        with path.open("wb") as file:
            for start in range(0, len(texts), _BATCH_DOCUMENTS):
                batch = texts[start : start + _BATCH_DOCUMENTS]
                parts = [part_text(text) for text in batch]
                parted += [times for _, times in parts]
                num_parts = np.array([len(own) for own, _ in parts])
                flat = list(chain.from_iterable(own for own, _ in parts))
                encoded = self._encode(flat, np.repeat(keys[start : start + len(batch)], num_parts))
                firsts = np.cumsum(num_parts) - num_parts
                of_documents = np.add.reduceat(encoded.lengths, firsts)
                file.write(_close_documents(encoded.ids, of_documents, tokenizer.end_of_text).data)
                lengths.append(of_documents + 1)
        return np.concatenate([np.empty(0, np.int64), *lengths]), parted

    def _encode(self, texts: list[str], keys: Keys) -> Encoded:
        """The ids of each text or part of one; `keys` are those of their documents."""
        tokenizer = cached_tokenizer(self.tokenizer, self.tokenizer_sha256)
        if self.encoder == "tiktoken":
            return encode_by_tiktoken(tokenizer, texts, num_threads=self.num_threads)
        found = encode_by_gigatoken(
            self.tokenizer, self.tokenizer_sha256, texts, num_threads=self.num_threads
        )
        chosen = np.flatnonzero(self._is_checked(keys)).tolist()
        right = encode_by_tiktoken(tokenizer, [texts[n] for n in chosen], num_threads=1)
        for place, number in enumerate(chosen):
            if not np.array_equal(found.of(number), right.of(place)):
                raise UserError(
                    f"gigatoken and tiktoken disagree on a text that begins "
                    f"{texts[number][:80]!r}; set tokenize.encoder = tiktoken in params.yaml"
                )
        return found

    def _is_checked(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """A share of the documents by the low half of their hash; the high half orders them."""
        if self.encoder == "tiktoken":
            return np.zeros(len(keys), np.bool_)
        return (keys & np.uint64(2**32 - 1)) < np.uint64(round(CHECKED_SHARE * 2**32))


def _close_documents(
    ids: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64], end_of_text: int
) -> npt.NDArray[np.uint16]:
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
