"""Rules that choose a learning rate, replayed on trainings whose every end is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pipeline.shared.params.profile import ProfileParams
from pipeline.tune.search import Comparison, Trial, search

SHORT = 0.25  # length of the trials of a rival, as a part of the training
_HORIZON = 0.3  # the best rate falls about with tokens ** -0.3


class Outcome(NamedTuple):
    """What one training came to; no curve and an infinite perplexity where it diverged."""

    curve: Mapping[int, float]
    """Tokens -> held-out loss in nats per token."""
    test_perplexity: float

    def loss_at(self, tokens: int) -> float:
        """The held-out loss on the way."""
        return self.curve.get(tokens, math.inf)

    @property
    def last_loss(self) -> float:
        """The held-out loss at the end."""
        return self.curve[max(self.curve)] if self.curve else math.inf


class Case(NamedTuple):
    """One size and seed."""

    size: str
    seed: int
    full: Mapping[float, Outcome]
    """By rate: trainings of the whole budget."""
    short: Mapping[float, Outcome] = MappingProxyType({})
    """By rate: complete trainings of `SHORT` of it, if there are any."""

    @property
    def best_perplexity(self) -> float:
        """Of the best rate of the grid."""
        return min(outcome.test_perplexity for outcome in self.full.values())


class Choice(NamedTuple):
    """What a rule came to."""

    rate: float
    cost: float
    """Tokens trained beside those of the training that is kept, in trainings."""


def halve(params: ProfileParams, comparisons: Sequence[Comparison], case: Case) -> Choice:
    """The tune stage's own search.

    Raises:
        KeyError: it asks for a rate that the grid lacks: name more of them.
    """
    batch_tokens = params.train.batch_tokens

    def run_to(rate: float, step: int) -> Trial:
        tokens = step * batch_tokens
        return Trial(rate, tokens, case.full[rate].loss_at(tokens))

    found = search(
        params.tune.learning_rates,
        comparisons,
        run_to,
        max_extensions=params.tune.max_extensions,
    )
    best = found.ranking[0].learning_rate
    reached = {trial.learning_rate: trial.tokens for trial in found.trials}
    lost = sum(tokens for rate, tokens in reached.items() if rate != best)
    return Choice(best, lost / params.train.tokens)


def stop_at(case: Case, part: float) -> Choice:
    """All rates up to a part of the training; the best goes on."""
    points = sorted({tokens for outcome in case.full.values() for tokens in outcome.curve})
    tokens = min(points, key=lambda point: abs(point - part * points[-1]))
    best = min(case.full, key=lambda rate: (case.full[rate].loss_at(tokens), rate))
    return Choice(best, (len(case.full) - 1) * tokens / points[-1])


def short_trainings(case: Case, *, corrected: bool) -> Choice:
    """Complete short trainings; `corrected` for the longer horizon, to the nearest of the grid."""
    best = min(case.short, key=lambda rate: (case.short[rate].last_loss, rate))
    if corrected:
        wanted = math.log(best * SHORT**_HORIZON)
        best = min(case.full, key=lambda rate: abs(math.log(rate) - wanted))
    return Choice(best, len(case.short) * SHORT)


def table_of_rules(
    params: ProfileParams, comparisons: Sequence[Comparison], cases: Sequence[Case]
) -> str:
    """Each rule's cost and excess over the best, as Markdown."""
    grid = sorted(cases[0].full)
    rules = {
        f"the stage: {len(params.tune.learning_rates)} rates, compared at "
        f"{params.tune.compare_at}, {params.tune.keep} go on": [
            halve(params, comparisons, case) for case in cases
        ],
        **{
            f"{len(grid)} rates up to {part:.0%}, the best goes on": [
                stop_at(case, part) for case in cases
            ]
            for part in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
        },
    }
    if all(case.short for case in cases):
        rules |= {
            f"{len(grid)} complete trainings of {SHORT:.0%}": [
                short_trainings(case, corrected=False) for case in cases
            ],
            f"the same, rate times {SHORT**_HORIZON:.2f} for the longer horizon": [
                short_trainings(case, corrected=True) for case in cases
            ],
        }
    lines = ["| rule | cost, trainings | worst excess | mean excess |", "|---|---|---|---|"]
    for name, choices in rules.items():
        excess = [
            case.full[choice.rate].test_perplexity / case.best_perplexity - 1
            for case, choice in zip(cases, choices, strict=True)
        ]
        cost = sum(choice.cost for choice in choices) / len(choices)
        mean = sum(excess) / len(excess)
        lines.append(f"| {name} | {cost:.2f} | {max(excess):.2%} | {mean:.2%} |")
    return "\n".join(lines)


def table_of_cases(
    params: ProfileParams, comparisons: Sequence[Comparison], cases: Sequence[Case]
) -> str:
    """Test perplexity by size, seed and rate, as Markdown; the search's choice in bold."""
    rates = sorted(cases[0].full)
    lines = [
        f"| size | seed | {' | '.join(f'{rate:g}' for rate in rates)} |",
        "|---" * (len(rates) + 2) + "|",
    ]
    for case in cases:
        chosen = halve(params, comparisons, case).rate
        cells = [
            f"**{case.full[rate].test_perplexity:.2f}**"
            if rate == chosen
            else f"{case.full[rate].test_perplexity:.2f}"
            for rate in rates
        ]
        lines.append(f"| {case.size} | {case.seed} | {' | '.join(cells)} |")
    return "\n".join(lines)
