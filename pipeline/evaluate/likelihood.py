"""Log-likelihoods of tokens, in batches: the one way in which any text is scored.

Only scored positions pass the vocabulary head. Batches are packed by length; what a position's
loss is does not depend on what else is in its batch, beyond the rounding of float32.

Shapes: B sequences, T positions, D width, N scored positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.head_loss import IGNORED, token_losses
from models.kv_cache import Branches, KVCache
from pipeline.evaluate.finite import require_finite
from pipeline.evaluate.session import Session

Losses = npt.NDArray[np.float32]
"""-log p of tokens, in nats."""


Tokens = Sequence[int] | npt.NDArray[np.integer[Any]]
"""Ids of tokens."""


class Scored(NamedTuple):
    """A sequence whose last `num_scored` tokens are scored, each given all before it."""

    tokens: Tokens
    """At most context + 1 of them: the last one is never an input."""
    num_scored: int


class Guess(NamedTuple):
    """What the model thinks of the scored tokens of a sequence."""

    losses: Losses
    best: npt.NDArray[np.int64]
    """The most probable token at each scored position."""
    allowed: Allowed
    """The same where some tokens may not be said."""


class Allowed(NamedTuple):
    """What is left of the predictions of a sequence when some tokens are forbidden."""

    losses: Losses
    """-log p among the tokens that are left; infinite for a token that is not."""
    best: npt.NDArray[np.int64]


class Choices(NamedTuple):
    """A common beginning, at least one token long, and its alternative continuations."""

    prefix: Sequence[int]
    continuations: Sequence[Sequence[int]]


@torch.inference_mode()
def score(session: Session, sequences: Sequence[Scored]) -> list[Losses]:
    """The losses of the scored tokens of each sequence, in the order given."""
    results: list[Losses] = [np.empty(0, np.float32)] * len(sequences)
    for rows in pack([len(s.tokens) - 1 for s in sequences], session.params.batch_tokens):
        batch = [sequences[row] for row in rows]
        tokens_BT, targets_BT = _to_tensors(batch, session.device)
        with session.autocast():
            losses_BT = session.model.token_losses(tokens_BT, targets_BT)
        for row, sequence, losses_T in zip(rows, batch, losses_BT.cpu().numpy(), strict=True):
            end = len(sequence.tokens) - 1
            results[row] = losses_T[end - sequence.num_scored : end].copy()
            require_finite(session, results[row], sequence.tokens[:-1])
        session.tick(tokens_BT.numel())
    return results


@torch.inference_mode()
def guess(
    session: Session, sequences: Sequence[Scored], *, forbidden: Sequence[int]
) -> list[Guess]:
    """Losses and most probable tokens, with all tokens and without those that are forbidden.

    A forbidden token may not be the whole of what is scored. Where more follows, it is part of
    something longer: there, what really stands is allowed.
    """
    results: list[Guess | None] = [None] * len(sequences)
    forbidden_F = torch.tensor(forbidden, dtype=torch.long, device=session.device)
    for rows in pack([len(s.tokens) - 1 for s in sequences], session.params.batch_tokens):
        batch = [sequences[row] for row in rows]
        tokens_BT, targets_BT = _to_tensors(batch, session.device)
        with session.autocast():
            scored_BT = targets_BT != IGNORED
            hidden_ND = session.model(tokens_BT, wanted_BT=scored_BT)
            logits_NV = session.model.logits(hidden_ND).float()
        targets_N = targets_BT[scored_BT]
        of_all = _predict(logits_NV, targets_N)
        ends = np.cumsum([s.num_scored for s in batch])
        goes_on_N = torch.ones_like(targets_N, dtype=torch.bool)
        goes_on_N[ends - 1] = False
        _forbid(logits_NV, forbidden_F, targets_N, goes_on_N)
        of_allowed = _predict(logits_NV, targets_N)
        pieces = zip(
            *(np.split(column, ends[:-1]) for column in (*of_all, *of_allowed)), strict=True
        )
        for row, (losses, best, allowed_losses, allowed_best) in zip(rows, pieces, strict=True):
            require_finite(session, losses, sequences[row].tokens[:-1])
            results[row] = Guess(losses, best, Allowed(allowed_losses, allowed_best))
        session.tick(tokens_BT.numel())
    return [result for result in results if result is not None]


def _forbid(logits_NV: Tensor, forbidden_F: Tensor, targets_N: Tensor, goes_on_N: Tensor) -> None:
    """Make the forbidden tokens impossible, in place, but for targets after which more follows."""
    targets_M1 = targets_N[goes_on_N, None]
    rows_M1 = goes_on_N.nonzero()
    kept_M1 = logits_NV[rows_M1, targets_M1]
    logits_NV[:, forbidden_F] = -torch.inf
    logits_NV[rows_M1, targets_M1] = kept_M1


def _predict(logits_NV: Tensor, targets_N: Tensor) -> tuple[Losses, npt.NDArray[np.int64]]:
    """-log p of each target in nats, and the most probable token of each position."""
    best_N = logits_NV.argmax(dim=1)
    losses_N = logits_NV.logsumexp(1) - logits_NV.gather(1, targets_N[:, None])[:, 0]
    return losses_N.cpu().numpy(), best_N.cpu().numpy()


@torch.inference_mode()
def score_choices(session: Session, questions: Sequence[Choices]) -> list[list[Losses]]:
    """The losses of every continuation given its prefix, which is read once for all of them.

    Prefix and longest continuation together have at most context + 1 tokens.
    """
    results: list[list[Losses]] = [[] for _ in questions]
    for rows in _pack_choices(session, questions):
        group = [questions[row] for row in rows]
        for row, losses in zip(rows, _score_group(session, group), strict=True):
            require_finite(session, np.concatenate(losses), questions[row].prefix)
            results[row] = losses
    return results


def _score_group(session: Session, group: Sequence[Choices]) -> list[list[Losses]]:
    """Read all prefixes but for their last token, then all continuations of each side by side."""
    trees = [_grow(question) for question in group]
    width = max(len(tree.tokens) for tree in trees)
    tokens_BT = _pad([tree.tokens for tree in trees], 0, session.device)
    places = [
        number * width + place
        for number, tree in enumerate(trees)
        for branch in tree.branches
        for place in branch
    ]
    targets_N = torch.tensor([
        token for question in group for tokens in question.continuations for token in tokens
    ])
    with session.autocast():
        cache = _read_prefixes(session, [q.prefix[:-1] for q in group], width)
        hidden_ND = session.model(
            tokens_BT, cache, branches=_branches(trees, width, session.device)
        ).flatten(0, 1)[torch.tensor(places, device=session.device)]
        losses_N = token_losses(hidden_ND, session.model.head_VD, targets_N.to(session.device))
    session.tick(tokens_BT.numel())
    lengths = [len(tokens) for question in group for tokens in question.continuations]
    pieces = iter(np.split(losses_N.cpu().numpy(), np.cumsum(lengths)[:-1]))
    return [[next(pieces).copy() for _ in question.continuations] for question in group]


class _Tree(NamedTuple):
    """The last token of a prefix, and what the continuations put after it, branch by branch."""

    tokens: list[int]
    branches: list[list[int]]
    """Places in `tokens` whose predictions a continuation is scored by, the shared one first."""


def _grow(question: Choices) -> _Tree:
    tokens = [question.prefix[-1]]
    branches = []
    for continuation in question.continuations:
        inputs = continuation[:-1]  # its last token is never an input
        branches.append([0, *range(len(tokens), len(tokens) + len(inputs))])
        tokens += inputs
    return _Tree(tokens, branches)


def _branches(trees: Sequence[_Tree], width: int, device: torch.device) -> Branches:
    """Depths and views of the trees' tokens, padded to `width` each; padding sees itself."""
    depths = np.zeros((len(trees), width), dtype=np.int64)
    sees = np.repeat(np.eye(width, dtype=bool)[None], len(trees), axis=0)
    for number, tree in enumerate(trees):
        for branch in tree.branches:
            depths[number, branch] = np.arange(len(branch))
            sees[number][np.ix_(branch, branch)] = np.tri(len(branch), dtype=bool)
    return Branches(
        torch.from_numpy(depths).to(device),
        torch.from_numpy(sees).to(device),
        int(depths.max()) + 1,
    )


