"""Running text: the likelihood of every token, per canonical unit of the original text.

The examples of a set follow one another as one stream, as in the published file. A token belongs
to the example in which its first byte lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.eval_sets.eval_set import Unit
from pipeline.evaluate.metrics import bits_per_unit, perplexity
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import score_text


def evaluate(session: Session, task: Task) -> Outcome:
    """Score a set raw and through its de-tokenizer, at each stride."""
    eval_set = task.eval_set
    outcome = Outcome(session, [example.id for example in task.examples])
    assert eval_set.unit is not None
    raw = [example.target for example in task.examples]
    num_units = np.array([count_units(text, eval_set.unit) for text in raw])
    texts: dict[str, list[str]] = {}
    if eval_set.detokenizer is not None:
        detokenized = [eval_set.detokenizer.detokenize(text) for text in raw]
        texts[""] = [result.text for result in detokenized]
        outcome.protocol["detokenizer"] = eval_set.detokenizer.name
        outcome.protocol["detokenizer_edits"] = sum(len(result.edits) for result in detokenized)
    texts["raw" if texts else ""] = raw
    outcome.columns["num_units"] = num_units.tolist()
    strides = session.params.strides
    for text_variant, pieces in texts.items():
        for stride in strides:
            losses = losses_by_example(session, pieces, stride=stride)
            stride_variant = f"stride_{stride}" if stride != strides[0] else ""
            _add(outcome, eval_set.metrics[0], text_variant, stride_variant, losses)
    outcome.protocol |= {
        "unit": eval_set.unit,
        "window": session.context,
        "stride": strides[0],
        "joined": "one stream in file order, after <|endoftext|>",
    }
    return outcome


def _add(
    outcome: Outcome,
    metric: str,
    text_variant: str,
    stride_variant: str,
    losses: npt.NDArray[np.float64],
) -> None:
    variant = "_".join(part for part in (text_variant, stride_variant) if part)
    suffix = f"@{variant}" if variant else ""
    outcome.columns[f"loss_nats{suffix}"] = losses.tolist()
    units = np.asarray(outcome.columns["num_units"], dtype=np.float64)
    statistic = perplexity if metric == "perplexity" else bits_per_unit
    outcome.add(f"{metric}{suffix}", np.stack([losses, units], axis=1), statistic)


def losses_by_example(
    session: Session, pieces: Sequence[str], *, stride: int
) -> npt.NDArray[np.float64]:
    """The loss of each piece of a stream in nats, [pieces]; they add up to the stream's."""
    tokens = session.tokenizer.encode("".join(pieces))
    losses = score_text(session, tokens, stride=stride)
    ends = np.cumsum([len(piece.encode()) for piece in pieces])
    owners = np.searchsorted(ends, session.starts(tokens), side="right")
    sums = np.bincount(owners, weights=losses, minlength=len(pieces))
    return sums.astype(np.float64)


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
