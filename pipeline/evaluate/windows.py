"""The sliding window over a text longer than the context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.evaluate.likelihood import Losses, Scored, Tokens, score
from pipeline.evaluate.session import Session


class Window(NamedTuple):
    """Inputs `start:end` of a text; the targets `end - num_scored + 1 .. end` are scored."""

    start: int
    end: int
    num_scored: int


def plan_windows(num_targets: int, *, window: int, stride: int) -> Iterator[Window]:
    """Windows that score each of the tokens 1 .. num_targets exactly once.

    Windows begin every `stride` tokens and read up to `window`. Each but the first scores only
    what no window before it did, so that every token but the first ones has at least
    `window - stride + 1` tokens before it. With `stride = window` that is one.

    >>> list(plan_windows(10, window=4, stride=3))
    [Window(start=0, end=4, num_scored=4), Window(start=3, end=7, num_scored=3), \
Window(start=6, end=10, num_scored=3)]
    """
    scored = 0
    start = 0
    while scored < num_targets:
        end = min(start + window, num_targets)
        yield Window(start, end, end - scored)
        scored = end
        start += stride


def score_text(session: Session, tokens: Tokens, *, stride: int) -> Losses:
    """The loss of every token of a text that begins with <|endoftext|>, in nats, [tokens]."""
    return score_texts(session, [tokens], stride=stride)[0]


def score_texts(session: Session, texts: Sequence[Tokens], *, stride: int) -> list[Losses]:
    """The losses of each text's tokens; texts do not see one another."""
    sequences: list[Scored] = []
    owners: list[int] = []
    for number, tokens in enumerate(texts):
        whole = np.concatenate([[session.start], np.asarray(tokens, dtype=np.int64)])
        for window in plan_windows(len(tokens), window=session.context, stride=stride):
            sequences.append(Scored(whole[window.start : window.end + 1], window.num_scored))
            owners.append(number)
    pieces: list[list[Losses]] = [[] for _ in texts]
    for owner, losses in zip(owners, score(session, sequences), strict=True):
        pieces[owner].append(losses)
    empty = np.empty(0, np.float32)
    return [np.concatenate([empty, *losses]) for losses in pieces]
