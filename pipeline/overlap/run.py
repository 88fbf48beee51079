"""The stage: every text counted against the training documents, and joined to every score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.overlap.clean_subset import clean_subset
from pipeline.overlap.copied import copied_spans, summarise_spans
from pipeline.overlap.coqa_domains import coqa_domains
from pipeline.overlap.figure5 import figure5, summarise
from pipeline.overlap.highest import highest_overlap
from pipeline.overlap.ngram_index import NgramIndex, leave_out_index
from pipeline.overlap.spans import SoughtTexts
from pipeline.overlap.table6 import table6
from pipeline.overlap.texts import (
    TEST_SPLIT,
    Completion,
    Text,
    completions,
    example_texts,
    scored_document_texts,
)
from pipeline.overlap.training_filter import ask_filter, merge_shards
from pipeline.overlap.training_side import (
    ReadShard,
    SeenIndex,
    TrainingShard,
    id_hashes,
    save_array,
)
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import open_atomic
from pipeline.shared.formats.documents import list_shards
from pipeline.shared.formats.training_documents import read_training_documents
from pipeline.shared.running.stage import Stage
from pipeline.shared.scores.bootstrap import Draws


def run(stage: Stage) -> dict[str, Any]:
    """Write the tables and figures of memory, and the index of n-grams; returns counts."""
    params, inputs = stage.params.overlap, stage.inputs
    results = {size: inputs["results"] / size for size in stage.params.sizes}
    texts = list(example_texts(inputs["eval_sets"] / "test"))
    texts += scored_document_texts(results, inputs["documents"])
    drawn, too_short = _long_enough(completions(results), params.ngram_words)
    asked = [text.words for text in texts] + [text.words for text in drawn]
    side = SeenIndex(asked, params.ngram_words)
    shards = _read_training_side(stage, side, SoughtTexts.of([t.words for t in drawn], side.index))
    place = stage.staging if params.index else stage.work
    merged = merge_shards(stage, shards, place / "index")
    filtered = ask_filter(stage, side.index, merged)
    _write_csv(
        stage, "table6", table6(texts, side, filtered.claimed, inputs["eval_sets"] / "train")
    )
    curve, spans = figure5(drawn, side), copied_spans(drawn, shards)
    _write_csv(stage, "figure5", curve)
    _write_csv(stage, "copied_spans", spans)
    overlaps = _write_examples(stage, side, texts)
    highest = highest_overlap(texts, overlaps, NgramIndex(merged.folder), inputs["documents"])
    _write_csv(stage, "highest_overlap", highest)
    if not params.index:
        leave_out_index(stage.staging / "index")
    left_out = _write_scores(stage, results, overlaps)
    return {
        "train_documents": sum(shard.documents for shard in shards),
        "train_ngrams": merged.ngrams,
        "train_ngrams_distinct": merged.distinct,
        "train_text_bytes": sum(shard.text_bytes for shard in shards),
        "test_documents": sum(text.set == TEST_SPLIT for text in texts),
        "asked_ngrams": len(side.index),
        "asked_ngrams_found": int(side.seen.sum()),
        "shorter_than_an_ngram": _count_short(texts, params.ngram_words),
        **filtered.metrics,
        "completions_shorter_than_an_ngram": too_short,
        "figure5": summarise(curve),
        "copied_spans": summarise_spans(spans),
        "metrics_without_per_example_form": left_out,
    }


def _read_training_side(stage: Stage, side: SeenIndex, sought: SoughtTexts) -> list[TrainingShard]:
    """Read the training documents; `side` learns which of its n-grams they hold."""
    index, train_ids, spans = (
        stage.work / name for name in ("asked.npz", "train_ids.npy", "sought.npz")
    )
    side.index.save(index)
    sought.save(spans)
    documents = _training_documents(stage.inputs["trained"], stage.params.sizes)
    save_array(train_ids, id_hashes(documents))
    read = ReadShard(
        folder=stage.work / "train_ngrams", train_ids=train_ids, index=index, sought=spans
    )
    todo = list_shards(stage.inputs["documents"])
    documents_of = attrgetter("documents")
    shards = list(
        stage.map_shards("training text", read, todo, unit="documents", weigh=documents_of)
    )
    for shard in shards:
        side.seen[np.load(shard.places)] = True
    return shards


def _training_documents(folder: Path, sizes: Sequence[str]) -> list[str]:
    """The documents that every size was trained on.

    Raises:
        CorruptDataError: the sizes were not trained on the same documents.
    """
    by_size = {size: read_training_documents(folder / size) for size in sizes}
    for size, ids in by_size.items():
        if ids != by_size[sizes[0]]:
            raise CorruptDataError(
                f"{folder / size}: trained on {len(ids):,} documents, which are not the "
                f"{len(by_size[sizes[0]]):,} of {sizes[0]}; run dvc repro"
            )
    return by_size[sizes[0]]


def _write_examples(stage: Stage, side: SeenIndex, texts: list[Text]) -> dict[str, pd.DataFrame]:
    """Per-example overlaps of each set, written and returned."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for text in texts:
        shared = side.shared(text.words)
        rows.setdefault(text.set, []).append({
            "id": text.id,
            "num_ngrams": shared.num_ngrams,
            "num_overlapping": shared.num_overlapping,
            "overlap_percent": shared.percent,
        })
    frames = {name: pd.DataFrame(records) for name, records in rows.items()}
    for name, frame in frames.items():
        path: Path = stage.staging / "examples" / f"{name}.parquet"
        with open_atomic(path) as file:
            frame.to_parquet(file, compression="zstd", index=False)
    return frames


def _write_scores(
    stage: Stage, results: Mapping[str, Path], overlaps: dict[str, pd.DataFrame]
) -> int:
    """Scores with what is held and without; returns how many metrics cannot be told so."""
    draws = Draws(stage.params.evaluate.bootstrap_samples, stage.params.seeds.sampling)
    subset, left_out = clean_subset(results, overlaps, draws)
    _write_csv(stage, "clean_subset", subset)
    _write_csv(stage, "coqa_domains", coqa_domains(results, overlaps, draws))
    return left_out


def _long_enough(
    texts: Iterable[Completion], num_words: int
) -> tuple[list[Completion], dict[str, int]]:
    """Completions of n words at least, and by kind and size how many have fewer.

    A model may end its text at once, and a text of fewer words has no n-gram that could be held:
    beside real completions of a fixed length its 0 or 100 % would say nothing of memory.
    """
    long, short = [], Counter[str]()
    for text in texts:
        if len(text.words) >= num_words:
            long.append(text)
        else:
            short["_".join(part for part in (text.kind, text.size) if part)] += 1
    return long, dict(short)


def _count_short(texts: list[Text], num_words: int) -> dict[str, int]:
    """By set: texts of fewer than n words, which count as one item and not in Table 6."""
    return dict(sorted(Counter(t.set for t in texts if len(t.words) < num_words).items()))


def _write_csv(stage: Stage, name: str, frame: pd.DataFrame) -> None:
    with open_atomic(stage.staging / f"{name}.csv", "w") as file:
        frame.to_csv(file, index=False, lineterminator="\n")
