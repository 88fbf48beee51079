"""LAMBADA: the probability of a passage's last word, and whether it is the greedy one.

Variants: the whole word or its last token alone; and with a stop-word filter, under which the
word may not begin with a token that is a whole stop word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.evaluate.likelihood import Guess, Scored, guess
from pipeline.evaluate.metrics import perplexity
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.evaluate.stop_words import STOP_WORDS
from pipeline.examples import Example


def evaluate(session: Session, task: Task) -> Outcome:
    """Perplexity per last word, and accuracy by greedy choice of each of the word's tokens."""
    sequences = [_sequence(session, example) for example in task.examples]
    limit = session.context + 1
    cut = sum(len(sequence.tokens) > limit for sequence in sequences)
    sequences = [Scored(tokens[-limit:], min(scored, limit - 1)) for tokens, scored in sequences]
    guesses = guess(session, sequences, forbidden_first=stop_tokens(session))
    targets = [np.asarray(s.tokens[-s.num_scored :]) for s in sequences]
    outcome = Outcome(session, [example.id for example in task.examples])
    _add_losses(outcome, guesses)
    _add_accuracies(outcome, guesses, targets)
    outcome.protocol = {
        "unit": "the last word, after the last space",
        "greedy": "each token of the word is the most probable one given those before it",
        "stop_word_filter": f"no token that is one of {len(STOP_WORDS)} stop words",
        "context_cut_from_left": cut,
    }
    return outcome


def _sequence(session: Session, example: Example) -> Scored:
    tokens = session.tokenizer.encode(f"{example.context} {example.target}")
    boundary = len(example.context.encode())
    num_before = int(np.searchsorted(session.starts(tokens), boundary, side="left"))
    return Scored([session.start, *tokens], len(tokens) - num_before)


def stop_tokens(session: Session) -> list[int]:
    """The tokens that are, after a space, a whole stop word; in lower case or capitalised."""
    words = (f" {form}".encode() for word in STOP_WORDS for form in (word, word.capitalize()))
    ranks = session.tokenizer.ranks
    return sorted({ranks[word] for word in words if word in ranks})


def _add_losses(outcome: Outcome, guesses: list[Guess]) -> None:
    words = np.array([g.losses.sum(dtype=np.float64) for g in guesses])
    last_tokens = np.array([g.losses[-1] for g in guesses], dtype=np.float64)
    ones = np.ones_like(words)
    outcome.columns["loss_nats"] = words.tolist()
    outcome.columns["num_units"] = [1] * len(guesses)
    outcome.columns["loss_nats@last_token"] = last_tokens.tolist()
    outcome.add("perplexity", np.stack([words, ones], axis=1), perplexity)
    outcome.add("perplexity@last_token", np.stack([last_tokens, ones], axis=1), perplexity)


def _add_accuracies(
    outcome: Outcome, guesses: list[Guess], targets: list[npt.NDArray[np.int64]]
) -> None:
    variants: dict[str, list[int]] = {"": [], "@last_token": [], "@stop_word_filter": []}
    for g, target in zip(guesses, targets, strict=True):
        right = g.best == target
        variants[""].append(int(right.all()))
        variants["@last_token"].append(int(right[-1]))
        filtered = g.best_allowed == target[0] and right[1:].all()
        variants["@stop_word_filter"].append(int(filtered))
    for variant, correct in variants.items():
        outcome.columns[f"correct{variant}"] = correct
        outcome.add_mean(f"accuracy{variant}", correct)
