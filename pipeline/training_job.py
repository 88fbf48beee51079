"""What one training is: model, recipe, data, where it runs; and what is known when it ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from models.gpt2 import GPT2, GPT2Config
from models.training import Recipe
from pipeline.batches import BatchLayout, DataOrder, plan_batches
from pipeline.params import ComputeParams, ModelParams, ProfileParams, TrainParams
from pipeline.token_shards import TokenSplit


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of one model."""

    config: GPT2Config
    recipe: Recipe
    params: TrainParams
    """For how it runs: micro-batches, precision, compilation, checkpoint and point intervals."""
    compute: ComputeParams
    train: TokenSplit
    valid: TokenSplit
    valid_tokens: int
    """Of the valid split, behind each point of the loss curve."""
    folder: Path
    """Of its checkpoints."""

    @property
    def num_ranks(self) -> int:
        """Devices that train together, each with a process of its own."""
        return self.compute.devices * self.compute.nodes

    @property
    def order(self) -> DataOrder:
        """Which tokens each step reads."""
        return DataOrder(self.train, self.config.n_positions, self.recipe.seed)

    @property
    def layout(self) -> BatchLayout:
        """How a step's sequences are dealt to devices and micro-batches."""
        return plan_batches(
            self.recipe.batch_tokens,
            self.config.n_positions,
            self.params.micro_batch_sequences,
            self.num_ranks,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with this training to be its own."""
        return {
            **{f"model.{name}": value for name, value in asdict(self.config).items()},
            **{f"recipe.{name}": value for name, value in asdict(self.recipe).items()},
            "precision": self.params.precision,
            "train_tokens": self.train.num_tokens,
            "tokenizer": self.train.tokenizer_sha256,
        }


class Point(NamedTuple):
    """One row of the loss curve; losses in nats per token."""

    tokens: int
    """Trained so far."""
    train_loss: float
    """Mean over the steps since the point before."""
    valid_loss: float
    learning_rate: float


class Outcome(NamedTuple):
    """A finished training."""

    model: GPT2
    curve: list[Point]
    start_up_s: float
    """From the process's start to the end of its first step, in the last attempt."""
    step_s: float
    """Spent in steps, over all attempts; validation and checkpoints are not counted."""
    timed_tokens: int
    """Trained in that time: all but the first step of each attempt and what kills undid."""


def make_recipe(params: ProfileParams, *, learning_rate: float, tokens: int) -> Recipe:
    """The profile's recipe with this peak rate and budget; a short budget warms up no longer."""
    train = params.train
    return Recipe(
        seed=params.seed,
        learning_rate=learning_rate,
        tokens=tokens,
        batch_tokens=train.batch_tokens,
        warmup_tokens=min(train.warmup_tokens, tokens // 4),
        min_learning_rate_fraction=train.min_learning_rate_fraction,
        weight_decay=train.weight_decay,
        adam_betas=(train.adam_betas[0], train.adam_betas[1]),
        gradient_clip_norm=train.gradient_clip_norm,
        residual_init=train.residual_init,
    )


def make_config(model: ModelParams, *, vocab_size: int, dropout: float) -> GPT2Config:
    """A size's shape with the study's vocabulary."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=model.context,
        n_embd=model.n_embd,
        n_layer=model.n_layer,
        n_head=model.n_head,
        dropout=dropout,
    )
