"""Which documents go, over all shards: first exact duplicates, then near ones, then eval texts.

Rank decides which of several equals stays: the earliest link, then the lowest id. Nothing here
depends on where a document lies, so neither shard order nor the number of workers matters.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import Ragged
from pipeline.dedup.near_duplicates import find_near_duplicates
from pipeline.dedup.reasons import EVAL_OVERLAP, EXACT_DUPLICATE, NEAR_DUPLICATE
from pipeline.ngrams import Places
from pipeline.params import DedupParams

Numbers = npt.NDArray[np.int64]
"""Documents by their place in the input."""


class Verdicts(NamedTuple):
    """The outcome for every document, in input order."""

    documents: pd.DataFrame
    """Columns id, reason ("" stays) and matched; the last is filled for duplicates only here."""
    eval_matches: pd.DataFrame
    """Columns document (its number), example (its number), num_matches, start, end (words): a row
    for each example that condemns a document, the strongest of a document first."""
    counts: dict[str, int]
    """What the decisions cost and met, for metrics.json."""


def decide(folders: list[Path], eval_index: EvalIndex, params: DedupParams) -> Verdicts:
    """Judge all documents by the features of their shards."""
    tables = [pd.read_parquet(folder / "documents.parquet") for folder in folders]
    table = pd.concat(tables, ignore_index=True)
    order = table.sort_values(["created_utc", "id", "text_hash"]).index.to_numpy()
    reasons, matched = table["reason"].to_numpy(object), table["matched"].to_numpy(object)
    ids = table["id"].to_numpy(object)

    def remove(kept_for: dict[int, int], reason: str) -> Numbers:
        for number, kept in kept_for.items():
            reasons[number], matched[number] = reason, ids[kept]
        left: Numbers = order[reasons[order] == ""]
        return left

    left = order[reasons[order] == ""]
    left = remove(_find_exact_duplicates(table["text_hash"], left), EXACT_DUPLICATE)
    shingles = Ragged(folders, "shingles")
    keys = np.concatenate([np.load(folder / "bands.npy", mmap_mode="r") for folder in folders])
    near = find_near_duplicates(keys, left, shingles.__getitem__, params.similarity_threshold)
    left = remove(near.kept_for, NEAR_DUPLICATE)
    eval_matches, num_commonplace = _match_eval_sets(
        np.sort(left), Ragged(folders, "matches"), eval_index, params
    )
    if params.eval_mode == "remove":
        reasons[eval_matches["document"].unique()] = EVAL_OVERLAP
    return Verdicts(
        documents=pd.DataFrame({"id": ids, "reason": reasons, "matched": matched}),
        eval_matches=eval_matches,
        counts={"near_pairs_compared": near.num_compared, "commonplace_ngrams": num_commonplace},
    )


def _find_exact_duplicates(text_hashes: pd.Series[str], order: Numbers) -> dict[int, int]:
    """Document -> the document of lowest rank with the same normalised text."""
    hashes = text_hashes.iloc[order]
    codes, _ = pd.factorize(hashes)
    first = order[np.unique(codes, return_index=True)[1]][codes]
    return {int(n): int(kept) for n, kept in zip(order, first, strict=True) if n != kept}


def _match_eval_sets(
    documents: Numbers, matches: Ragged, index: EvalIndex, params: DedupParams
) -> tuple[pd.DataFrame, int]:
    """What condemns the documents left, and how many n-grams are commonplace among them."""
    occurrences = np.zeros(len(index.ngrams), np.int64)
    sharing: dict[int, Places] = {}
    for number in documents.tolist():
        if len(own := matches[number]):
            sharing[number] = own
            occurrences[np.unique(own[:, 0])] += 1
    commonplace = occurrences > params.eval_max_occurrences
    rows = [
        (number, *condemned)
        for number, own in sharing.items()
        for condemned in index.condemn(own, commonplace, params.eval_min_matches)
    ]
    columns = ["document", "example", "num_matches", "start", "end"]
    return pd.DataFrame(rows, columns=columns, dtype="int64"), int(commonplace.sum())
