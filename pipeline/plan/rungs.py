"""What is to be trained: parameters, operations and the tokens of the search for each rate."""

from __future__ import annotations

from typing import NamedTuple

from models.compute import (
    num_non_embedding_parameters,
    num_parameters,
    training_flops_per_token,
)
from models.gpt2 import GPT2Config
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.training.job import point_steps
from pipeline.tune.run import plan_comparisons
from pipeline.tune.search import Trial, search


class Rung(NamedTuple):
    """One size and the work that its trainings are."""

    size: str
    label: str
    config: GPT2Config
    parameters: int
    non_embedding_parameters: int
    flops_per_token: int
    """Of forward and backward, as train counts them."""
    tokens: int
    """Of the training that is kept."""
    search_tokens: int
    """Of every trial of the search, the kept one among them, with each extension of the grid."""
    held_out_tokens: int
    """Scored for the points of all trials' loss curves: a forward pass each."""
    trials: int

    @property
    def flops(self) -> float:
        """Of the training that is kept."""
        return float(self.flops_per_token) * self.tokens

    @property
    def search_flops(self) -> float:
        """Of all trials and their held-out points; a forward pass is a third of a training step."""
        return self.flops_per_token * (self.search_tokens + self.held_out_tokens / 3)


def plan_rungs(params: ProfileParams) -> list[Rung]:
    """The rungs of a profile, smallest first."""
    reached = _steps_of_trials(params)
    train, points = params.train, point_steps(params.train)
    scored = sum(sum(point <= step for point in points) for step in reached.values())
    rungs = []
    for size, model in params.models.items():
        config = GPT2Config(
            params.tokenize.vocab_size, model.context, model.n_embd, model.n_layer, model.n_head
        )
        rungs.append(
            Rung(
                size=size,
                label=model.label,
                config=config,
                parameters=num_parameters(config),
                non_embedding_parameters=num_non_embedding_parameters(config),
                flops_per_token=training_flops_per_token(config),
                tokens=train.tokens // train.batch_tokens * train.batch_tokens,
                search_tokens=sum(reached.values()) * train.batch_tokens,
                held_out_tokens=scored * train.valid_tokens,
                trials=len(reached),
            )
        )
    return rungs


def _steps_of_trials(params: ProfileParams) -> dict[float, int]:
    """How far each rate is trained, in steps, where the best one lies at the end of the grid.

    The search itself is asked, of trials whose loss falls with the rate: so it extends the grid as
    often as it may, which is the most that it costs.
    """
    reached: dict[float, int] = {}

    def run_to(rate: float, step: int) -> Trial:
        reached[rate] = max(step, reached.get(rate, 0))
        return Trial(rate, step * params.train.batch_tokens, 1 / rate)

    comparisons = plan_comparisons(params.tune, params.train)
    search(
        params.tune.learning_rates,
        comparisons,
        run_to,
        max_extensions=params.tune.max_extensions,
    )
    return reached
