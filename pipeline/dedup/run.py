"""The stage's steps: features of every shard, decisions over all, shards of kept and removed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.dedup.cut import CutItem, CutShard, CutShards
from pipeline.dedup.decide import Verdicts, decide, decide_after_cut
from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import ComputeFeatures, Features
from pipeline.dedup.minhash import choose_bands
from pipeline.dedup.reasons import REASONS, STAYS
from pipeline.dedup.verdict_files import PASSAGES, write_verdicts
from pipeline.dedup.write import (
    CUT_SCHEMA,
    MATCH_SCHEMA,
    WriteItem,
    WriteShards,
    Written,
    join_parts,
)
from pipeline.shared.files import sha256_file
from pipeline.shared.formats.documents import (
    Shard,
    list_filled_shards,
    list_shards,
    write_manifest,
)
from pipeline.shared.running.stage import Stage
from pipeline.shared.running.storage import parse_place

Item = TypeVar("Item")
Result = TypeVar("Result")

_EVAL_NGRAMS = "eval_ngrams.npz"
_NO_DOCUMENTS = (
    "extract's metrics.json says what became of all that it read (by_reason); change its rules or "
    "what it reads (links, extract in params.yaml)"
)
_DEPARTURES = {
    "report": [],
    "remove": ["a corpus without the documents that share text with the evaluation sets"],
    "cut": ["a corpus without the passages that it shared with the evaluation sets"],
}
"""By `eval_mode`: how the corpus differs from the paper's, which kept them, in words."""


def run(stage: Stage) -> dict[str, Any]:
    """Write `kept/`, `removed/`, `eval_matches.parquet` and `cut.parquet`; returns counts."""
    started_s = time.monotonic()
    params = stage.params.dedup
    shards = list_filled_shards(stage.inputs["documents"], remedy=_NO_DOCUMENTS)
    num_documents = sum(shard.documents for shard in shards)
    index = EvalIndex(stage.inputs["eval_sets"], params.eval_ngram_words)
    index.ngrams.save(stage.work / _EVAL_NGRAMS)
    stage.log.info("%s n-grams of %s evaluation examples", len(index.ngrams), len(index.names))
    others = _wikipedia_shards(params.wikipedia_location)
    own = _compute_features(stage, shards, "features")
    wikipedia = _compute_features(stage, others, "wikipedia")
    features = Features([*own, *wikipedia])
    verdicts = decide(features, num_documents, index, params)
    cuts: list[CutShard] = []
    if params.eval_mode == "cut":
        found = write_verdicts(stage.work / "found", verdicts, features, index, len(shards))
        cuts = _cut(stage, shards, list(found))
        _decide_after_cut(stage, verdicts, features, cuts, wikipedia)
    final = write_verdicts(stage.work / "verdicts", verdicts, features, index, len(shards))
    written = _write(stage, shards, list(final), cuts)
    key = _features_of(stage).key
    stage.memory.keep(list(map(key, [*shards, *others, *(cut.shard for cut in cuts)])))
    bands = choose_bands(params.num_permutations, params.similarity_threshold)
    matches = verdicts.eval_matches
    assert matches is not None
    return {
        "documents": num_documents,
        "text_bytes": sum(shard.text_bytes for shard in shards),
        **_count(stage, written),
        "eval_examples": len(index.names),
        "eval_examples_too_short": index.num_too_short,
        "eval_ngrams": len(index.ngrams),
        "eval_mode": params.eval_mode,
        "departures": _DEPARTURES[params.eval_mode],
        "minhash_bands": f"{bands.num_bands} x {bands.num_rows}",
        "near_pairs_compared": verdicts.num_compared,
        "commonplace_ngrams": matches.num_commonplace,
        "documents_per_s": round(num_documents / (time.monotonic() - started_s), 1),
    }


def _wikipedia_shards(location: str | None) -> list[Shard]:
    return [] if location is None else list_shards(parse_place(location))


