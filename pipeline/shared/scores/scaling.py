"""What a few sizes say of scale: steps, the slope of a power law, a floor; each with its interval.

Arithmetic alone, no files. A loss is in nats per token, i.e. the logarithm of perplexity, and all
sizes are compared on equal draws of documents: what the documents share cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.scores.bootstrap import interval

Floats = npt.NDArray[np.float64]
TRAINING_NOISE_NATS = 0.01
"""What another seed would change in a loss, as assumed where there is one: 1 % of perplexity."""
_DRAWS_AT_ONCE = 64
_EXPONENTS = (0.01, 4.0)  # of the law with a floor; at the ends it is a straight line or one drop
_LEAST_POINTS = 4  # three numbers are fitted, and one point must be left to contradict them


class Estimate(NamedTuple):
    """A number and its 95 % interval; the ends are not a number where it has none."""

    value: float
    low: float
    high: float


class Losses(NamedTuple):
    """Mean loss by size, in nats per token, and what it is on draws of the documents."""

    mean: Floats
    """[sizes]"""
    draws: Floats
    """[samples, sizes]; a row is one draw, the same for every size."""


class Floor(NamedTuple):
    """loss = floor + scale * parameters ** -exponent."""

    floor: Estimate
    """Nats per token that no size would go below, if the law went on."""
    scale: float
    exponent: float


def draw_losses(nats: Floats, tokens: Floats, *, samples: int, seed: int) -> Losses:
    """Draw documents with replacement, crossed with replicates where there are any.

    `nats` is the loss of each document, [documents, sizes] or [replicates, documents, sizes];
    `tokens` [documents] is how many tokens each has. One draw takes the same documents in every
    replicate. Trainings are few, so that drawing them like documents would give an interval that
    is too narrow: their mean is drawn from Student's distribution instead, with one degree of
    freedom fewer than there are replicates, and with what sizes share of a seed kept. The same
    seed draws the same documents, and pairs the replicates of two cubes of as many.
    """
    cube = np.asarray(nats, dtype=np.float64)
    cube = cube[np.newaxis] if cube.ndim == 2 else cube
    num_documents = cube.shape[1]
    even = np.full(num_documents, 1 / num_documents)
    documents, trainings = np.random.default_rng(seed), np.random.default_rng([seed, len(cube)])
    draws: list[Floats] = []
    for done in range(0, samples, _DRAWS_AT_ONCE):
        count = min(_DRAWS_AT_ONCE, samples - done)
        times_drawn = documents.multinomial(num_documents, even, count)
        weights = _weigh_replicates(trainings, count, len(cube))
        sums = np.stack([times_drawn @ of_one for of_one in cube], axis=1)
        per_token = np.einsum("cr,crs->cs", weights, sums)
        draws.append(per_token / (times_drawn @ tokens)[:, np.newaxis])
    return Losses(cube.mean(axis=0).sum(axis=0) / np.sum(tokens), np.concatenate(draws))


def _weigh_replicates(generator: np.random.Generator, draws: int, count: int) -> Floats:
    """Weights [draws, count] that sum to 1 and under which a mean is Student-distributed."""
    if count == 1:
        return np.ones((draws, 1))
    normal = generator.normal(size=(draws, count))
    scale = np.sqrt((count - 1) / generator.chisquare(count - 1, size=(draws, 1)))
    deviations = normal - normal.mean(axis=1, keepdims=True)
    return np.asarray(1 / count + scale * deviations / np.sqrt(count * (count - 1)))


def with_training_noise(losses: Losses, nats: float, *, seed: int) -> Losses:
    """Draws with a noise of trainings that one training a size cannot show, apart for each size.

    `nats` is its standard deviation: 0.01 is a hundredth of perplexity.
    """
    noise = np.random.default_rng([seed, 2]).normal(0.0, nats, losses.draws.shape)
    return Losses(losses.mean, losses.draws + noise)


def estimate(value: float, draws: Floats) -> Estimate:
    """A value with the 2.5 and 97.5 percentiles of its draws, by the rule of evaluate's intervals.

    Draws that are all the same tell nothing of how far another sample would lie.
    """
    return Estimate(float(value), *(interval(draws) or (math.nan, math.nan)))


def differences(larger: Losses, smaller: Losses) -> Losses:
    """By size, the first's losses minus the second's: the gap between test and train, say.

    The two are draws of documents of their own, made with different seeds.
    """
    return Losses(larger.mean - smaller.mean, larger.draws - smaller.draws)


def of_size(losses: Losses, place: int) -> Estimate:
    """The loss of one size, or the gap where `losses` are differences."""
    return estimate(losses.mean[place], losses.draws[:, place])


def change(losses: Losses, start: int, end: int) -> Estimate:
    """Loss of one size minus that of another, on equal draws; below zero it falls."""
    value = losses.mean[end] - losses.mean[start]
    return estimate(value, losses.draws[:, end] - losses.draws[:, start])


def step_ratio(losses: Losses, smaller: int, larger: int) -> Estimate:
    """Perplexity of one size over that of another, on equal draws; above 1 it falls."""
    value, low, high = (float(np.exp(x)) for x in change(losses, larger, smaller))
    return Estimate(value, low, high)


def power_law(parameters: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept of the loss over ln(parameters), by least squares.

    `losses` is [sizes] or [draws, sizes]; any count of parameters will do, all of them or those
    without the embedding. Perplexity goes with parameters to the power of the slope.

    >>> slope, intercept = power_law(np.array([10.0, 1000.0]), np.log([200.0, 20.0]))
    >>> round(float(slope), 4), round(float(np.exp(intercept)), 4)
    (-0.5, 632.4555)
    """
    places = np.log(parameters)
    centred = places - places.mean()
    slopes = np.asarray(losses) @ centred / (centred @ centred)
    return slopes, np.mean(losses, axis=-1) - slopes * places.mean()


