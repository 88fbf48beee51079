"""The study's own train and test documents: perplexity per token, each document by itself.

The train documents are drawn from those that the model was trained on, and from no others.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection
from pathlib import Path

import numpy as np

from pipeline.evaluate.outcome import CannotRun, Outcome
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import score_texts
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.token_shards import TokenDocument, TokenSplit, open_split
from pipeline.shared.scores.metrics import bits_per_unit, perplexity


def evaluate(
    session: Session, folder: Path, *, num_documents: int, among: Collection[str] | None = None
) -> Outcome:
    """Score documents of one split; their closing <|endoftext|> is scored like any token.

    `among` are the ids of those that may be drawn; without it, all may.

    Raises:
        CannotRun: there is no such split: the model comes from elsewhere.
        CorruptDataError: the split is damaged, empty, or of another tokenizer.
    """
    if not folder.is_dir():
        raise CannotRun("no token shards stand beside this model; those of a study do (dvc repro)")
    documents = choose_documents(session, folder, num_documents, among=among)
    stride = session.params.figure4_stride
    losses = score_texts(session, [document.tokens for document in documents], stride=stride)
    outcome = Outcome(session, [document.id for document in documents])
    sums = np.array([piece.sum(dtype=np.float64) for piece in losses])
    counts = np.array([len(piece) for piece in losses])
    num_bytes = np.array([session.token_bytes[d.tokens].sum() for d in documents])
    outcome.columns = {
        "loss_nats": sums.tolist(),
        "num_units": counts.tolist(),
        "num_bytes": num_bytes.tolist(),
    }
    outcome.add("perplexity", np.stack([sums, counts], axis=1), perplexity)
    # The same loss over bytes of UTF-8: comparable between tokenizers, which perplexity is not.
    outcome.add("bits_per_byte", np.stack([sums, num_bytes], axis=1), bits_per_unit)
    outcome.protocol = {
        "unit": "token",
        "window": session.context,
        "stride": stride,
        "documents": "a sample by hash of seed and id, the same for every size",
        "joined": "each by itself, after <|endoftext|>; the closing <|endoftext|> is scored",
    }
    return outcome


def choose_documents(
    session: Session,
    folder: Path,
    count: int,
    *,
    min_tokens: int = 1,
    among: Collection[str] | None = None,
) -> list[TokenDocument]:
    """`count` documents of a split by hash of seed and id, or all that have `min_tokens`.

    Raises:
        CorruptDataError: the split is damaged, empty, of another tokenizer, or lacks one of
            `among`.
    """
    split = open_split(folder)
    if split.tokenizer_sha256 != session.tokenizer.sha256:
        raise CorruptDataError(
            f"{folder}: tokens of another tokenizer than the one beside them; run dvc repro"
        )
    documents = split.documents()
    if among is not None:
        wanted = frozenset(among)
        _require(folder, split, wanted)
        documents = (document for document in documents if document.id in wanted)
    fitting = (document for document in documents if len(document.tokens) >= min_tokens)
    chosen = heapq.nsmallest(count, fitting, key=lambda document: _rank(session.seed, document.id))
    if not chosen and min_tokens == 1:
        raise CorruptDataError(f"{folder}: holds no document; run the tokenize stage again")
    return chosen


def _require(folder: Path, split: TokenSplit, wanted: frozenset[str]) -> None:
    missing = len(wanted) - sum(id_ in wanted for id_ in split.ids())
    if missing:
        raise CorruptDataError(
            f"{folder}: lacks {missing:,} of the {len(wanted):,} documents that the model was "
            "trained on; run dvc repro"
        )


def _rank(seed: int, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}:{id_}".encode()).digest()
