"""Ten plain lines to hold each scoring method against: no batch, no cache, no window plan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from pipeline.evaluate.session import Session


@torch.no_grad()
def losses(
    session: Session, given: list[int], wanted: list[int], forbidden: Sequence[int] = ()
) -> list[float]:
    """-log p of each wanted token given all before it, which must fit the context."""
    tokens = torch.tensor([given + wanted])[:, :-1]
    assert tokens.shape[1] <= session.context
    logits = session.model.logits(session.model(tokens))[0, len(given) - 1 :]
    logits[:, list(forbidden)] = -torch.inf
    return (-F.log_softmax(logits.float(), dim=-1)[range(len(wanted)), wanted]).tolist()


@torch.no_grad()
def greedy(
    session: Session, tokens: list[int], count: int, forbidden: Sequence[int] = ()
) -> list[int]:
    """The most probable next tokens, one at a time."""
    tokens = list(tokens)
    for _ in range(count):
        logits = session.model.logits(session.model(torch.tensor([tokens])))[0, -1]
        logits[list(forbidden)] = -torch.inf
        tokens.append(int(logits.argmax()))
    return tokens[len(tokens) - count :]


def sliding_losses(session: Session, tokens: list[int], stride: int) -> list[float]:
    """Each token's loss in the first window, of those that begin every `stride`, that has it."""
    whole = [session.start, *tokens]
    result: list[float] = []
    start = 0
    while len(result) < len(tokens):
        end = min(start + session.context, len(tokens))
        known = len(result) + 1
        result += losses(session, whole[start:known], whole[known : end + 1])
        start += stride
    return result