def _compute_features(stage: Stage, shards: Sequence[Shard], name: str) -> list[Path]:
    return _map(stage, name, _features_of(stage), shards, "documents")


def _map(
    stage: Stage,
    name: str,
    function: Callable[[Item], Result],
    items: Sequence[Item],
    documents: str,
) -> list[Result]:
    """Map over what `documents`, an attribute of each item, says has so many documents."""
    weigh: Callable[[Item], int] = attrgetter(documents)
    return list(stage.map_shards(name, function, items, unit="documents", weigh=weigh))


def _features_of(stage: Stage) -> ComputeFeatures:
    index = stage.work / _EVAL_NGRAMS
    return ComputeFeatures(
        memory=stage.memory,
        eval_ngrams=index,
        eval_sha256=sha256_file(index),
        params=stage.params.dedup,
        seed=stage.params.seeds.corpus,
    )


def _cut(stage: Stage, shards: list[Shard], folders: list[Path]) -> list[CutShard]:
    cut = CutShards(
        folder=stage.work / "cut",
        margin_words=stage.params.dedup.eval_cut_margin_words,
        min_words=stage.params.dedup.eval_cut_min_words,
    )
    items = [
        CutItem(shard, folder / PASSAGES) for shard, folder in zip(shards, folders, strict=True)
    ]
    return _map(stage, "cut", cut, items, "shard.documents")


def _decide_after_cut(
    stage: Stage,
    verdicts: Verdicts,
    features: Features,
    cuts: Sequence[CutShard],
    wikipedia: list[Path],
) -> None:
    """Judge the documents once more, with what is left of those that were cut."""
    rests = _compute_features(stage, [cut.shard for cut in cuts], "features_of_cut")
    own = features.folders[: len(cuts)]
    numbered = list(zip(features.firsts.tolist(), cuts, strict=False))
    decide_after_cut(
        verdicts,
        Features([*own, *rests, *wikipedia]),
        np.array([first + row for first, cut in numbered for row in cut.rows], np.int64),
        np.array([first + row for first, cut in numbered for row in cut.too_short], np.int64),
        stage.params.dedup,
    )


def _write(
    stage: Stage, shards: list[Shard], folders: list[Path], cuts: list[CutShard]
) -> list[Written]:
    write = WriteShards(
        kept=stage.staging / "kept", removed=stage.staging / "removed", done=stage.work / "written"
    )
    items = [WriteItem(*item) for item in zip(shards, folders, cuts or repeat(None), strict=False)]
    return _map(stage, "write", write, items, "shard.documents")


def _count(stage: Stage, written: list[Written]) -> dict[str, Any]:
    """Put the shards' parts together; returns the counts over all."""
    staging = stage.staging
    kept = write_manifest(staging / "kept", [shard.kept for shard in written])
    removed = write_manifest(staging / "removed", [shard.removed for shard in written])
    join_parts([shard.matches for shard in written], MATCH_SCHEMA, staging / "eval_matches.parquet")
    join_parts([shard.pieces for shard in written], CUT_SCHEMA, staging / "cut.parquet")
    reasons: Counter[str] = sum((Counter(shard.reasons) for shard in written), Counter())
    matches = pq.read_table(
        staging / "eval_matches.parquet", columns=["document", "set", "example"]
    )
    found = matches.select(["set", "example"]).group_by(["set", "example"]).aggregate([])
    pieces = pq.read_table(staging / "cut.parquet", columns=["document", "text"])
    return {
        "kept": kept,
        "removed": removed,
        "removed_by_reason": {reason: reasons[reason] for reason in REASONS if reason != STAYS},
        "documents_with_eval_overlap": len(matches["document"].unique()),
        "eval_examples_found": dict(sorted(Counter(found["set"].to_pylist()).items())),
        "documents_cut": len(pieces["document"].unique()),
        "pieces_cut": len(pieces),
        "text_bytes_cut": pc.sum(pc.binary_length(pieces["text"])).as_py() or 0,
    }