def slope(parameters: Floats, losses: Losses) -> Estimate:
    """The exponent of perplexity in parameters, with its interval; two sizes at least."""
    value, _ = power_law(parameters, losses.mean)
    draws, _ = power_law(parameters, losses.draws)
    return estimate(float(value), draws)


def fit_floor(parameters: Floats, losses: Losses) -> Floor | str:
    """Chinchilla's law for one budget, loss = E + A N^-alpha, or in words why it cannot be told.

    It can be told where at least one point more than its three numbers is there, the loss falls at
    every step, the floor is above zero on 97.5 % of the draws, and no single size decides whether
    there is a floor. The interval holds what the draws give and what one size fewer would give.
    Without replicates the draws know nothing of the noise of a training: `with_training_noise`
    adds it.
    """
    if len(parameters) < _LEAST_POINTS:
        return (
            f"a floor, a scale and an exponent need {_LEAST_POINTS} sizes at least, one more than "
            f"there are numbers; there are {len(parameters)}"
        )
    if not np.all(np.diff(losses.mean[np.argsort(parameters)]) < 0):
        return "the loss does not fall at every step"
    floors, scales, exponents = _fit(parameters, losses.mean[np.newaxis])
    if floors[0] <= 0:
        return "the loss does not flatten with size: the best fit has no floor above zero"
    drawn, *_ = _fit(parameters, losses.draws)
    ends = np.percentile(np.maximum(drawn, 0.0), [2.5, 97.5])
    found = Estimate(float(floors[0]), *map(float, ends))
    if found.low <= 0:
        return (
            f"within the noise it may be anything from 0 to {found.high:.2f} nats: a law without "
            "one does as well"
        )
    fewer = [_without(parameters, losses.mean, place) for place in range(len(parameters))]
    if min(fewer) <= 0:
        return (
            f"it hangs on one size: {found.value:.2f} nats with all of them, none above zero "
            f"without size {fewer.index(min(fewer)) + 1} of {len(fewer)}"
        )
    hull = Estimate(found.value, min(found.low, *fewer), max(found.high, *fewer))
    return Floor(hull, float(scales[0]), float(exponents[0]))


def fit_floors(
    parameters: Mapping[str, Floats], losses: Losses, *, trainings: int, seed: int
) -> dict[str, Floor | str]:
    """The floor by the way to count parameters, or in words why it cannot be told.

    `trainings` is how many of each size the losses are the mean of: draws of one alone know nothing
    of the noise of a training, and an assumed one is added. Floors that contradict one another are
    not told.
    """
    if trainings == 1:
        losses = with_training_noise(losses, TRAINING_NOISE_NATS, seed=seed)
    return _agreed({count: fit_floor(n, losses) for count, n in parameters.items()})


def _agreed(floors: dict[str, Floor | str]) -> dict[str, Floor | str]:
    """The floors, unless they contradict one another: a loss does not know how we count."""
    told = [found.floor for found in floors.values() if isinstance(found, Floor)]
    if len(told) < len(floors) or all(f.low <= g.value <= f.high for f in told for g in told):
        return floors
    values = " and ".join(
        f"{floor.value:.2f} ({name})" for name, floor in zip(floors, told, strict=True)
    )
    reason = f"it depends on which parameters are counted: {values}, beyond their intervals"
    return dict.fromkeys(floors, reason)


def _without(parameters: Floats, mean: Floats, place: int) -> float:
    floors, *_ = _fit(np.delete(parameters, place), np.delete(mean, place)[np.newaxis])
    return float(floors[0])


def _fit(parameters: Floats, losses: Floats) -> tuple[Floats, Floats, Floats]:
    """Floor, scale and exponent of each row of `losses` [rows, sizes], by least squares.

    For a given exponent the law is a straight line in N^-alpha, so that only the exponent is
    searched for: on a grid that closes in on each row's best one.
    """
    first = parameters.min()
    grid = np.geomspace(*_EXPONENTS, 121)
    spacing = grid[1] / grid[0]
    best = np.full(len(losses), 1.0)
    grids = np.tile(grid, (len(losses), 1))
    for _ in range(5):
        errors, floors, scales = _lines(parameters / first, losses, grids)
        chosen = errors.argmin(axis=1)
        rows = np.arange(len(losses))
        best = grids[rows, chosen]
        found = floors[rows, chosen], scales[rows, chosen] * first**best
        steps = np.geomspace(1 / spacing, spacing, 41)
        grids = np.clip(best[:, np.newaxis] * steps, *_EXPONENTS)
        spacing = steps[1] / steps[0]
    return *found, best


def _lines(sizes: Floats, losses: Floats, exponents: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared error, intercept and slope over sizes^-exponent, each [rows, exponents]."""
    x = sizes ** -exponents[..., np.newaxis]  # [rows, exponents, sizes]
    x_mean = x.mean(axis=-1)
    y_mean = losses.mean(axis=1)[:, np.newaxis]
    centred_x, centred_y = x - x_mean[..., np.newaxis], losses - y_mean
    slopes = np.einsum("res,rs->re", centred_x, centred_y) / (centred_x**2).sum(axis=-1)
    left = centred_y[:, np.newaxis] - slopes[..., np.newaxis] * centred_x
    return (left**2).sum(axis=-1), y_mean - slopes * x_mean, slopes