def _read_prefixes(session: Session, prefixes: Sequence[Tokens], room: int) -> KVCache:
    """A cache that holds each prefix, with `room` for more tokens."""
    lengths = [len(prefix) for prefix in prefixes]
    dtype = torch.float32 if session.params.precision == "float32" else torch.bfloat16
    cache = KVCache(
        session.model.config.cache_shape,
        len(prefixes),
        max(lengths) + room,
        device=session.device,
        dtype=dtype,
    )
    if max(lengths):
        tokens_BT = _pad(prefixes, 0, session.device)
        none_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
        session.model(tokens_BT, cache, wanted_BT=none_BT)
        cache.truncate(lengths)
        session.tick(tokens_BT.numel())
    return cache


def pack(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first, of at most `batch_tokens` padded.

    A batch that is a quarter full takes nothing that would be an eighth padding. A sequence longer
    than a batch makes one of its own.
    """
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if rows:
            longest = lengths[rows[0]]
            full = (len(rows) + 1) * longest > batch_tokens
            enough = 4 * len(rows) * longest >= batch_tokens
            if full or (enough and 8 * lengths[row] < 7 * longest):
                yield rows
                rows = []
        rows.append(row)
    if rows:
        yield rows


def _pack_choices(session: Session, questions: Sequence[Choices]) -> Iterator[list[int]]:
    """Indices in groups of similar prefix that fit the context and the batch together."""
    rows: list[int] = []
    deepest = widest = 0
    for row in sorted(range(len(questions)), key=lambda row: -len(questions[row].prefix)):
        lengths = [len(tokens) for tokens in questions[row].continuations]
        prefix = len(questions[rows[0]].prefix) if rows else len(questions[row].prefix)
        deeper, wider = max(deepest, *lengths), max(widest, sum(lengths))
        too_long = prefix - 1 + deeper > session.context
        too_many = (len(rows) + 1) * (prefix + wider) > session.params.batch_tokens
        if rows and (too_long or too_many):
            yield rows
            rows, deeper, wider = [], max(lengths), sum(lengths)
        rows.append(row)
        deepest, widest = deeper, wider
    if rows:
        yield rows


def _to_tensors(batch: Sequence[Scored], device: torch.device) -> tuple[Tensor, Tensor]:
    """Inputs and targets, [B, T] each; targets that are not scored are -100."""
    inputs = [sequence.tokens[:-1] for sequence in batch]
    targets = []
    for sequence in batch:
        unscored = len(sequence.tokens) - 1 - sequence.num_scored
        targets.append([IGNORED] * unscored + list(sequence.tokens[unscored + 1 :]))
    return _pad(inputs, 0, device), _pad(targets, IGNORED, device)


def _pad(rows: Sequence[Tokens], filler: int, device: torch.device) -> Tensor:
    padded = np.full((len(rows), max(len(row) for row in rows)), filler, dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return torch.from_numpy(padded).to(device)
