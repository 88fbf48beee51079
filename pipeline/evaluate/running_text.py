"""Running text: the likelihood of every token, per canonical unit of the original text.

The examples of a set follow one another as one stream, as in the published file. A token belongs
to the example in which its first byte lies. Variants: the raw text, other strides, other units.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from pipeline.eval_sets.eval_set import EvalSet, Unit
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import score_text_at
from pipeline.shared.scores.bootstrap import Floats, Statistic
from pipeline.shared.scores.metrics import bits_per_unit, perplexity


class Stream(NamedTuple):
    """What the tokens of a stream of texts cost, text by text."""

    losses: dict[int, Floats]
    """Stride -> nats of each text, [texts]."""
    num_tokens: Floats
    """[texts]"""


def evaluate(session: Session, task: Task) -> Outcome:
    """Score a set raw and through its de-tokenizer, at each stride, per unit."""
    eval_set, strides = task.eval_set, session.params.strides
    assert eval_set.unit is not None
    outcome = Outcome.of(session, task, task.examples)
    raw = [example.target for example in task.examples]
    texts: dict[str, list[str]] = {}
    if eval_set.detokenizer is not None:
        detokenized = [eval_set.detokenizer.detokenize(text) for text in raw]
        texts[""] = [result.text for result in detokenized]
        outcome.protocol["detokenizer"] = eval_set.detokenizer.name
        outcome.protocol["detokenizer_edits"] = sum(len(result.edits) for result in detokenized)
    texts["raw" if texts else ""] = raw
    units = {unit: [count_units(text, unit) for text in raw] for unit in _TEXT_UNITS}
    outcome.columns["num_units"] = units[eval_set.unit]
    outcome.columns |= {f"num_{unit}s": counts for unit, counts in units.items()}
    metrics: dict[str, Statistic] = {}
    for text_variant, pieces in texts.items():
        stream = score_stream(session, pieces, strides=strides)
        outcome.columns[f"num_tokens{_suffix(text_variant)}"] = stream.num_tokens.tolist()
        for stride in strides:
            variant = (text_variant, f"stride_{stride}" if stride != strides[0] else "")
            outcome.columns[f"loss_nats{_suffix(*variant)}"] = stream.losses[stride].tolist()
            metrics |= _metrics(eval_set, list(outcome.columns), *variant)
    table = np.array(list(outcome.columns.values()), dtype=np.float64).T
    outcome.add_together(table, metrics)
    outcome.protocol |= {
        "unit": eval_set.unit,
        "words": "what white space separates, and one for the end of each line",
        "window": session.context,
        "stride": strides[0],
        "joined": "one stream in file order, after <|endoftext|>",
    }
    return outcome


_TEXT_UNITS: tuple[Unit, ...] = ("word", "byte", "character")
"""Units of the published text; tokens are those of the text as it is read."""


def _suffix(*variant: str) -> str:
    """What a variant adds to the name of a metric or column."""
    name = "_".join(part for part in variant if part)
    return f"@{name}" if name else ""


def _metrics(
    eval_set: EvalSet, columns: list[str], text_variant: str, stride_variant: str
) -> dict[str, Statistic]:
    """The set's own metric, and perplexity per every other unit, as functions of column sums."""
    loss = columns.index(f"loss_nats{_suffix(text_variant, stride_variant)}")
    main = eval_set.metrics[0]
    statistic = perplexity if main == "perplexity" else bits_per_unit
    found: dict[str, Statistic] = {
        f"{main}{_suffix(text_variant, stride_variant)}": partial(
            _of_columns, statistic, loss, columns.index("num_units")
        )
    }
    for unit in get_args(Unit):
        if main == "perplexity" and unit == eval_set.unit:
            continue
        of_tokens = f"num_tokens{_suffix(text_variant)}"
        units = columns.index(of_tokens if unit == "token" else f"num_{unit}s")
        name = f"perplexity{_suffix(text_variant, f'per_{unit}', stride_variant)}"
        found[name] = partial(_of_columns, perplexity, loss, units)
    return found


def _of_columns(statistic: Statistic, loss: int, units: int, sums: Floats) -> Floats:
    return statistic(sums[:, [loss, units]])


def score_stream(session: Session, pieces: Sequence[str], *, strides: Sequence[int]) -> Stream:
    """Losses and tokens of each piece of a stream; the losses add up to the stream's."""
    tokens, starts = session.tokenizer.place("".join(pieces))
    ends = np.cumsum([len(piece.encode()) for piece in pieces])
    owners = np.searchsorted(ends, starts, side="right")

    def add_up(weights: npt.NDArray[Any] | None) -> Floats:
        return np.bincount(owners, weights, minlength=len(pieces)).astype(np.float64)

    scored = score_text_at(session, tokens, strides=strides)
    return Stream({stride: add_up(losses) for stride, losses in scored.items()}, add_up(None))


def count_units(text: str, unit: Unit) -> int:
    r"""The canonical units of a published text.

    Words are what spaces separate, and the end of each line counts as one more.

    >>> count_units(" no it was n't \n", "word"), count_units("é a", "byte")
    (5, 4)
    """
    match unit:
        case "word":
            return len(text.split()) + text.count("\n")
        case "byte":
            return len(text.encode())
        case "character":
            return len(text)
        case "token":
            raise ValueError("tokens are not counted on text")
