"""What one shard of documents contributes to every later decision, computed once per shard.

A folder per shard, remembered beyond the run: a row per document as Parquet, large arrays as NumPy
files that are mapped into memory and not read, so that deciding over all shards needs little of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dedup.language import foreign_language
from pipeline.dedup.minhash import Bands, band_keys, choose_bands
from pipeline.dedup.reasons import NON_ENGLISH, STAYS, WIKIPEDIA, code
from pipeline.dedup.shingles import (
    Shingles,
    ShingleSets,
    count_offsets,
    distinct_members,
    make_shingles,
    save_sets,
)
from pipeline.dedup.wikipedia import wikipedia_sign
from pipeline.shared.formats.documents import Shard, read_verified_table
from pipeline.shared.params.text import DedupParams
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.text.ngrams import ExactIndex
from pipeline.shared.text.words import HashedTexts, Hashes, Numbers, batch_texts, hash_texts

_DOCUMENTS, _BANDS, _MATCHES = "documents.parquet", "bands.npy", "matches.npy"
_WORDS = ("words_high", "words_low")


@dataclass(frozen=True, kw_only=True)
class ComputeFeatures:
    """Writes a shard's features; a callable for `map_shards`."""

    memory: Memory
    eval_ngrams: Path
    """Where `ExactIndex.save` put the evaluation side."""
    eval_sha256: str
    """Of that file."""
    params: DedupParams
    seed: int

    def __call__(self, shard: Shard) -> Path:
        """Returns the folder of the shard's features."""
        return self.memory.recall(self.key(shard), partial(self._compute, shard)).folder

    def key(self, shard: Shard) -> str:
        """What the features of a shard are remembered by."""
        return f"{self.eval_sha256} {shard.sha256}"

    def _compute(self, shard: Shard, folder: Path) -> dict[str, Any]:
        table = read_verified_table(shard)
        texts = table["text"].to_pylist()
        bands = choose_bands(self.params.num_permutations, self.params.similarity_threshold)
        index = ExactIndex.load(self.eval_ngrams)
        keys = [np.empty((bands.num_bands, 0), np.uint64)]
        sets, matches = [], [np.empty((0, 4), np.int64)]
        prints: list[bytes] = []
        for batch in batch_texts(texts):
            hashed = hash_texts(texts[batch])
            shingles = make_shingles(hashed, self.params.shingle_words)
            keys.append(self._band_keys(shingles, bands))
            sets.append(distinct_members(shingles))
            matches.append(_match(index, hashed, first_row=batch.start))
            prints += _fingerprints(hashed)
        described = _describe(table, texts, prints)
        pq.write_table(described, folder / _DOCUMENTS, compression="zstd")
        np.save(folder / _BANDS, np.concatenate(keys, axis=1))
        np.save(folder / _MATCHES, np.concatenate(matches))
        save_sets(folder, sets)
        return {"documents": len(table)}

    def _band_keys(self, shingles: Shingles, bands: Bands) -> Hashes:
        return band_keys(
            shingles,
            num_permutations=self.params.num_permutations,
            bands=bands,
            seed=self.seed,
        )


def _fingerprints(texts: HashedTexts) -> Iterator[bytes]:
    """16 bytes for each text's words in their order."""
    for words in np.split(texts.words, texts.ends[:-1]):
        yield blake2b(words.data, digest_size=16).digest()


def _match(index: ExactIndex, texts: HashedTexts, *, first_row: int) -> Numbers:
    """The n-grams that each text shares with the evaluation sets, by text, length and position.

    Returns:
        [matches, 4]: the text's row, the n-gram's place in the index, its first word in the text
        and its number of words.
    """
    places, starts, lengths = index.match_hashes(texts.words)
    rows = np.searchsorted(texts.ends, starts, side="right")
    starts_of_texts = texts.ends - np.diff(texts.ends, prepend=0)
    found = np.column_stack([first_row + rows, places, starts - starts_of_texts[rows], lengths])
    found = found[starts + lengths <= texts.ends[rows]]  # not from one text into the next
    ordered: Numbers = found[np.argsort(found[:, 0], kind="stable")]
    return ordered


