"""What a comparison says in sentences: what belongs together, and what its intervals cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from pipeline.compare.measure import BOTH
from pipeline.compare.studies import SPLITS, ComparedStudy, Group
from pipeline.compare.tables import Figure4, falls_everywhere
from pipeline.shared.scores.scaling import TRAINING_NOISE_NATS


def summary(groups: Sequence[Group], figure4: Figure4) -> list[str]:
    """A sentence a group: whether perplexity falls at every step, in how many replicates."""
    lines = []
    for group in groups:
        told = [_falls(group, figure4, split) for split in SPLITS if split in figure4[group.label]]
        lines.append(f"{group.label}: {' and '.join(told) or 'Figure 4 was not measured'}.")
    return lines


def _falls(group: Group, figure4: Figure4, split: str) -> str:
    measured, of = figure4[group.label][split], len(group.studies)
    if len(measured.sizes) == 1:
        return f"perplexity on {split} documents was measured for {measured.sizes[0]} alone"
    falls = falls_everywhere(group, measured)
    if of == 1:
        verb = "falls at every step" if falls else "does not fall at every step"
        return f"perplexity on {split} documents {verb}"
    return f"perplexity on {split} documents falls at every step in {falls} of {of} replicates"


def limits(groups: Sequence[Group], figure4: Figure4) -> list[str]:
    """What the intervals hold and what they do not, for these groups."""
    lines = []
    single = [group.label for group in groups if len(group.studies) == 1]
    if single:
        lines.append(
            f"{', '.join(single)}: one training a size. The intervals draw documents alone; what "
            "another seed would give is not in them, so that a difference beyond them may still be "
            "the noise of training. A floor and L(N, D) allow for it by an assumed "
            f"{TRAINING_NOISE_NATS:g} nats."
        )
    for group in groups:
        if (count := len(group.studies)) > 1:
            kinds = {measured.covers for measured in figure4[group.label].values()}
            drawn = "documents and seeds" if kinds == {BOTH} else "seeds, which bring documents"
            quantile = f"{student.ppf(0.975, count - 1):.1f}"
            lines.append(
                f"{group.label}: {count} replicates. The intervals hold {drawn}. With so few their "
                f"mean is Student-distributed: an interval over seeds alone is {quantile} standard "
                "errors to either side, where many seeds would make it 2."
            )
    same = ["the grid of learning rates", "the shapes"]
    if all(len({s.seeds.get("seeds.corpus") for s in group.studies}) == 1 for group in groups):
        same.insert(1, "the crawl")
    lines.append(
        f"{', '.join(same[:-1]).capitalize()} and {same[-1]} are the same in all replicates of a "
        "study: no interval holds what another choice of them would give."
    )
    return lines


def changed(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Parameters that differ between any two studies, a row a parameter."""
    studies = [study for group in groups for study in group.studies]
    names = sorted({name for study in studies for name in study.settings})
    rows = []
    for name in names:
        values = [str(study.settings.get(name, "not recorded")) for study in studies]
        if len(set(values)) > 1:
            titles = _titles(studies)
            rows.append({"parameter": name} | dict(zip(titles, values, strict=True)))
    return rows


def members(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A row a study: its group, where it comes from, its seeds and its tokenizer."""
    return [
        {
            "group": group.label,
            "study": study.place.name,
            "from": study.place.origin,
            "seeds": _seeds(study),
            "parameters recorded": "yes" if study.settings else "no",
            "tokenizer": study.tokenizer[:12],
        }
        for group in groups
        for study in group.studies
    ]


def _titles(studies: Sequence[ComparedStudy]) -> list[str]:
    names = [study.place.name for study in studies]
    return [n if names.count(n) == 1 else f"{n} ({i + 1})" for i, n in enumerate(names)]


def _seeds(study: ComparedStudy) -> str:
    values = {name.removeprefix("seeds."): value for name, value in study.seeds.items()}
    if len(set(values.values())) == 1:
        return f"all {next(iter(values.values()))}"
    return ", ".join(f"{name} {value}" for name, value in values.items())


def is_repeated(groups: Sequence[Group]) -> bool:
    """Whether a training of any group read its text more than once and a half."""
    epochs = [group.training(size, "epochs") for group in groups for size in group.sizes]
    return bool(np.any([e is not None and e > 1.5 for e in epochs]))
