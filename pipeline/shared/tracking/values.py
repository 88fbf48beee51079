"""What MLflow is sent, in its names and units: points of curves, scores, a size's parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.params.profile import ProfileParams


class LoggedValue(NamedTuple):
    """One value of a curve or, at step 0, of a score."""

    name: str
    value: float
    tokens: int
    """Training tokens seen; MLflow's `step`, so that sizes share one axis."""


def scale(num_parameters: int | None) -> list[LoggedValue]:
    """What sizes are ordered and drawn by."""
    if num_parameters is None:
        return []
    values = {"parameters": num_parameters, "log10_parameters": math.log10(num_parameters)}
    return [LoggedValue(name, float(value), 0) for name, value in values.items()]


def scores(values: Mapping[str, float]) -> list[LoggedValue]:
    """As a table shows them, whose columns are narrow: to six significant digits."""
    return [
        LoggedValue(name, float(value if isinstance(value, int) else f"{value:.6g}"), 0)
        for name, value in values.items()
    ]


def metric_name(name: str) -> str:
    """A name that MLflow takes.

    >>> metric_name("data/small/train_perplexity@x")
    'data/small/train_perplexity_x'
    """
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)


def curve_values(point: CurvePoint, flops_per_token: float | None) -> Iterable[LoggedValue]:
    """A point of a loss curve in MLflow's names, with the FLOPs that led to it as another axis."""
    yield LoggedValue("train_loss_nats", point.train_loss, point.tokens)
    yield LoggedValue("valid_loss_nats", point.valid_loss, point.tokens)
    yield LoggedValue("scheduled_learning_rate", point.learning_rate, point.tokens)
    if flops_per_token:
        petaflops = flops_per_token * point.tokens / 1e15
        yield LoggedValue("training_petaflops", petaflops, point.tokens)


def size_params(params: ProfileParams, size: str, learning_rate: float | None) -> dict[str, str]:
    """The parameters of one size as MLflow keeps them: shape, budget, recipe, seeds.

    The rate is the peak's; what the schedule makes of it is a curve.
    """
    shape = params.models[size].model_dump() | {"vocab_size": params.tokenize.vocab_size}
    values = shape | params.train.model_dump()
    values |= {f"seed_{name}": seed for name, seed in params.seeds.model_dump().items()}
    if learning_rate is not None:
        values["peak_learning_rate"] = learning_rate
    return {name: str(value) for name, value in values.items()}
