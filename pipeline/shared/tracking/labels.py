"""What tells one study of a profile from another: its seeds, its budget, its settings.

Runs carry them in their names and as tags, by which MLflow's page shows, filters and groups.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.shared.params.profile import ProfileParams

NO_SETTINGS = frozenset({"compute", "fetching", "report"})
"""Sections of a profile that decide no result."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Of one study, from its parameters alone."""

    settings: str
    """Hash of all parameters that decide results: what an unfinished study is found by."""
    design: str
    """The same without the seeds: replicates share it."""
    seed: str
    budget: str
    """Training tokens of each size."""

    @property
    def tags(self) -> dict[str, str]:
        """As each run of the study has them."""
        names = ("settings", "design", "seed", "budget")
        return {name: str(getattr(self, name)) for name in names}

    def title(self, study: str, *first: str) -> str:
        """A run's name, what differs within a study first: `xl · tiny-3 · 600K tokens · seed 1`."""
        return " · ".join([*first, study, f"{self.budget} tokens", f"seed {self.seed}"])


def read_labels(params: ProfileParams) -> Labels:
    """The labels of a study with these parameters."""
    return Labels(
        settings=_hash(params, NO_SETTINGS),
        design=_hash(params, NO_SETTINGS | {"seeds"}),
        seed=name_seeds(params.seeds.model_dump()),
        budget=short_count(params.train.tokens),
    )


def _hash(params: ProfileParams, left_out: Collection[str]) -> str:
    """16 hexadecimal digits."""
    data = params.model_dump(mode="json", exclude=set(left_out))
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def name_seeds(seeds: dict[str, int]) -> str:
    """The seed that most sources of chance have, and those that have another.

    >>> name_seeds({"corpus": 1, "order": 1, "sampling": 1})
    '1'
    >>> name_seeds({"corpus": 1, "order": 2, "initialisation": 2, "sampling": 1, "split": 1})
    '1, order 2, initialisation 2'
    """
    ((usual, _),) = Counter(seeds.values()).most_common(1)
    others = [f"{name} {seed}" for name, seed in seeds.items() if seed != usual]
    return ", ".join([str(usual), *others])


def short_count(number: float) -> str:
    """A count as people say it, to three significant digits.

    >>> short_count(600_000), short_count(9.1e9), short_count(512), short_count(999_999)
    ('600K', '9.1B', '512', '1M')
    """
    rounded = float(f"{number:.3g}")
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if rounded >= unit:
            return f"{rounded / unit:g}{name}"
    return f"{rounded:g}"
