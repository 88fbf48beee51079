"""The training side, read once: its n-grams, those that were asked for, and what is copied.

The exact index holds the small side (evaluation), so memory does not grow with the training text.
Each shard's n-grams are written as sorted hashes with the document of each, 12 bytes an n-gram, so
that a killed attempt loses one shard at most and the text is split into words only once; they
become the index of n-grams (`ngram_index.py`) and the paper's filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.overlap.spans import SoughtTexts, Spans, keep_longest
from pipeline.shared.files import once, open_atomic
from pipeline.shared.formats.documents import Document, Shard, read_verified_shard
from pipeline.shared.text.ngrams import ExactIndex, combine_lengths
from pipeline.shared.text.words import HashedTexts, Hashes, batch_texts, hash_texts, hash_words

Numbers = npt.NDArray[np.int64]


class TrainingShard(NamedTuple):
    """What one shard of documents gave."""

    stem: Path
    """The beginning of its files' names."""
    documents: int
    """Documents that the models were trained on."""
    ngrams: int
    """Their n-grams, repetitions counted."""
    text_bytes: int
    """Of their texts, in UTF-8."""

    @property
    def hashes(self) -> Path:
        """Its n-grams as sorted hashes (.npy)."""
        return self.stem.with_suffix(".hashes.npy")

    @property
    def owners(self) -> Path:
        """The document of each n-gram: its number among the shard's (.npy)."""
        return self.stem.with_suffix(".owners.npy")

    @property
    def places(self) -> Path:
        """Which n-grams of the asked texts it holds (.npy)."""
        return self.stem.with_suffix(".places.npy")

    @property
    def spans(self) -> Path:
        """The longest span of each sought text that it holds (.npy: `Spans` by column)."""
        return self.stem.with_suffix(".spans.npy")

    @property
    def ids(self) -> Path:
        """Its documents: id, url, shard (Parquet)."""
        return self.stem.with_suffix(".ids.parquet")


def id_hashes(ids: Iterable[str]) -> Hashes:
    """Hashes of document ids, in order: 8 bytes each instead of strings."""
    return hash_words(list(ids))


@dataclass(frozen=True, kw_only=True)
class ReadShard:
    """Reads one shard of documents; a callable for `map_shards`."""

    folder: Path
    """Where what it finds is written."""
    train_ids: Path
    """`id_hashes` of the documents trained on (.npy); others are passed over."""
    index: Path
    """A saved `ExactIndex` of the asked texts."""
    sought: Path
    """Saved `SoughtTexts`: those whose copied spans are sought."""

    def __call__(self, shard: Shard) -> TrainingShard:
        """Hash the shard's training documents, unless an earlier attempt did."""
        stem = self.folder / shard.path.stem
        counts = once(stem.with_suffix(".json"), lambda: self._read(shard, stem))
        return TrainingShard(stem, **counts)

    def _read(self, shard: Shard, stem: Path) -> dict[str, int]:
        index, sought = ExactIndex.load(self.index), SoughtTexts.load(self.sought)
        documents = list(read_verified_shard(shard))
        own = np.isin(id_hashes(document.id for document in documents), np.load(self.train_ids))
        trained = [document for document, is_own in zip(documents, own, strict=True) if is_own]
        found = list(read_batches([document.text for document in trained], index, sought))
        counts = {
            "documents": len(trained),
            "ngrams": sum(len(batch.hashes) for batch in found),
            "text_bytes": sum(len(document.text.encode()) for document in trained),
        }
        _save(TrainingShard(stem, **counts), found, trained, shard.path.name)
        return counts


class Batch(NamedTuple):
    """What a batch of training documents holds."""

    hashes: Hashes
    """Its n-grams, in order."""
    owners: npt.NDArray[np.uint32]
    """The document of each, among all of `read_batches`."""
    places: Numbers
    """Which of the index's n-grams it holds: distinct, sorted."""
    spans: Spans
    """The longest span of each sought text."""


def read_batches(texts: Sequence[str], index: ExactIndex, sought: SoughtTexts) -> Iterator[Batch]:
    """Split documents into n-grams, a batch at a time, and hold them against the index."""
    for batch in batch_texts(texts):
        yield _read_batch(hash_texts(texts[batch]), batch.start, index, sought)


def _read_batch(hashed: HashedTexts, first: int, index: ExactIndex, sought: SoughtTexts) -> Batch:
    num_words = index.hasher.num_words
    begins = np.concatenate([[0], hashed.ends[:-1]])
    sizes = hashed.ends - begins
    owner = np.repeat(np.arange(len(sizes)), sizes)
    room = hashed.ends[owner] - np.arange(len(owner))  # words from each to its document's end
    lengths = sorted({*index.lengths, num_words})
    places: list[Numbers] = []
    for length, hashes in zip(lengths, combine_lengths(hashed.words, lengths), strict=True):
        starts = np.flatnonzero(room[: len(hashes)] >= length)
        own = hashes[starts]
        found = index.find(own)
        hits = np.flatnonzero(found >= 0)
        places.append(found[hits])
    # The last length is n: an index has none that is longer.
    spans = sought.longest_spans(found[hits], starts[hits], begins, num_words)
    return Batch(
        own,
        (owner[starts] + first).astype(np.uint32),
        np.unique(np.concatenate(places)),
        spans._replace(document=spans.document + first),
    )


def _save(
    shard: TrainingShard, found: Sequence[Batch], documents: Sequence[Document], name: str
) -> None:
    hashes = np.concatenate([np.empty(0, np.uint64), *(batch.hashes for batch in found)])
    owners = np.concatenate([np.empty(0, np.uint32), *(batch.owners for batch in found)])
    hashes, owners = sort_pairs(hashes, owners)
    save_array(shard.hashes, hashes)
    save_array(shard.owners, owners)
    places = [np.empty(0, np.int64), *(batch.places for batch in found)]
    save_array(shard.places, np.unique(np.concatenate(places)))
    ids = {
        "id": [document.id for document in documents],
        "url": [document.url for document in documents],
        "shard": [name] * len(documents),
    }
    save_table(shard.ids, pa.table({key: pa.array(ids[key], pa.string()) for key in ids}))
    save_array(shard.spans, np.stack(keep_longest([batch.spans for batch in found])))


def sort_pairs(
    hashes: Hashes, owners: npt.NDArray[np.uint32]
) -> tuple[Hashes, npt.NDArray[np.uint32]]:
    """Sort n-grams by hash and then by document.

    NumPy's fastest sort may leave equal hashes in any order, another on another processor; so the
    repeated ones, a few in a hundred, are put in order by themselves.
    """
    order = np.argsort(hashes)
    hashes, owners = hashes[order], owners[order]
    equal = hashes[1:] == hashes[:-1]
    repeated = np.zeros(len(hashes), np.bool_)
    repeated[1:] |= equal
    repeated[:-1] |= equal
    places = np.flatnonzero(repeated)
    owners[places] = owners[places][np.lexsort((owners[places], hashes[places]))]
    return hashes, owners


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as .npy, whole or not at all."""
    with open_atomic(path) as file:
        np.save(file, array)


def save_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, whole or not at all."""
    with open_atomic(path) as file:
        pq.write_table(table, file, compression="zstd")


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
