"""The stage's steps: features of every shard, decisions over all, shards of kept and removed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.dedup.decide import Verdicts, decide
from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import ComputeFeatures
from pipeline.dedup.near_duplicates import choose_bands
from pipeline.dedup.reasons import REASONS
from pipeline.dedup.write import ShardVerdicts, WriteShards
from pipeline.documents import Shard, list_shards, write_manifest
from pipeline.executor import map_shards
from pipeline.files import open_atomic
from pipeline.stage import Stage

_MATCH_COLUMNS = ["document", "set", "example", "num_matches", "text"]


def run(stage: Stage) -> dict[str, Any]:
    """Write `kept/`, `removed/` and `eval_matches.parquet`; returns counts by reason."""
    started_s = time.monotonic()
    params = stage.params.dedup
    shards = list_shards(stage.inputs["documents"])
    index = EvalIndex(stage.inputs["eval_sets"], params.eval_ngram_words)
    stage.log.info("%s n-grams of %s evaluation examples", len(index.ngrams), len(index.names))
    verdicts = decide(_compute_features(stage, shards, index), index, params)
    totals, matches = _write(stage, shards, index, verdicts)
    removed = Counter(verdicts.documents["reason"].tolist())
    num_documents = sum(shard.documents for shard in shards)
    bands = choose_bands(params.num_permutations, params.similarity_threshold)
    return {
        "documents": num_documents,
        "text_bytes": sum(shard.text_bytes for shard in shards),
        "kept": totals["kept"],
        "removed": totals["removed"],
        "removed_by_reason": {reason: removed[reason] for reason in REASONS},
        "documents_with_eval_overlap": matches["document"].nunique(),
        "eval_examples_found": matches.groupby("set")["example"].nunique().to_dict(),
        "eval_examples": len(index.names),
        "eval_examples_too_short": index.num_too_short,
        "eval_ngrams": len(index.ngrams),
        "eval_mode": params.eval_mode,
        "minhash_bands": f"{bands.num_bands} x {bands.num_rows}",
        **verdicts.counts,
        "documents_per_s": round(num_documents / (time.monotonic() - started_s), 1),
    }


def _compute_features(stage: Stage, shards: list[Shard], index: EvalIndex) -> list[Path]:
    eval_ngrams = stage.work / "eval_ngrams.npz"
    index.ngrams.save(eval_ngrams)
    compute = ComputeFeatures(
        folder=stage.work / "features",
        eval_ngrams=eval_ngrams,
        params=stage.params.dedup,
        seed=stage.params.seed,
    )
    with stage.progress("features", total=len(shards), unit="shards") as progress:
        return list(map_shards(compute, shards, compute=stage.params.compute, progress=progress))


def _write(
    stage: Stage, shards: list[Shard], index: EvalIndex, verdicts: Verdicts
) -> tuple[dict[str, dict[str, int]], pd.DataFrame]:
    """Returns the totals of kept and removed documents, and the matches with the eval sets."""
    write = WriteShards(
        kept=stage.staging / "kept", removed=stage.staging / "removed", done=stage.work / "written"
    )
    items = _split_by_shard(shards, index, verdicts)
    with stage.progress("write", total=len(shards), unit="shards") as progress:
        results = list(map_shards(write, items, compute=stage.params.compute, progress=progress))
    totals = {
        name: write_manifest(stage.staging / name, [result[name] for result in results])
        for name in ("kept", "removed")
    }
    matches = [match for result in results for match in result["eval_matches"]]
    table = pd.DataFrame(matches, columns=_MATCH_COLUMNS)
    table = table.astype(dict.fromkeys(_MATCH_COLUMNS, "str") | {"num_matches": "int64"})
    with open_atomic(stage.staging / "eval_matches.parquet") as file:
        table.to_parquet(file, index=False, compression="zstd")
    return totals, table


def _split_by_shard(
    shards: list[Shard], index: EvalIndex, verdicts: Verdicts
) -> list[ShardVerdicts]:
    """Cut the verdicts, which number documents over all shards, into one part per shard."""
    items, start = [], 0
    for shard in shards:
        end = start + shard.documents
        part = verdicts.documents.iloc[start:end]
        matches = verdicts.eval_matches
        own = matches[(matches["document"] >= start) & (matches["document"] < end)]
        rows = [
            dict(zip(("set", "example"), index.names[match["example"]], strict=True))
            | {"row": match["document"] - start}
            | {name: match[name] for name in ("num_matches", "start", "end")}
            for match in own.to_dict("records")
        ]
        items.append(ShardVerdicts(shard, part["reason"].tolist(), part["matched"].tolist(), rows))
        start = end
    return items
