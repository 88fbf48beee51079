"""Do the models still underfit? The paper's sentence, held against this study's numbers.

"All models still underfit WebText and held-out perplexity has as of yet improved given more
training time." Three things bear on it: whether a larger model still finds more in the training
text, whether what it finds holds for unseen text as well, and whether the held-out loss had stopped
falling when training ended. The last is the weakest: the rate falls to its end, too, and a falling
rate lowers the loss by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from pipeline.report.losses import SizedLosses
from pipeline.report.markup import between
from pipeline.shared.scores.scaling import Estimate, change, of_size, power_law

_FORM = "+.3f"
_LEAST_POINTS = 4  # of a straight line and its noise
_END = 0.75  # of the tokens: the end of training begins here


class CurveEnd(NamedTuple):
    """The held-out loss over the last part of one training."""

    slope: Estimate
    """Nats per token for each doubling of the tokens; the interval is the line's own noise."""
    share: float
    """Of the training's tokens, the part that the line is drawn through."""
    rate_from: float
    """Learning rate where the line begins, as a part of the greatest of the curve."""
    rate_to: float


class Verdict(NamedTuple):
    """What this study says of the paper's sentence."""

    kind: str
    """holds, in part, fails or open."""
    sentence: str
    reasons: list[str]


def curve_end(curve: pd.DataFrame) -> CurveEnd | None:
    """A straight line through the last held-out losses over the logarithm of tokens.

    Those of the last quarter of the tokens, or the last four where they are fewer and lie in the
    second half; None where even those are not there.
    """
    points = curve.dropna(subset=["valid_loss"]).sort_values("tokens")
    if points.empty:
        return None
    tokens = points["tokens"].to_numpy(dtype=float)
    last = tokens[-1]
    taken = max(int((tokens >= _END * last).sum()), _LEAST_POINTS)
    if taken > len(tokens) or tokens[-taken] < last / 2:
        return None
    losses = points["valid_loss"].to_numpy(dtype=float)[-taken:]
    rates = points["learning_rate"].to_numpy(dtype=float)[-taken:] / curve["learning_rate"].max()
    line = _line(tokens[-taken:], losses)
    return CurveEnd(line, 1 - tokens[-taken] / last, float(rates[0]), float(rates[-1]))


def _line(tokens: np.ndarray, losses: np.ndarray) -> Estimate:
    slope, intercept = (float(x) for x in power_law(tokens, losses))
    places = np.log(tokens)
    left = losses - intercept - slope * places
    freedom = len(losses) - 2
    spread = ((places - places.mean()) ** 2).sum()
    error = math.sqrt(float((left**2).sum()) / freedom / float(spread))
    wide = float(student.ppf(0.975, freedom)) * error
    values = (math.log(2) * (slope + wide * side) for side in (0, -1, 1))
    return Estimate(*values)


def judge(
    splits: dict[str, SizedLosses],
    gap: SizedLosses,
    gap_by_byte: SizedLosses,
    ends: dict[str, CurveEnd | None],
    labels: Mapping[str, str],
) -> Verdict:
    """The verdict, from losses by split, the gaps between them and the ends of the curves.

    The sizes of `ends` are those of the study; `labels` has what they are called.
    """
    sizes = list(ends)
    if len(sizes) < 2:
        return Verdict("open", "Whether the models still underfit cannot be told from one size: "
                       "it takes a larger one to show what this one left.", [])  # fmt: skip
    if any(losses.sizes != sizes for losses in (*splits.values(), gap)):
        return Verdict("open", "Whether the models still underfit cannot be told: not every size "
                       "was measured on both splits.", [])  # fmt: skip
    steps = {
        split: [change(sized.losses, n, n + 1) for n in range(len(sizes) - 1)]
        for split, sized in splits.items()
    }
    growth = change(gap.losses, 0, len(sizes) - 1)
    names = [labels[size] for size in sizes]
    gap, gap_by_byte = gap._replace(sizes=names), gap_by_byte._replace(sizes=names)
    ends = dict(zip(names, ends.values(), strict=True))
    rising = [name for name, end in ends.items() if end and end.slope.low > 0]
    reasons = [
        _say_train(names, steps["train"]),
        _say_gap(gap, gap_by_byte),
        _say_growth(splits, growth),
        *_say_ends(ends),
    ]
    worse = [n for n, step in enumerate(steps["test"]) if step.low > 0]
    kind = _kind(steps, growth, rising, ends)
    return Verdict(kind, _say(kind, names, worse, rising), reasons)


def _kind(
    steps: dict[str, list[Estimate]],
    growth: Estimate,
    rising: list[str],
    ends: dict[str, CurveEnd | None],
) -> str:
    if rising or any(step.low > 0 for step in steps["test"]):
        return "fails"
    falls = all(step.high < 0 for split in steps.values() for step in split)
    falling = all(end is not None and end.slope.high < 0 for end in ends.values())
    if falls and falling:
        return "in part" if growth.low > 0 else "holds"
    return "open"


