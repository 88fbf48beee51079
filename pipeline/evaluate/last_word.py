"""LAMBADA: the probability of a passage's last word, and whether it is the greedy one.

Variants: the whole word or its last token alone; each with a stop-word filter or without. Under the
filter, no token that is a whole stop word can be said; the others share its probability. A word
that only begins with such a token (`Alyssa` is ` A` and `lyssa`) is none. Where the word is a stop
word (54 of 5,153), the filter makes it impossible: it counts as wrong, and not for perplexity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.evaluate.likelihood import Guess, Scored, guess
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.evaluate.stop_words import STOP_WORDS
from pipeline.shared.formats.examples import Example
from pipeline.shared.scores.bootstrap import Floats
from pipeline.shared.scores.metrics import perplexity


def evaluate(session: Session, task: Task) -> Outcome:
    """Perplexity per last word, and accuracy by greedy choice of each of the word's tokens."""
    sequences = [_sequence(session, example) for example in task.examples]
    limit = session.context + 1
    cut = sum(len(sequence.tokens) > limit for sequence in sequences)
    sequences = [Scored(tokens[-limit:], min(scored, limit - 1)) for tokens, scored in sequences]
    guesses = guess(session, sequences, forbidden=stop_tokens(session))
    targets = [np.asarray(s.tokens[-s.num_scored :]) for s in sequences]
    outcome = Outcome.of(session, task, task.examples)
    left_out = 0
    for variant, (losses, right) in _variants(guesses, targets).items():
        suffix = f"@{variant}" if variant else ""
        possible = np.isfinite(losses)
        left_out = max(left_out, int((~possible).sum()))
        _add_losses(outcome, suffix, np.where(possible, losses, 0.0), possible)
        outcome.columns[f"correct{suffix}"] = right.tolist()
        outcome.add_mean(f"accuracy{suffix}", right)
    outcome.protocol = {
        "unit": "the last word, after the last space",
        "greedy": "each token of the word is the most probable one given those before it",
        "stop_word_filter": f"no token that is one of {len(STOP_WORDS)} stop words",
        "stop_words_left_out_of_filtered_perplexity": left_out,
        "context_cut_from_left": cut,
    }
    return outcome


def _sequence(session: Session, example: Example) -> Scored:
    tokens, starts = session.tokenizer.place(f"{example.context} {example.target}")
    boundary = len(example.context.encode())
    num_before = int(np.searchsorted(starts, boundary, side="left"))
    return Scored([session.start, *tokens], len(tokens) - num_before)


def stop_tokens(session: Session) -> list[int]:
    """The tokens that are, after a space, a whole stop word; in lower case or capitalised."""
    words = (f" {form}".encode() for word in STOP_WORDS for form in (word, word.capitalize()))
    ids = {piece: id_ for id_, piece in session.tokenizer.pieces.items()}
    return sorted({ids[word] for word in words if word in ids})


class _Variant(NamedTuple):
    """One way to look at the predictions of the last words."""

    losses: Floats
    """Of each word or token, in nats; infinite where the filter forbids it."""
    right: npt.NDArray[np.int64]
    """1 where it is the most probable one."""


def _variants(
    guesses: Sequence[Guess], targets: Sequence[npt.NDArray[np.int64]]
) -> dict[str, _Variant]:
    """Word or last token, without the filter or with it."""
    found: dict[str, list[tuple[float, bool]]] = {
        name: [] for name in ("", "last_token", "stop_word_filter", "last_token_stop_word_filter")
    }
    for guessed, target in zip(guesses, targets, strict=True):
        losses, right = guessed.losses.astype(np.float64), guessed.best == target
        allowed = guessed.allowed
        allowed_right = allowed.best == target
        rest = losses[1:].sum()  # the filter is about the word's beginning
        found[""].append((losses[0] + rest, right.all()))
        found["last_token"].append((losses[-1], right[-1]))
        found["stop_word_filter"].append((
            allowed.losses[0] + rest,
            allowed_right[0] and right[1:].all(),
        ))
        found["last_token_stop_word_filter"].append((allowed.losses[-1], allowed_right[-1]))
    return {
        name: _Variant(
            np.array([loss for loss, _ in rows], dtype=np.float64),
            np.array([right for _, right in rows], dtype=np.int64),
        )
        for name, rows in found.items()
    }


def _add_losses(
    outcome: Outcome, suffix: str, losses: Floats, counted: npt.NDArray[np.bool_]
) -> None:
    units = counted.astype(np.int64)
    outcome.columns[f"loss_nats{suffix}"] = losses.tolist()
    outcome.columns[f"num_units{suffix}"] = units.tolist()
    if counted.any():
        outcome.add(f"perplexity{suffix}", np.stack([losses, units], axis=1), perplexity)