def _describe(table: pa.Table, texts: list[str], prints: list[bytes]) -> pa.Table:
    """What ranks each document, its words' fingerprint, and a verdict if it has one already."""
    urls = table["url"].to_pylist()
    verdicts = [_judge_alone(url, text) for url, text in zip(urls, texts, strict=True)]
    words = np.frombuffer(b"".join(prints), np.uint64).reshape(-1, 2)
    return pa.table({
        "id": table["id"],
        "created_utc": table["created_utc"],
        "words_high": words[:, 0],
        "words_low": words[:, 1],
        "reason": np.array([code(reason) for reason, _ in verdicts], np.int8),
        "matched": pa.array([matched for _, matched in verdicts], pa.string()),
    })


def _judge_alone(url: str, text: str) -> tuple[str, str]:
    """A reason that needs no other document, and what shows it: a language, a host or a mark."""
    if language := foreign_language(text):
        return NON_ENGLISH, language
    if sign := wikipedia_sign(url, text):
        return WIKIPEDIA, sign
    return STAYS, ""


class Features:
    """What the shards in `folders` contributed, their documents numbered one after the other."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        tables = [
            pq.read_table(folder / _DOCUMENTS, columns=["id", "created_utc", *_WORDS, "reason"])
            for folder in folders
        ]
        self._table = pa.concat_tables(tables)
        self.firsts = count_offsets(np.array([len(table) for table in tables], np.int64))
        """The number of each shard's first document, and of all documents: [shards + 1]."""
        self.reasons: npt.NDArray[np.int8] = self._table["reason"].to_numpy()

    def __len__(self) -> int:
        return len(self._table)

    def rank(self, count: int) -> Numbers:
        """The first `count` documents, the earliest link first, then the lowest id."""
        keys = [(name, "ascending") for name in ("created_utc", "id", *_WORDS)]
        order = pc.sort_indices(self._table.slice(0, count), keys).to_numpy()
        return np.asarray(order, np.int64)

    def ids(self, documents: Numbers) -> pa.ChunkedArray:
        """The ids of some documents."""
        return self._table["id"].take(pa.array(documents))

    def same_words(self, documents: Numbers) -> tuple[Numbers, Numbers]:
        """Each of the documents that has the words of one before it, and the first of those."""
        high, low = (self._table[name].to_numpy()[documents] for name in _WORDS)
        order = np.lexsort((low, high))  # stable: those of the same words keep their order
        high, low = high[order], low[order]
        is_same = np.zeros(len(order), np.bool_)
        is_same[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
        first = np.maximum.accumulate(np.where(is_same, 0, np.arange(len(order))))
        return documents[order[is_same]], documents[order[first[is_same]]]

    def open_sets(self) -> ShingleSets:
        """The shingles of all documents."""
        return ShingleSets.open(self.folders)

    def read_band(self, band: int) -> Hashes:
        """The keys of one band: [documents]."""
        keys = np.empty(len(self), np.uint64)
        for folder, (start, end) in zip(self.folders, pairwise(self.firsts), strict=True):
            keys[start:end] = np.load(folder / _BANDS, mmap_mode="r")[band]
        return keys

    def eval_matches(self, shard: int) -> Numbers:
        """What the shard's documents share with the evaluation sets, as `_match` tells it."""
        matches: Numbers = np.load(self.folders[shard] / _MATCHES)
        return matches

    def matched(self, shard: int) -> list[str]:
        """What showed the reason that needed no other document, for each of a shard's documents."""
        table = pq.read_table(self.folders[shard] / _DOCUMENTS, columns=["matched"])
        matched: list[str] = table["matched"].to_pylist()
        return matched
