"""Which training documents hold an n-gram: an index on disk. The sole owner of that format.

A folder of pairs (hash of an n-gram, number of a document), sorted, cut into equal ranges of hashes
of about 8 million n-grams each: `00000.hashes.npy` (uint64) and `00000.documents.npy` (uint32),
which are read by memory map. `documents.parquet` says which document has which number: id, url and
shard. An n-gram costs 12 bytes: 2 MB in the tiny study, 72 GB for the 6e9 8-grams of WebText.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.overlap.bloom import BloomFilter, BloomShape, part_of, slice_part
from pipeline.overlap.training_side import TrainingShard, save_array, save_table, sort_pairs
from pipeline.shared.errors import UserError
from pipeline.shared.files import once, read_json, write_json
from pipeline.shared.text.words import Hashes

RANGE_NGRAMS = 2**23
"""N-grams of one range: 100 MB on disk, half a GB of memory where it is made."""
_ABOUT = "index.json"
Numbers = npt.NDArray[np.int64]


class HashRange(NamedTuple):
    """What one range of hashes holds."""

    ngrams: int
    distinct: int


def count_ranges(ngrams: int) -> int:
    """How many ranges so many n-grams are cut into."""
    return max(-(-ngrams // RANGE_NGRAMS), 1)


@dataclass(frozen=True, kw_only=True)
class MergeRange:
    """Joins one range of all shards; a callable for `map_shards`."""

    shards: Sequence[TrainingShard]
    num_ranges: int
    out: Path
    notes: Path

    def __call__(self, number: int) -> HashRange:
        """Write the range's pairs, unless an earlier attempt did."""
        return HashRange(**once(self.notes / f"{number:05d}.json", lambda: self._merge(number)))

    def _merge(self, number: int) -> dict[str, int]:
        hashes: list[Hashes] = [np.empty(0, np.uint64)]
        owners: list[npt.NDArray[np.uint32]] = [np.empty(0, np.uint32)]
        first = 0
        for shard in self.shards:
            every = np.load(shard.hashes, mmap_mode="r")
            own = slice_part(every, number, self.num_ranges)
            hashes.append(every[own])
            owners.append(np.load(shard.owners, mmap_mode="r")[own] + np.uint32(first))
            first += shard.documents
        joined, documents = sort_pairs(np.concatenate(hashes), np.concatenate(owners))
        save_array(_hashes_path(self.out, number), joined)
        save_array(_documents_path(self.out, number), documents)
        distinct = int((joined[1:] != joined[:-1]).sum()) + bool(len(joined))
        return {"ngrams": len(joined), "distinct": distinct}


def _hashes_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.hashes.npy"


def _documents_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.documents.npy"


def finish_index(
    folder: Path, shards: Sequence[TrainingShard], *, num_words: int, num_ranges: int
) -> None:
    """Write the names of the documents and, last, what the index is."""
    names = pa.concat_tables([pq.read_table(shard.ids) for shard in shards])
    save_table(folder / "documents.parquet", names)
    write_json(folder / _ABOUT, {"num_words": num_words, "num_ranges": num_ranges})


def leave_out_index(folder: Path) -> None:
    """Write that there is none: DVC wants the folder in any case."""
    write_json(folder / _ABOUT, {"num_words": 0, "num_ranges": 0})


@dataclass(frozen=True, kw_only=True)
class AskFilter:
    """Fills one part of the paper's filter and asks it; a callable for `map_shards`."""

    shape: BloomShape
    index: Path
    """Of n-grams, cut into as many ranges as the filter has parts."""
    asked: Path
    """Sorted hashes of the asked texts (.npy)."""
    random: Path
    """Sorted hashes of the random strings (.npy)."""
    answers: Path
    """Folder that gets, by part, which of the asked it claims to hold (.npy)."""

    def __call__(self, number: int) -> dict[str, float]:
        """The part's false-positive rate and how many random strings it claims to hold."""
        return once(self.answers / f"{number:05d}.json", lambda: self._ask(number))

    def _ask(self, number: int) -> dict[str, float]:
        bloom = BloomFilter(self.shape, number)
        bloom.add(np.load(_hashes_path(self.index, number), mmap_mode="r"))
        asked, random = (self._own(path, number) for path in (self.asked, self.random))
        save_array(self.answers / f"{number:05d}.npy", bloom.contains(asked))
        return {
            "false_positive_rate": bloom.false_positive_rate,
            "random_found": int(bloom.contains(random).sum()),
        }

    def _own(self, path: Path, number: int) -> Hashes:
        hashes: Hashes = np.load(path, mmap_mode="r")
        return np.asarray(hashes[slice_part(hashes, number, self.shape.num_parts)])

    def read_answers(self) -> npt.NDArray[np.bool_]:
        """For each asked hash, whether the filter claims to hold it: [asked]."""
        parts = [np.load(path) for path in sorted(self.answers.glob("*.npy"))]
        return np.concatenate(parts)


class Pairs(NamedTuple):
    """N-grams and the documents that hold them; both [pairs]."""

    ngrams: Numbers
    """Which of those that were asked for."""
    documents: Numbers
    """The document's number."""


class NgramIndex:
    """The index, open for questions."""

    def __init__(self, folder: Path) -> None:
        """Open what the overlap stage wrote.

        Raises:
            CorruptDataError: there is none.
            UserError: the study keeps none.
        """
        about = read_json(folder / _ABOUT)
        self.num_words = int(about["num_words"])
        self.num_ranges = int(about["num_ranges"])
        if not self.num_ranges:
            raise UserError(
                f"{folder}: the study keeps no index of n-grams; set overlap.index: true in "
                "params.yaml and run dvc repro overlap"
            )
        self.documents = pq.read_table(folder / "documents.parquet")
        """id, url and shard of each document, by its number."""
        self._folder = folder

    def find(self, hashes: Hashes) -> Pairs:
        """The training documents that hold each n-gram, each pair once."""
        parts = part_of(hashes, self.num_ranges)
        pieces = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64))] + [
            self._find(part, hashes, np.flatnonzero(parts == part)) for part in np.unique(parts)
        ]
        ngrams, documents = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        pairs = np.unique(np.stack([ngrams, documents]), axis=1)
        return Pairs(*pairs)

    def _find(self, part: int, hashes: Hashes, wanted: Numbers) -> Pairs:
        every = np.load(_hashes_path(self._folder, part), mmap_mode="r")
        owners = np.load(_documents_path(self._folder, part), mmap_mode="r")
        firsts, ends = (np.searchsorted(every, hashes[wanted], side=s) for s in ("left", "right"))
        pairs = [owners[first:end] for first, end in zip(firsts, ends, strict=True)]
        return Pairs(np.repeat(wanted, ends - firsts), np.concatenate(pairs).astype(np.int64))
