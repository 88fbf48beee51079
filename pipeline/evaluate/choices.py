"""Alternative continuations of one text, tokenized so that nothing is read twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from pipeline.evaluate.likelihood import Choices
from pipeline.evaluate.session import Session

_LEAST_PREFIX_FRACTION = 4  # continuations may take three quarters of the context


class Fitted(NamedTuple):
    """Choices that fit the context, and what it cost to make them fit."""

    choices: Choices
    num_common: int
    """Tokens of each alternative that stand in the common prefix."""
    cut_left: bool
    """The beginning of the context was left out."""
    cut_right: bool
    """The end of every continuation was left out, by the same number of tokens."""


def fit_choices(
    session: Session, context: Sequence[int], alternatives: Sequence[Sequence[int]]
) -> Fitted:
    """Split tokenized alternatives into what all begin with and how each goes on.

    The probabilities of the common beginning are the same for all and cannot decide, so leaving
    them out of every sum changes no choice. <|endoftext|> stands before the context.
    """
    shortest = min(len(tokens) for tokens in alternatives)
    columns = zip(*(tokens[: shortest - 1] for tokens in alternatives), strict=True)
    common = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    continuations = [list(tokens[common:]) for tokens in alternatives]
    prefix = [session.start, *context, *alternatives[0][:common]]
    longest = max(len(tokens) for tokens in continuations)
    excess = longest - (session.context - session.context // _LEAST_PREFIX_FRACTION)
    if excess > 0:
        continuations = [tokens[: max(1, len(tokens) - excess)] for tokens in continuations]
        longest -= excess
    room = session.context + 1 - longest
    choices = Choices(prefix[-room:], continuations)
    return Fitted(choices, common, len(prefix) > room, excess > 0)
