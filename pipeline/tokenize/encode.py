"""From documents to splits: each shard's tokens, then the splits gathered from them by hash.

A shard's tokens stay in the stage's work folder until all are there, so that a killed stage
encodes none twice and a split's order needs no more memory than one entry per document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.documents import Shard, read_verified_shard
from pipeline.files import open_atomic
from pipeline.token_shards import DTYPE, TokenDocument
from pipeline.tokenize.split import in_bounds, split_keys
from pipeline.tokenizer import load_tokenizer

_BATCH_DOCUMENTS = 512  # ids are Python integers until their batch is done: 36 bytes a token


@dataclass(frozen=True, kw_only=True)
class EncodeShard:
    """Writes the tokens of a shard and an index of its documents; a callable for `map_shards`."""

    tokenizer: Path
    parts: Path
    seed: int
    num_threads: int

    def __call__(self, shard: Shard) -> Path:
        """Returns the index: a row per document (id, key, start, length, text_bytes)."""
        index = self.parts / f"{shard.path.stem}.parquet"
        if index.is_file():  # written last by an earlier attempt
            return index
        tokenizer = load_tokenizer(self.tokenizer)
        documents = list(read_verified_shard(shard))
        lengths: list[int] = []
        with open_atomic(index.with_suffix(".bin")) as file:
            for start in range(0, len(documents), _BATCH_DOCUMENTS):
                texts = [document.text for document in documents[start : start + _BATCH_DOCUMENTS]]
                for ids in tokenizer.encode_batch(texts, num_threads=self.num_threads):
                    ids.append(tokenizer.end_of_text)
                    file.write(np.array(ids, DTYPE).tobytes())
                    lengths.append(len(ids))
        ids_ = [document.id for document in documents]
        table = pd.DataFrame({
            "id": pd.Series(ids_, dtype="str"),
            "key": split_keys(ids_, seed=self.seed),
            "start": np.cumsum([0, *lengths])[:-1],
            "length": np.array(lengths, np.int64),
            "text_bytes": np.array([len(d.text.encode()) for d in documents], np.int64),
        })
        with open_atomic(index) as file:
            table.to_parquet(file, index=False)
        return index


class EncodedCorpus:
    """The documents of all shards, without their tokens: what a split is gathered by."""

    def __init__(self, indexes: list[Path]) -> None:
        self._files = [index.with_suffix(".bin") for index in indexes]
        tables = [pd.read_parquet(index).assign(part=n) for n, index in enumerate(indexes)]
        self.table = pd.concat(tables, ignore_index=True)

    def of_split(self, bounds: tuple[int, int]) -> pd.DataFrame:
        """The documents of a split in its order: by hash, then (for equal hashes) by id."""
        keys = self.table["key"].to_numpy(np.uint64)
        return self.table[in_bounds(keys, bounds)].sort_values(["key", "id"])

    def read(self, documents: pd.DataFrame) -> Iterator[TokenDocument]:
        """The documents that `of_split` lists, with their tokens."""
        empty = np.empty(0, DTYPE)  # a zero-length file cannot be mapped
        maps = [np.memmap(f, DTYPE, "r") if f.stat().st_size else empty for f in self._files]
        columns = (documents[name].tolist() for name in ("id", "part", "start", "length"))
        for id_, part, start, length in zip(*columns, strict=True):
            yield TokenDocument(id_, maps[part][start : start + length])
