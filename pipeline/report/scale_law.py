"""What Figure 4 says of scale: the slope on either count of parameters, and a floor or why not."""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.report.losses import SPLITS, SizedLosses
from pipeline.report.study import Study
from pipeline.scaling import Estimate, Floor, fit_floor, slope, with_training_noise

EXPONENT_SUFFIX = {"all": "", "without embeddings": "_without_embeddings"}
"""Counts of parameters -> what metrics.json adds to the name of their slope."""
TRAINING_NOISE_NATS = 0.01
"""What another seed would change in a loss, as assumed for the floor: 1 % of perplexity."""
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
        for count in EXPONENT_SUFFIX:
            if len(sized.sizes) < 2:
                slopes[split][count], floors[split][count] = _NOTHING, "fewer than two sizes"
                continue
            parameters = sized.parameters(study, embedding=count == "all")
            slopes[split][count] = slope(parameters, sized.losses)
            noisy = with_training_noise(sized.losses, TRAINING_NOISE_NATS, seed=seed)
            floors[split][count] = fit_floor(parameters, noisy)
        floors[split] = _agreed(floors[split])
    return ScaleLaw(slopes, floors)


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
