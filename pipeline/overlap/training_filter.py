"""The training n-grams of all shards joined, and the paper's filter of them, range by range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.overlap.bloom import random_ngrams, shape_filter
from pipeline.overlap.ngram_index import AskFilter, MergeRange, count_ranges, finish_index
from pipeline.overlap.training_side import TrainingShard, save_array
from pipeline.shared.running.stage import Stage
from pipeline.shared.text.ngrams import ExactIndex

_RANDOM_STRINGS = 1_000_000  # the paper's check of its filter


class Merged(NamedTuple):
    """The n-grams of all shards together."""

    folder: Path
    """An index of n-grams."""
    num_ranges: int
    ngrams: int
    """Repetitions counted."""
    distinct: int


def merge_shards(stage: Stage, shards: Sequence[TrainingShard], folder: Path) -> Merged:
    """Join the shards' n-grams into an index."""
    num_ranges = count_ranges(sum(shard.ngrams for shard in shards))
    merge = MergeRange(
        shards=shards, num_ranges=num_ranges, out=folder, notes=stage.work / "ranges"
    )
    ranges = list(stage.map_shards("index of n-grams", merge, range(num_ranges), unit="ranges"))
    num_words = stage.params.overlap.ngram_words
    finish_index(folder, shards, num_words=num_words, num_ranges=num_ranges)
    ngrams, distinct = (sum(numbers) for numbers in zip(*ranges, strict=True))
    return Merged(folder, num_ranges, ngrams, distinct)


class Filtered(NamedTuple):
    """What the paper's filter says."""

    claimed: npt.NDArray[np.bool_]
    """Of each n-gram of the asked texts, whether the filter claims to hold it."""
    metrics: dict[str, Any]
    """Its size, bound, rate, and the check by random strings."""


def ask_filter(stage: Stage, asked: ExactIndex, merged: Merged) -> Filtered:
    """Fill the paper's filter with the training n-grams, a part at a time, and ask each part."""
    params = stage.params.overlap
    shape = shape_filter(max(merged.distinct, 1), params.bloom_bound, num_parts=merged.num_ranges)
    ask = AskFilter(
        shape=shape,
        index=merged.folder,
        asked=stage.work / "asked_hashes.npy",
        random=stage.work / "random_hashes.npy",
        answers=stage.work / "filter",
    )
    save_array(ask.asked, asked.hashes)
    seed = stage.params.seeds.sampling
    save_array(ask.random, random_ngrams(_RANDOM_STRINGS, params.ngram_words, seed=seed))
    found = list(stage.map_shards("Bloom filter", ask, range(shape.num_parts), unit="parts"))
    rate = float(np.mean([part["false_positive_rate"] for part in found]))
    assert rate <= shape.bound, (rate, shape)
    return Filtered(
        ask.read_answers(),
        {
            "bloom_mib": round(shape.num_bytes / 2**20, 2),
            "bloom_probes": shape.num_probes,
            "bloom_bound": shape.bound,
            "bloom_false_positive_rate": rate,
            "bloom_random_strings": _RANDOM_STRINGS,
            "bloom_random_strings_found": int(sum(part["random_found"] for part in found)),
        },
    )
