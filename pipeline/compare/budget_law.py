"""L(N, D) = E + A / N^alpha + B / D^beta: Chinchilla's form over sizes and budgets.

Fitted as there (Hoffmann et al. 2022, approach 3): Huber loss of 1e-3 on the logarithm of the loss,
L-BFGS from several starts, the best end taken. For given exponents the law is linear in E, A and B,
so that a grid of exponents costs one product of matrices, and its best places are the starts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from pipeline.shared.scores.scaling import Estimate, Floats, Losses, estimate

LEAST_LEVELS = 3
LEAST_RUNS = 7
_HUBER = 1e-3
_MOST_EXPONENT = 3.0
_REFITS = 100
_GRID = np.geomspace(0.02, 2.5, 24)  # of either exponent
_STARTS = 2
_NO_FLOOR = 1e-3  # of the least loss: starts below zero are set to a tenth of that


class BudgetLaw(NamedTuple):
    """The five numbers, in nats per token for parameters N and training tokens D."""

    floor: Estimate
    """E: what neither size nor tokens bring down."""
    scale_of_size: float
    alpha: Estimate
    scale_of_tokens: float
    beta: Estimate
    optimal_share: Estimate
    """beta / (alpha + beta): the best N for compute C = 6ND grows as C to this power."""
    largest_error: float
    """Of the fit, as a part of the loss."""
    num_runs: int

    def loss(self, parameters: float, tokens: float) -> float:
        """Nats per token that the law gives."""
        of_size = self.scale_of_size * parameters**-self.alpha.value
        of_tokens = self.scale_of_tokens * tokens**-self.beta.value
        return float(self.floor.value + of_size + of_tokens)


def why_not(parameters: Floats, tokens: Floats) -> str:
    """Why runs of these sizes and budgets cannot tell L(N, D); empty where they can.

    With two budgets E, B and beta are three numbers behind one difference, whatever it is; the
    same holds for two sizes. Five numbers fit five runs whether the law holds or not.
    """
    sizes, budgets, runs = (len(np.unique(x)) for x in (parameters, tokens, range(len(tokens))))
    if sizes >= LEAST_LEVELS and budgets >= LEAST_LEVELS and runs >= LEAST_RUNS:
        return ""
    return (
        f"L(N, D) has five numbers and needs {LEAST_LEVELS} sizes, {LEAST_LEVELS} budgets and "
        f"{LEAST_RUNS} runs at least, so that two runs are left to contradict it; there are "
        f"{sizes} sizes, {budgets} budgets and {runs} runs. What is missing cannot be told: with "
        "one budget not what more tokens would do, with two not whether they have an end"
    )


def fit_budgets(parameters: Floats, tokens: Floats, losses: Losses) -> BudgetLaw | str:
    """The law and its intervals, or in words why it cannot be told.

    `parameters` and `tokens` are [runs], the columns of `losses` are the runs. The intervals refit
    the first 100 of its draws.
    """
    if reason := why_not(parameters, tokens):
        return reason
    sizes, budgets = np.log(parameters), np.log(tokens)
    centre = sizes.mean(), budgets.mean()
    fit = _Fit(sizes - centre[0], budgets - centre[1])
    best = fit.best(np.log(losses.mean), fit.starts(losses.mean))
    drawn = np.stack([
        fit.best(np.log(draw), [best, *fit.starts(draw)]) for draw in losses.draws[:_REFITS]
    ])
    if reason := _at_a_bound(drawn, losses.mean):
        return reason
    a, alpha, b, beta, e = best
    share = drawn[:, 3] / np.maximum(drawn[:, 1] + drawn[:, 3], 1e-9)
    return BudgetLaw(
        floor=estimate(float(np.exp(e)), np.exp(drawn[:, 4])),
        scale_of_size=float(np.exp(a + alpha * centre[0])),
        alpha=estimate(alpha, drawn[:, 1]),
        scale_of_tokens=float(np.exp(b + beta * centre[1])),
        beta=estimate(beta, drawn[:, 3]),
        optimal_share=estimate(beta / max(alpha + beta, 1e-9), share),
        largest_error=float(np.abs(np.expm1(fit.errors(best, np.log(losses.mean)))).max()),
        num_runs=len(parameters),
    )


def _at_a_bound(drawn: Floats, losses: Floats) -> str:
    """Why refits [draws, numbers] leave the law open: an end of an interval is a bound of the fit.

    There the numbers are not the data's but the search's.
    """
    floor = np.percentile(np.exp(drawn[:, 4]), [2.5, 97.5])
    if floor[0] < _NO_FLOOR * losses.min():
        return (
            f"within the noise E is anything from 0 to {floor[1]:.2f} nats: a law without an end "
            "does as well"
        )
    for name, place, what in (("alpha", 1, "sizes"), ("beta", 3, "budgets")):
        low, high = np.percentile(drawn[:, place], [2.5, 97.5])
        if low < _GRID[0] / 2 or high > 0.99 * _MOST_EXPONENT:
            return (
                f"within the noise {name} is anything from {low:.2f} to {high:.2f}, where the "
                f"search ends at 0 and {_MOST_EXPONENT:g}: these {what} do not tell it"
            )
    return ""


class _Fit:
    """The law in logarithms: ln L = ln sum exp(a - alpha n, b - beta d, e), n and d centred."""

    def __init__(self, sizes: Floats, budgets: Floats) -> None:
        self._sizes, self._budgets = sizes, budgets

        alphas, betas = (grid.ravel() for grid in np.meshgrid(_GRID, _GRID))
        self._grid = np.stack([alphas, betas], axis=1)
        decays = -alphas[:, np.newaxis] * sizes, -betas[:, np.newaxis] * budgets
        # [exponents, runs, (A, B, E)]
        self._designs = np.stack([*map(np.exp, decays), np.ones_like(decays[0])], axis=-1)
        self._inverses = np.linalg.pinv(self._designs)

    def starts(self, losses: Floats) -> list[Floats]:
        """The best places of the grid by least squares, with A, B and E kept above zero."""
        scales = np.maximum(self._inverses @ losses, 1e-4 * losses.min())
        errors = ((self._designs @ scales[..., np.newaxis])[..., 0] - losses) ** 2
        places = np.argsort(errors.sum(axis=1))[:_STARTS]
        return [
            np.array([a, alpha, b, beta, e])
            for (alpha, beta), (a, b, e) in zip(
                self._grid[places], np.log(scales[places]), strict=True
            )
        ]

    def best(self, log_losses: Floats, starts: list[Floats]) -> Floats:
        """The lowest end of all starts."""
        bounds: list[tuple[float | None, float | None]] = [
            (None, None),
            (0, _MOST_EXPONENT),
            (None, None),
            (0, _MOST_EXPONENT),
        ]
        bounds += [(-12.0, None)]
        options = {"maxiter": 300, "ftol": 1e-11, "gtol": 1e-6}
        ends = [
            minimize(
                self._objective,
                start,
                args=(log_losses,),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options=options,
            )
            for start in starts
        ]
        return np.asarray(min(ends, key=lambda end: float(end.fun)).x)

    def errors(self, numbers: Floats, log_losses: Floats) -> Floats:
        """The logarithm of the law less that of the loss, [runs]."""
        return np.asarray(np.logaddexp.reduce(self._terms(numbers), axis=0) - log_losses)

    def _terms(self, numbers: Floats) -> Floats:
        a, alpha, b, beta, e = numbers
        flat = np.full_like(self._sizes, e)
        return np.stack([a - alpha * self._sizes, b - beta * self._budgets, flat])

    def _objective(self, numbers: Floats, log_losses: Floats) -> tuple[float, Floats]:
        terms = self._terms(numbers)
        total = np.logaddexp.reduce(terms, axis=0)  # scipy's costs ten times as much
        shares = np.exp(terms - total)  # d total / d term
        errors = total - log_losses
        small = np.abs(errors) <= _HUBER
        huber = np.where(small, errors**2 / 2, _HUBER * (np.abs(errors) - _HUBER / 2))
        pull = np.clip(errors, -_HUBER, _HUBER)
        by_term = (shares * pull).sum(axis=1)
        by_alpha = -(shares[0] * self._sizes * pull).sum()
        by_beta = -(shares[1] * self._budgets * pull).sum()
        slopes = np.array([by_term[0], by_alpha, by_term[1], by_beta, by_term[2]])
        scale = 1 / _HUBER**2  # else the differences are too small for the stopping rules
        return float(huber.sum() * scale), slopes * scale
