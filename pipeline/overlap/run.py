"""The stage: every text counted against the training documents, and joined to every score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.documents import read_documents
from pipeline.examples import read_examples
from pipeline.files import open_atomic
from pipeline.ngrams import BloomFilter, Hashes, split_words
from pipeline.overlap.clean_subset import clean_subset
from pipeline.overlap.texts import (
    Text,
    completion_texts,
    example_texts,
    scored_document_texts,
)
from pipeline.overlap.training_side import Shared, TrainingSide, fill_bloom
from pipeline.stage import Stage
from pipeline.token_shards import open_split

# The sets of the paper's Table 6, in its order.
TABLE6_SETS = ("ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_word")
_RANDOM_STRINGS = 1_000_000  # the paper's check of its filter


def run(stage: Stage) -> dict[str, Any]:
    """Write Table 6, Figure 5, the clean subsets and per-example overlaps; returns counts."""
    params, inputs = stage.params.overlap, stage.inputs
    examples = list(example_texts(inputs["eval_sets"] / "test"))
    examples += scored_document_texts(inputs["results"], inputs["documents"])
    completions = list(completion_texts(inputs["results"]))
    side = TrainingSide((text.words for text in examples + completions), params.ngram_words)
    num_ngrams = _stream(stage, side)
    bloom = fill_bloom(
        _training_documents(stage, side), num_ngrams, params.ngram_words, params.bloom_bound
    )
    overlaps = _write_examples(stage, side, examples)
    _write_csv(stage, "table6", _table6(stage, side, bloom, examples, overlaps))
    _write_csv(stage, "figure5", _figure5(side, completions))
    subset, left_out = clean_subset(inputs["results"], overlaps)
    _write_csv(stage, "clean_subset", subset)
    return {
        "training_ngrams": num_ngrams,
        "asked_ngrams": len(side.index),
        "asked_ngrams_found": int(side.seen.sum()),
        "bloom_mib": round(len(bloom.cells) / 2**20, 1),
        "bloom_false_positive_rate": bloom.false_positive_rate,
        "bloom_random_strings": _RANDOM_STRINGS,
        "bloom_random_strings_found": bloom.count_found_random(
            _RANDOM_STRINGS, params.ngram_words, seed=stage.params.seed
        ),
        "metrics_without_per_example_form": left_out,
    }


def _training_documents(stage: Stage, side: TrainingSide) -> Iterator[Hashes]:
    """Word hashes of each document of the train split."""
    split = open_split(stage.inputs["tokens"] / "train")
    ids = {document.id for document in split.documents()}
    with stage.progress("training text", total=len(ids), unit="documents") as progress:
        for document in read_documents(stage.inputs["documents"]):
            if document.id in ids:
                yield side.index.hasher.hash_words(split_words(document.text))
                progress.update()


def _stream(stage: Stage, side: TrainingSide) -> int:
    """Read the training side once; returns its number of n-grams, repetitions counted."""
    total = 0
    for word_hashes in _training_documents(stage, side):
        side.add(word_hashes)
        total += max(0, len(word_hashes) - stage.params.overlap.ngram_words + 1)
    return total


def _write_examples(stage: Stage, side: TrainingSide, texts: list[Text]) -> dict[str, pd.DataFrame]:
    """Per-example overlaps of each set, written and returned."""
    groups: dict[str, list[tuple[str, Shared]]] = {}
    for text in texts:
        groups.setdefault(text.group, []).append((text.id, side.shared(text.words)))
    frames = {}
    for name, pairs in groups.items():
        frames[name] = pd.DataFrame({
            "id": [id_ for id_, _ in pairs],
            "num_ngrams": [shared.num_ngrams for _, shared in pairs],
            "num_overlapping": [shared.num_overlapping for _, shared in pairs],
            "overlap_percent": [shared.percent for _, shared in pairs],
        })
        with open_atomic(stage.staging / "examples" / f"{name}.parquet") as file:
            frames[name].to_parquet(file, compression="zstd", index=False)
    return frames


def _table6(
    stage: Stage,
    side: TrainingSide,
    bloom: BloomFilter,
    examples: list[Text],
    overlaps: dict[str, pd.DataFrame],
) -> pd.DataFrame:
    """Percent of each test set's n-grams in its own train text and in the study's."""
    rows = []
    others = sorted(set(overlaps) - set(TABLE6_SETS))
    for name in (*[name for name in TABLE6_SETS if name in overlaps], *others):
        texts = [text for text in examples if text.group == name]
        hashes = [side.index.hasher.hash_item(text.words) for text in texts]
        total = sum(map(len, hashes))
        rows.append({
            "set": name,
            "num_ngrams": total,
            "own_train_percent": _own_train_percent(stage, name, texts),
            "webtext_train_percent": _percent(int(overlaps[name]["num_overlapping"].sum()), total),
            "webtext_train_bloom_percent": _percent(
                sum(int(bloom.contains(part).sum()) for part in hashes), total
            ),
        })
    return pd.DataFrame(rows)


def _own_train_percent(stage: Stage, name: str, texts: list[Text]) -> float | None:
    """Percent of a test set's n-grams in its own training text; None where there is none."""
    path: Path = stage.inputs["eval_sets"] / "train" / f"{name}.parquet"
    if not path.is_file():
        return None
    side = TrainingSide((text.words for text in texts), stage.params.overlap.ngram_words)
    for example in read_examples(path):
        side.add(side.index.hasher.hash_words(split_words(example.text)))
    shared = [side.shared(text.words) for text in texts]
    return _percent(sum(s.num_overlapping for s in shared), sum(s.num_ngrams for s in shared))


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _figure5(side: TrainingSide, completions: list[Text]) -> pd.DataFrame:
    """The distribution of per-document overlap, by kind of completion."""
    frame = pd.DataFrame({
        "kind": [text.group for text in completions],
        "overlap_percent": [side.shared(text.words).percent for text in completions],
    })
    pieces = []
    for kind in dict.fromkeys(frame["kind"]):
        values = frame.loc[frame["kind"] == kind, "overlap_percent"].sort_values()
        fractions = [(rank + 1) / len(values) for rank in range(len(values))]
        pieces.append(
            pd.DataFrame({
                "kind": kind,
                "overlap_percent": values.to_numpy(),
                "cumulative_fraction": fractions,
            })
        )
    columns = ["kind", "overlap_percent", "cumulative_fraction"]
    return pd.concat(pieces) if pieces else pd.DataFrame(columns=columns)


def _write_csv(stage: Stage, name: str, frame: pd.DataFrame) -> None:
    with open_atomic(stage.staging / f"{name}.csv", "w") as file:
        frame.to_csv(file, index=False)
