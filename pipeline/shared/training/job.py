"""What one training is: model, recipe, data, where it runs; and what is known when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from models.gpt2 import GPT2, GPT2Config
from models.loss_spikes import Spike
from models.recipe import Recipe
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.formats.token_shards import TokenSplit, open_split
from pipeline.shared.formats.tokenizer import Tokenizer, load_tokenizer
from pipeline.shared.params.profile import ComputeParams, SeedsParams, TrainParams
from pipeline.shared.running.stage import Stage
from pipeline.shared.training.batches import BatchLayout, DataOrder, plan_batches


class Hardware(NamedTuple):
    """What a training runs on."""

    accelerator: Literal["cpu", "gpu"]
    devices: int
    """All of them, on all nodes, each with a process of its own."""
    threads: int
    """Of one such process, for arithmetic on the CPU."""

    def take_threads(self) -> None:
        """Have this process compute with as many threads as the training."""
        if self.accelerator == "cpu":
            torch.set_num_threads(self.threads)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of one model."""

    config: GPT2Config
    recipe: Recipe
    params: TrainParams
    """For how it runs and is watched: micro-batches, precision, points, checkpoints."""
    compute: ComputeParams
    text: TokenSplit
    """The training text: the documents of the train split that the budget reads."""
    valid: TokenSplit
    folder: Path
    """Of its checkpoints."""
    until_step: int
    """Where it stops: the last step of its schedule, or before."""

    @property
    def num_ranks(self) -> int:
        """Devices that train together, each with a process of its own."""
        return self.compute.devices * self.compute.nodes

    @property
    def hardware(self) -> Hardware:
        """Where `compute` has it run; no result depends on it."""
        threads = max(1, self.compute.threads // self.compute.devices)
        return Hardware(self.compute.accelerator, self.num_ranks, threads)

    @property
    def order(self) -> DataOrder:
        """Which tokens each step reads."""
        return DataOrder(self.text, self.config.n_positions, self.recipe.order_seed)

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
            "train_tokens": self.text.num_tokens,
            "tokenizer": self.text.tokenizer_sha256,
        }

    def to_json(self) -> str:
        """The job as text, for another node that sees the same files; see `job_from_json`."""
        return json.dumps({
            "config": asdict(self.config),
            "recipe": asdict(self.recipe),
            "params": self.params.model_dump(mode="json"),
            "compute": self.compute.model_dump(mode="json"),
            "text": str(self.text.folder),
            "text_tokens": self.text.num_tokens,
            "valid": str(self.valid.folder),
            "folder": str(self.folder),
            "until_step": self.until_step,
        })


def job_from_json(text: str) -> Job:
    """Open what `Job.to_json` wrote.

    Raises:
        OSError, CorruptDataError: this node does not see the token shards.
    """
    fields = json.loads(text)
    text_tokens = fields.pop("text_tokens")
    betas = tuple(fields["recipe"]["adam_betas"])
    return Job(
        **fields
        | {
            "config": GPT2Config(**fields["config"]),
            "recipe": Recipe(**fields["recipe"] | {"adam_betas": betas}),
            "params": TrainParams.model_validate(fields["params"]),
            "compute": ComputeParams.model_validate(fields["compute"]),
            "text": open_split(Path(fields["text"]), verify=False, most_tokens=text_tokens),
            "valid": open_split(Path(fields["valid"]), verify=False),
            "folder": Path(fields["folder"]),
        }
    )


@dataclass(frozen=True)
class Listeners:
    """Who is told what, while a training goes on."""

    on_point: Callable[[CurvePoint], None]
    """Each new point of the loss curve."""
    on_progress: Callable[[int, str], None]
    """Tokens trained so far, and a note."""
    on_spike: Callable[[Spike], None]
    """Each leap of the loss."""


class TrainingOutcome(NamedTuple):
    """A finished training."""

    model: GPT2
    curve: list[CurvePoint]
    spikes: list[Spike]
    """Leaps of the loss."""
    start_up_s: float
    """From the process's start to the end of its first step, in the last attempt."""
    first_step_s: float
    """The part of it that the first step took; with `train.compile`, mostly compilation."""
    step_s: float
    """Spent in steps, over all attempts; validation and checkpoints are not counted."""
    timed_tokens: int
    """Trained in that time: all but the first step of each attempt and what kills undid."""
    hardware: Hardware
    """Of the last attempt that trained."""


class TrainingData(NamedTuple):
    """What the tokenize stage made, opened and verified."""

    tokenizer: Tokenizer
    text: TokenSplit
    """What the budget reads of the train split; the same for every size."""
    valid: TokenSplit


def whole_steps(train: TrainParams) -> int:
    """Optimiser steps in the budget."""
    return train.tokens // train.batch_tokens


def point_steps(train: TrainParams) -> list[int]:
    """The steps after which the loss curve has a point, the last step among them.

    As many as `eval_every_tokens` asks for, and evenly apart to within one step: the training loss
    of a point is a mean since the point before, and a last one of a few steps would be noise.
    """
    steps = whole_steps(train)
    count = min(steps, max(1, round(train.tokens / train.eval_every_tokens)))
    return [round(number * steps / count) for number in range(1, count + 1)]


def open_data(stage: Stage) -> TrainingData:
    """Open the tokenizer and the splits of the stage's input `tokens`.

    Raises:
        CorruptDataError: a file is damaged, or a split was made with another tokenizer.
    """
    folder, train = stage.inputs["tokens"], stage.params.train
    budget = whole_steps(train) * train.batch_tokens
    tokenizer = load_tokenizer(folder / "tokenizer")
    text = open_split(folder / "train").head(budget)
    data = TrainingData(tokenizer, text, open_split(folder / "valid"))
    for split in (data.text, data.valid):
        if split.tokenizer_sha256 != tokenizer.sha256:
            raise CorruptDataError(
                f"{split.folder}: made with tokenizer {split.tokenizer_sha256[:12]}..., but "
                f"{folder / 'tokenizer'} is {tokenizer.sha256[:12]}...; run the tokenize stage "
                "again"
            )
    return data


def make_recipe(train: TrainParams, seeds: SeedsParams, *, learning_rate: float) -> Recipe:
    """The profile's recipe, with this peak rate."""
    return Recipe(
        order_seed=seeds.order,
        initialisation_seed=seeds.initialisation,
        learning_rate=learning_rate,
        tokens=train.tokens,
        batch_tokens=train.batch_tokens,
        warmup_tokens=train.warmup_tokens,
        min_learning_rate_fraction=train.min_learning_rate_fraction,
        weight_decay=train.weight_decay,
        adam_betas=(train.adam_betas[0], train.adam_betas[1]),
        gradient_clip_norm=train.gradient_clip_norm,
        residual_init=train.residual_init,
    )


def make_job(
    stage: Stage,
    data: TrainingData,
    *,
    learning_rate: float,
    folder: Path,
) -> Job:
    """The training of the stage's size by the profile's recipe, with this peak rate."""
    params, train = stage.params, stage.params.train
    assert stage.size is not None
    shape = params.models[stage.size]
    config = GPT2Config(
        vocab_size=data.tokenizer.vocab_size,
        n_positions=shape.context,
        n_embd=shape.n_embd,
        n_layer=shape.n_layer,
        n_head=shape.n_head,
        dropout=train.dropout,
    )
    recipe = make_recipe(train, params.seeds, learning_rate=learning_rate)
    return Job(
        config=config,
        recipe=recipe,
        params=train,
        compute=params.compute,
        text=data.text,
        valid=data.valid,
        folder=folder,
        until_step=recipe.num_steps,
    )