def _say(kind: str, sizes: list[str], worse: list[int], rising: list[str]) -> str:
    if kind == "holds":
        return (
            "As in the paper, nothing here has stopped underfitting: every larger model fits the "
            "training text better, unseen text gains no less beyond the interval, and held-out "
            "loss fell to the end."
        )
    if kind == "in part":
        return (
            "As in the paper, larger models still gain on unseen text and held-out loss fell to "
            "the end; but a part of what size gains holds for the trained documents alone."
        )
    if kind == "fails":
        steps = [f"from {sizes[n]} to {sizes[n + 1]} unseen text gets harder" for n in worse]
        curves = [f"held-out loss of {size} was rising when its training ended" for size in rising]
        return f"Unlike in the paper, not all models underfit: {'; '.join(steps + curves)}."
    return (
        "Whether the models still underfit, as the paper's do, stays open: not every sign is "
        "beyond its noise."
    )


def _say_train(sizes: list[str], steps: list[Estimate]) -> str:
    clear = [n for n, step in enumerate(steps) if step.high < 0]
    fitted = f"{len(clear)} of {len(steps)} steps to a larger model lower the loss on the trained "
    left = ": on the same tokens the smaller one had left that much unlearned" if clear else ""
    return (
        f"{fitted}documents beyond the chance of documents{left}. Nothing larger than {sizes[-1]} "
        f"was trained, so of {sizes[-1]} only the gap and the curve can tell."
    )


def _say_gap(gap: SizedLosses, gap_by_byte: SizedLosses) -> str:
    """The level of the gap; it is of the documents, too, where tokens and bytes do not agree."""
    last = len(gap.sizes) - 1
    found, by_byte = of_size(gap.losses, last), of_size(gap_by_byte.losses, last)
    bits = Estimate(*(x / math.log(2) for x in by_byte))
    clear, clear_by_byte = _which_side(gap), _which_side(gap_by_byte)
    said = (
        f"The gap, test loss minus train loss per token, is {clear}. For {gap.sizes[-1]} it is "
        f"{found.value:+.3f} nats ({between(found.low, found.high, _FORM)}), or {bits.value:+.3f} "
        f"bits per byte of text ({between(bits.low, bits.high, _FORM)})."
    )
    if clear == clear_by_byte:
        return said
    return (
        f"{said} Per byte it is {clear_by_byte}: the tokens of the two samples differ in length, "
        "so that a part of the gap may be of the documents and not of the training."
    )


def _which_side(gap: SizedLosses) -> str:
    found = {size: of_size(gap.losses, n) for n, size in enumerate(gap.sizes)}
    above = [size for size, value in found.items() if value.low > 0]
    below = [size for size, value in found.items() if value.high < 0]
    sides = [f"above zero beyond its interval for {', '.join(above)}"] if above else []
    sides += [f"below zero beyond its interval for {', '.join(below)}"] if below else []
    return " and ".join(sides) or "within its interval of zero for every size"


def _say_growth(splits: dict[str, SizedLosses], growth: Estimate) -> str:
    last = len(splits["test"].sizes) - 1
    falls = {split: -change(sized.losses, 0, last).value for split, sized in splits.items()}
    numbers = f"by {growth.value:+.3f} nats ({between(growth.low, growth.high, _FORM)})"
    if growth.low > 0:
        said = f"The gap grows with size {numbers}"
    elif growth.high < 0:
        said = f"The gap shrinks with size {numbers}"
    else:
        said = f"The gap does not change with size beyond its interval: {numbers}"
    return (
        f"{said}; on the same documents, so that what these are like cancels out. From the "
        f"smallest to the largest model, train loss falls by {falls['train']:.3f} nats and test "
        f"loss by {falls['test']:.3f}."
    )


def _say_ends(ends: dict[str, CurveEnd | None]) -> list[str]:
    known = {size: end for size, end in ends.items() if end}
    said = []
    if missing := [size for size in ends if size not in known]:
        said.append(
            f"Of {', '.join(missing)} the curve has fewer than {_LEAST_POINTS} held-out losses in "
            "the second half of the training: its end cannot be judged."
        )
    if known:
        lines = [
            f"{size} {end.slope.value:+.3f} ({end.slope.low:+.3f} to {end.slope.high:+.3f})"
            for size, end in known.items()
        ]
        widest = max(known.values(), key=lambda end: end.share)
        said.append(
            f"Over the last {100 * widest.share:.0f} % of the tokens, held-out loss changed by so "
            f"many nats for each doubling of tokens: {', '.join(lines)}. Meanwhile the learning "
            f"rate fell from {100 * widest.rate_from:.0f} % to {100 * widest.rate_to:.0f} % of its "
            "highest, and a falling rate lowers the loss by itself: a fall shows that "
            "training had not begun to hurt, not what more tokens would bring. Two budgets show "
            "that (python -m pipeline.compare)."
        )
    return said
