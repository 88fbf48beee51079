"""Which documents go, over all shards: Wikipedia, exact duplicates, near ones, then eval texts.

Rank decides which of several equals stays: the earliest link, then the lowest id. Nothing here
depends on where a document lies, so neither shard order nor the number of workers matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.eval_matches import EvalMatches, match_eval_sets
from pipeline.dedup.features import Features
from pipeline.dedup.minhash import choose_bands
from pipeline.dedup.near_duplicates import find_near_duplicates
from pipeline.dedup.reasons import (
    EVAL_OVERLAP,
    EXACT_DUPLICATE,
    NEAR_DUPLICATE,
    STAYS,
    WIKIPEDIA,
    code,
)
from pipeline.shared.params.text import DedupParams
from pipeline.shared.text.words import Numbers


@dataclass
class Verdicts:
    """The outcome for every document, by its number over all shards."""

    order: Numbers
    """The documents by rank."""
    reasons: npt.NDArray[np.int8]
    """Places in `REASONS`: [documents]."""
    kept_for: Numbers
    """The document that another one was removed for, -1 for none: [documents]."""
    num_compared: int = 0
    eval_matches: EvalMatches | None = None
    """Once they are known."""

    @property
    def left(self) -> Numbers:
        """The documents that stay, by rank."""
        left: Numbers = self.order[self.reasons[self.order] == code(STAYS)]
        return left

    def remove(self, documents: Numbers, kept: Numbers, reason: str) -> None:
        """Remove documents for others that stay."""
        self.reasons[documents], self.kept_for[documents] = code(reason), kept


def decide(
    features: Features, num_documents: int, eval_index: EvalIndex, params: DedupParams
) -> Verdicts:
    """Judge the first `num_documents`; what follows them in `features` is Wikipedia's text."""
    verdicts = Verdicts(
        order=features.rank(num_documents),
        reasons=features.reasons[:num_documents].copy(),
        kept_for=np.full(num_documents, -1, np.int64),
    )
    if wikipedia := len(features) - num_documents:
        references = np.arange(num_documents, len(features))
        order = np.concatenate([references, verdicts.left])
        _remove_near(verdicts, features, order, WIKIPEDIA, params, num_references=wikipedia)
    verdicts.remove(*features.same_words(verdicts.left), EXACT_DUPLICATE)
    _remove_near(verdicts, features, verdicts.left, NEAR_DUPLICATE, params)
    is_left = verdicts.reasons == code(STAYS)
    verdicts.eval_matches = match_eval_sets(features, is_left, eval_index, params)
    if params.eval_mode == "remove":
        condemned = verdicts.eval_matches.examples["document"].unique()
        verdicts.reasons[condemned] = code(EVAL_OVERLAP)
    return verdicts


def decide_after_cut(
    verdicts: Verdicts, features: Features, cut: Numbers, too_short: Numbers, params: DedupParams
) -> None:
    """Judge once more what was cut: without its passage a document may resemble another.

    Args:
        verdicts: of all documents before; changed in place.
        features: of all documents, then of what is left of each that was cut, then Wikipedia's.
        cut: which documents were cut, in the order of their features.
        too_short: the documents of which too little is left.
        params: the stage's parameters.
    """
    verdicts.reasons[too_short] = code(EVAL_OVERLAP)
    num_documents = len(verdicts.reasons)
    first_reference = num_documents + len(cut)
    references = np.arange(first_reference, len(features))
    original = np.concatenate([np.arange(num_documents), cut, references - len(cut)])
    current = np.arange(num_documents)
    current[cut] = np.arange(num_documents, first_reference)
    if len(references):
        order = np.concatenate([references, current[cut]])
        _remove_near(
            verdicts,
            features,
            order,
            WIKIPEDIA,
            params,
            num_references=len(references),
            original=original,
        )
    order = current[verdicts.left]
    _remove_near(verdicts, features, order, NEAR_DUPLICATE, params, original=original)


def _remove_near(
    verdicts: Verdicts,
    features: Features,
    order: Numbers,
    reason: str,
    params: DedupParams,
    *,
    num_references: int = 0,
    original: Numbers | None = None,
) -> None:
    near = find_near_duplicates(
        features.read_band,
        choose_bands(params.num_permutations, params.similarity_threshold).num_bands,
        order,
        features.open_sets(),
        threshold=params.similarity_threshold,
        num_references=num_references,
    )
    verdicts.num_compared += near.num_compared
    removed, kept = near.removed, near.kept
    if original is not None:
        removed, kept = original[removed], original[kept]
    verdicts.remove(removed, kept, reason)
