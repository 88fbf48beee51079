"""The verdicts over all documents, cut into one folder per shard for those who write the shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.decide import Verdicts
from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import Features
from pipeline.dedup.reasons import REASONS
from pipeline.shared.files import open_folder, remove_path

DOCUMENTS, MATCHES, PASSAGES = "documents.parquet", "matches.parquet", "passages.parquet"


def write_verdicts(
    folder: Path, verdicts: Verdicts, features: Features, index: EvalIndex, num_shards: int
) -> Iterator[Path]:
    """Write and yield the folder of each of the first `num_shards` shards.

    It holds, as Parquet, reason and matched of each document; and, with the row of the document and
    the names of set and example, the examples that condemn documents and the passages shared.
    """
    matches = verdicts.eval_matches
    assert matches is not None
    parts = {MATCHES: matches.examples, PASSAGES: matches.passages}
    for shard in range(num_shards):
        target = folder / features.folders[shard].name
        remove_path(target)  # of an earlier attempt
        start, end = features.firsts[shard : shard + 2].tolist()
        with open_folder(target) as own:
            pq.write_table(_documents(verdicts, features, shard), own / DOCUMENTS)
            for name, frame in parts.items():
                pq.write_table(_with_names(_between(frame, start, end), index, start), own / name)
        yield target


def _documents(verdicts: Verdicts, features: Features, shard: int) -> pa.Table:
    start, end = features.firsts[shard : shard + 2].tolist()
    kept_for = verdicts.kept_for[start:end]
    matched = features.matched(shard)
    rows = np.flatnonzero(kept_for >= 0)
    for row, id_ in zip(rows.tolist(), features.ids(kept_for[rows]).to_pylist(), strict=True):
        matched[row] = id_
    reasons = [REASONS[code] for code in verdicts.reasons[start:end].tolist()]
    return pa.table({"reason": pa.array(reasons), "matched": pa.array(matched)})


def _between(frame: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
    """The rows of documents from `start` to `end`; they are ordered by document."""
    first, last = np.searchsorted(frame["document"].to_numpy(), [start, end])
    return frame.iloc[first:last]


def _with_names(frame: pd.DataFrame, index: EvalIndex, start: int) -> pa.Table:
    names = [index.names[example] for example in frame["example"]]
    columns = {name: frame[name].to_numpy() for name in frame if name != "example"}
    return pa.table({
        "row": columns.pop("document") - start,
        **columns,
        "set": pa.array([name for name, _ in names], pa.string()),
        "example": pa.array([id_ for _, id_ in names], pa.string()),
    })
