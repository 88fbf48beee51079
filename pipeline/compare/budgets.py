"""L(N, D) over the groups of a comparison, where they differ in budget and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.compare.budget_law import BudgetLaw, fit_budgets, why_not
from pipeline.compare.measure import Measured
from pipeline.compare.studies import Group
from pipeline.compare.tables import COUNTS, Figure4
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.scaling import TRAINING_NOISE_NATS, Losses, with_training_noise

_OF_BUDGET = {"train.tokens", "train.warmup_tokens"}


class _Run(NamedTuple):
    """One size of one group."""

    group: Group
    size: str
    measured: Measured


def fit_runs(groups: Sequence[Group], figure4: Figure4, draws: Draws) -> dict[str, BudgetLaw | str]:
    """The law of the test loss over every group and size, by the way to count parameters."""
    scored = [group for group in groups if "test" in figure4[group.label]]
    if reason := _why_not_together(scored, figure4):
        return dict.fromkeys(COUNTS, reason)
    runs = [
        _Run(group, size, figure4[group.label]["test"])
        for group in scored
        for size in figure4[group.label]["test"].sizes
    ]
    tokens = np.array([run.group.training(run.size, "tokens") for run in runs], dtype=float)
    losses = _losses(runs, draws.seed) if runs else None
    found: dict[str, BudgetLaw | str] = {}
    for count, key in COUNTS.items():
        values = [run.group.training(run.size, key) for run in runs]
        if None in values:
            found[count] = f"{key} is not in every study's train/*/metrics.json"
            continue
        parameters = np.array(values, dtype=float)
        reason = why_not(parameters, tokens)
        found[count] = (
            reason if reason or losses is None else fit_budgets(parameters, tokens, losses)
        )
    return found


def _losses(runs: Sequence[_Run], seed: int) -> Losses:
    """Test losses [runs]; a noise of training is assumed where one training cannot show it."""
    places = [run.measured.sizes.index(run.size) for run in runs]
    at = list(zip(runs, places, strict=True))
    losses = Losses(
        np.array([run.measured.means.mean[place] for run, place in at]),
        np.stack([run.measured.means.draws[:, place] for run, place in at], axis=1),
    )
    alone = np.array([len(run.group.studies) == 1 for run in runs])
    noisy = with_training_noise(losses, TRAINING_NOISE_NATS, seed=seed)
    return Losses(losses.mean, np.where(alone, noisy.draws, losses.draws))


def _why_not_together(groups: Sequence[Group], figure4: Figure4) -> str:
    """Why the losses of these groups are not of one law; empty where they are."""
    if len({group.first.tokenizer for group in groups}) > 1:
        return "the tokenizers differ: there is no loss per token that all studies have"
    for group in groups[1:]:
        if told := _differing(groups[0], group):
            return f"{groups[0].label} and {group.label} {told}"
        ours, theirs = (figure4[one.label]["test"].ids for one in (groups[0], group))
        if not ours or ours != theirs:
            return f"{groups[0].label} and {group.label} were scored on different test documents"
    return ""


def _differing(first: Group, other: Group) -> str:
    settings = [
        {k: v for k, v in group.first.all_but_seeds.items() if k not in _OF_BUDGET}
        for group in (first, other)
    ]
    if not (first.first.settings and other.first.settings):
        return "do not both tell their parameters: more than the budget may differ"
    names = sorted(
        name
        for name in settings[0].keys() | settings[1].keys()
        if settings[0].get(name) != settings[1].get(name)
    )
    return f"differ in more than their budget: {', '.join(names)}" if names else ""
