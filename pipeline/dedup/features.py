"""What one shard of documents contributes to every later decision, computed once per shard.

A folder per shard in the stage's work folder: a row per document as Parquet, large arrays as NumPy
files that are mapped into memory and not read, so that deciding over all shards needs little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.dedup.language import foreign_language
from pipeline.dedup.near_duplicates import band_keys, choose_bands
from pipeline.dedup.reasons import NON_ENGLISH, WIKIPEDIA
from pipeline.dedup.wikipedia import wikipedia_sign
from pipeline.documents import Document, Shard, read_verified_shard
from pipeline.files import remove_path, temporary_name
from pipeline.ngrams import ExactIndex, NgramHasher
from pipeline.params import DedupParams
from pipeline.words import Hashes, split_words


@dataclass(frozen=True, kw_only=True)
class ComputeFeatures:
    """Writes a shard's features; a callable for `map_shards`."""

    folder: Path
    eval_ngrams: Path
    """Where `ExactIndex.save` put the evaluation side."""
    params: DedupParams
    seed: int

    def __call__(self, shard: Shard) -> Path:
        """Returns the folder of the shard's features."""
        target = self.folder / shard.path.stem
        if target.is_dir():  # whole, from an earlier attempt
            return target
        index, hasher = ExactIndex.load(self.eval_ngrams), NgramHasher(self.params.shingle_words)
        rows, shingles, matches = [], [], []
        for document in read_verified_shard(shard):
            words = split_words(document.text)
            word_hashes = hasher.hash_words(words)
            rows.append(_describe(document, words))
            shingles.append(np.unique(hasher.combine_item(word_hashes)))
            matches.append(np.column_stack(index.match_hashes(word_hashes)))
        temporary = temporary_name(target)
        temporary.mkdir(parents=True)
        _table(rows).to_parquet(temporary / "documents.parquet", index=False)
        np.save(temporary / "bands.npy", self._bands(shingles))
        _save_ragged(temporary / "shingles", shingles, np.empty(0, np.uint64))
        _save_ragged(temporary / "matches", matches, np.empty((0, 3), np.int64))
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            remove_path(temporary)  # another worker, taken for dead, was faster: with the same
        return target

    def _bands(self, shingles: list[Hashes]) -> Hashes:
        permutations = self.params.num_permutations
        return band_keys(
            shingles,
            num_permutations=permutations,
            bands=choose_bands(permutations, self.params.similarity_threshold),
            seed=self.seed,
        )


class Row(NamedTuple):
    """What ranks a document, its normalised text's hash, and a verdict if it has one already."""

    id: str
    created_utc: int
    text_hash: str
    reason: str
    matched: str
    """For a reason that needs no other document: a language, a Wikipedia host or mark."""


def _describe(document: Document, words: list[str]) -> Row:
    text_hash = blake2b(" ".join(words).encode(), digest_size=16).hexdigest()
    return Row(document.id, document.created_utc, text_hash, *_judge_alone(document))


def _judge_alone(document: Document) -> tuple[str, str]:
    if language := foreign_language(document.text):
        return NON_ENGLISH, language
    if sign := wikipedia_sign(document.url, document.text):
        return WIKIPEDIA, sign
    return "", ""


def _table(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=Row._fields)
    return table.astype(dict.fromkeys(Row._fields, "str") | {"created_utc": "int64"})


def _save_ragged(stem: Path, rows: Sequence[npt.NDArray[Any]], empty: npt.NDArray[Any]) -> None:
    np.save(stem.with_suffix(".npy"), np.concatenate([empty, *rows]))
    np.save(stem.with_suffix(".offsets.npy"), np.cumsum([0, *map(len, rows)]))


class Ragged:
    """Arrays of different lengths, one per document over all shards, mapped from files."""

    def __init__(self, folders: list[Path], name: str) -> None:
        self._values = [np.load(folder / f"{name}.npy", mmap_mode="r") for folder in folders]
        self._offsets = [np.load(folder / f"{name}.offsets.npy") for folder in folders]
        self._firsts = np.cumsum([0, *(len(offsets) - 1 for offsets in self._offsets)])

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        """The array of a document, by its number over all shards."""
        shard = int(np.searchsorted(self._firsts, number, side="right")) - 1
        row = number - int(self._firsts[shard])
        start, end = self._offsets[shard][row : row + 2]
        return np.asarray(self._values[shard][start:end])
