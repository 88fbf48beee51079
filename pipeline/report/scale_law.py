"""What Figure 4 says of scale: the slope on either count of parameters, and a floor or why not."""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.report.losses import SPLITS, SizedLosses
from pipeline.report.study import Study
from pipeline.shared.scores.scaling import Estimate, Floor, fit_floors, slope

EXPONENT_SUFFIX = {"all": "", "without embeddings": "_without_embeddings"}
"""Counts of parameters -> what metrics.json adds to the name of their slope."""
_NOTHING = Estimate(math.nan, math.nan, math.nan)


class ScaleLaw(NamedTuple):
    """Power laws of perplexity in parameters, by split."""

    slopes: dict[str, dict[str, Estimate]]
    """By split and count of parameters; NaN where fewer than two sizes were measured."""
    floors: dict[str, dict[str, Floor | str]]
    """By split and count of parameters: the floor, or in words why none can be told."""


def limits(num_sizes: int) -> str:
    """What points of one training each cannot say."""
    return (
        f"{num_sizes} sizes with one training each describe this study and predict nothing. The "
        "intervals draw documents anew, not trainings: the noise of seeds and of the search for "
        "the rate is not in them. Every size read the same tokens, so this is the slope at one "
        "budget, not that of the best size for each. Replicates by seed and other budgets, in one "
        "figure: python -m pipeline.compare."
    )


def scale_law(study: Study, splits: dict[str, SizedLosses]) -> ScaleLaw:
    """Slopes and floors of both splits on both counts of parameters."""
    seed = study.params.seeds.sampling
    slopes: dict[str, dict[str, Estimate]] = {split: {} for split in SPLITS}
    floors: dict[str, dict[str, Floor | str]] = {split: {} for split in SPLITS}
    for split in SPLITS:
        sized = splits[split]
        if len(sized.sizes) < 2:
            slopes[split] = dict.fromkeys(EXPONENT_SUFFIX, _NOTHING)
            floors[split] = dict.fromkeys(EXPONENT_SUFFIX, "fewer than two sizes")
            continue
        parameters = {
            count: sized.parameters(study, embedding=count == "all") for count in EXPONENT_SUFFIX
        }
        slopes[split] = {count: slope(n, sized.losses) for count, n in parameters.items()}
        floors[split] = fit_floors(parameters, sized.losses, trainings=1, seed=seed)
    return ScaleLaw(slopes, floors)
