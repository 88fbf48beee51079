"""What decides a training's result, and its learning rate at each step.

All budgets are in tokens. The step is the unit of everything that must be repeatable: learning
rate and data are functions of its number, so a training that was cut goes on exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.gpt2 import ResidualInit


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides a training's result, besides the model's shape and the data."""

    order_seed: int
    """Of the data's order and of dropout."""
    initialisation_seed: int
    """Of the weights before the first step."""
    learning_rate: float
    """Peak of the schedule."""
    tokens: int
    """Budget; the training ends with the last whole step within it."""
    batch_tokens: int
    """Tokens of one optimiser step, over all devices."""
    warmup_tokens: int
    min_learning_rate_fraction: float
    weight_decay: float
    adam_betas: tuple[float, float]
    gradient_clip_norm: float
    residual_init: ResidualInit

    @property
    def num_steps(self) -> int:
        """Optimiser steps in the budget."""
        return self.tokens // self.batch_tokens

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up to the peak, then a cosine to its `min_learning_rate_fraction`.

        Counted in tokens at the end of step `step` (from 0), so no step has a rate of zero.
        """
        tokens = (step + 1) * self.batch_tokens
        if tokens <= self.warmup_tokens:
            return self.learning_rate * tokens / self.warmup_tokens
        last = self.num_steps * self.batch_tokens
        progress = (tokens - self.warmup_tokens) / max(last - self.warmup_tokens, 1)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        floor = self.min_learning_rate_fraction
        return self.learning_rate * (floor + (1.0 - floor) * cosine)
