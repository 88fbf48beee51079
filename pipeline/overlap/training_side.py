"""The training side, read once: which of the asked n-grams it holds, and a Bloom filter of it.

The exact index holds the small side (evaluation), so memory does not grow with the training text;
the Bloom filter is the paper's way and grows by 38.4 bits a distinct n-gram. Both are reported.
Each shard's n-grams are written as hashes, 8 bytes a distinct one, so that a killed attempt loses
one shard at most and the text is split into words only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.documents import Shard, read_verified_shard
from pipeline.files import once, open_atomic
from pipeline.ngrams import BloomFilter, ExactIndex, combine
from pipeline.overlap.distinct import DistinctCounter, sort_distinct
from pipeline.words import Hashes, batch_texts, hash_texts, hash_words

_NUM_SIGMAS = 6  # room over an estimated count: passed by once in 1e9 filters


class TrainingShard(NamedTuple):
    """What one shard of documents gave."""

    path: Path
    """Its distinct n-grams as sorted hashes (.npy)."""
    places: Path
    """Which n-grams of the index it holds (.npy)."""
    documents: int
    """Documents of the train split."""
    ngrams: int
    """Their n-grams, repetitions counted."""


def id_hashes(ids: Iterable[str]) -> Hashes:
    """Hashes of document ids, in order: 8 bytes each instead of strings."""
    return hash_words(list(ids))


@dataclass(frozen=True, kw_only=True)
class ReadShard:
    """Reads one shard of documents; a callable for `map_shards`."""

    folder: Path
    """Where the hashes are written."""
    train_ids: Path
    """`id_hashes` of the train split (.npy); other documents are passed over."""
    index: Path
    """A saved `ExactIndex` of the asked texts."""

    def __call__(self, shard: Shard) -> TrainingShard:
        """Hash the shard's training documents, unless an earlier attempt did."""
        stem = self.folder / shard.path.stem
        note = stem.with_suffix(".json")
        counts = once(note, lambda: self._read(shard, stem))
        return TrainingShard(stem.with_suffix(".npy"), stem.with_suffix(".places.npy"), **counts)

    def _read(self, shard: Shard, stem: Path) -> dict[str, int]:
        index, train_ids = ExactIndex.load(self.index), np.load(self.train_ids)
        num_words = index.hasher.num_words
        pieces: list[Hashes] = [np.empty(0, np.uint64)]
        places: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        documents = list(read_verified_shard(shard))
        own = np.isin(id_hashes(document.id for document in documents), train_ids)
        texts = [document.text for document, is_own in zip(documents, own, strict=True) if is_own]
        for batch in batch_texts(texts):
            hashed = hash_texts(texts[batch])
            for words in np.split(hashed.words, hashed.ends[:-1]):
                places.append(index.match_hashes(words).places)
                pieces.append(combine(words, num_words))
        _save(stem.with_suffix(".npy"), sort_distinct(np.concatenate(pieces)))
        _save(stem.with_suffix(".places.npy"), np.unique(np.concatenate(places)))
        return {"documents": int(own.sum()), "ngrams": sum(map(len, pieces))}


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    with open_atomic(path) as file:
        np.save(file, array)


@dataclass(frozen=True)
class Shared:
    """How many of a text's n-grams the training side holds."""

    num_ngrams: int
    """Of the text, repetitions counted; 1 for a text of fewer than n words, which counts whole."""
    num_overlapping: int

    @property
    def percent(self) -> float:
        """Overlap of the text; 0 for a text without words."""
        return 100 * self.num_overlapping / self.num_ngrams if self.num_ngrams else 0.0


class SeenIndex:
    """An exact index of texts, and which of its n-grams were seen on the other side."""

    def __init__(self, texts: Iterable[Sequence[str]], num_words: int) -> None:
        """`texts` are the words of every text that will be asked for."""
        self.index = ExactIndex(texts, num_words)
        self.seen: npt.NDArray[np.bool_] = np.zeros(len(self.index), np.bool_)

    def add(self, words: Sequence[str]) -> None:
        """Read one text of the other side."""
        self.seen[self.index.match(words).places] = True

    def shared(self, words: Sequence[str]) -> Shared:
        """The overlap of one of the asked texts."""
        places = self.index.find(self.index.hasher.hash_item(words))
        return Shared(len(places), int(self.seen[places].sum()))


def count_distinct(shards: Iterable[TrainingShard]) -> DistinctCounter:
    """Count the distinct n-grams of all shards together."""
    counter = DistinctCounter()
    for shard in shards:
        counter.add(np.load(shard.path))
    return counter


def fill_bloom(
    shards: Iterable[TrainingShard], distinct: DistinctCounter, bound: float
) -> BloomFilter:
    """The paper's filter over the training n-grams, sized by their distinct count."""
    room = 1 + _NUM_SIGMAS * distinct.standard_error
    bloom = BloomFilter(max(round(distinct.count * room), 1), bound)
    for shard in shards:
        bloom.add(np.load(shard.path))
    assert bloom.false_positive_rate <= bound, (bloom.fill, bound)
    return bloom
