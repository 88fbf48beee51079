"""The sliding window over a text longer than the context."""

from __future__ import annotations

import itertools
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
    return score_text_at(session, tokens, strides=[stride])[stride]


def score_text_at(session: Session, tokens: Tokens, *, strides: Sequence[int]) -> dict[int, Losses]:
    """The same at several strides; a window that two of them have is read once."""
    return _score(session, [tokens], strides)[0]


def score_texts(session: Session, texts: Sequence[Tokens], *, stride: int) -> list[Losses]:
    """The losses of each text's tokens; texts do not see one another."""
    return [losses[stride] for losses in _score(session, texts, [stride])]


def _score(
    session: Session, texts: Sequence[Tokens], strides: Sequence[int]
) -> list[dict[int, Losses]]:
    plans = [
        {s: list(plan_windows(len(text), window=session.context, stride=s)) for s in strides}
        for text in texts
    ]
    most_scored: dict[_Place, int] = {}
    for number, plan in enumerate(plans):
        for window in itertools.chain.from_iterable(plan.values()):
            place = _Place(number, window.start, window.end)
            most_scored[place] = max(window.num_scored, most_scored.get(place, 0))
    wholes = [np.concatenate([[session.start], np.asarray(t, dtype=np.int64)]) for t in texts]
    sequences = [
        Scored(wholes[place.text][place.start : place.end + 1], num_scored)
        for place, num_scored in most_scored.items()
    ]
    found = dict(zip(most_scored, score(session, sequences), strict=True))
    empty = np.empty(0, np.float32)
    return [
        {
            stride: np.concatenate([
                empty,
                *(found[_Place(number, w.start, w.end)][-w.num_scored :] for w in windows),
            ])
            for stride, windows in plan.items()
        }
        for number, plan in enumerate(plans)
    ]


class _Place(NamedTuple):
    """Where a window stands, whatever the stride that asks for it."""

    text: int
    start: int
    end: int
