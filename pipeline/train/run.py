"""The train stage: one size, its weights in the Hugging Face layout and its loss curve."""

from __future__ import annotations

import csv
from typing import Any

from models.checkpoints import save_pretrained
from models.compute import (
    FLOPS_CONVENTION,
    num_non_embedding_parameters,
    num_parameters,
    training_flops_per_token,
)
from pipeline.errors import CorruptDataError
from pipeline.files import open_atomic, read_json
from pipeline.stage import Stage
from pipeline.token_shards import open_split
from pipeline.tokenizer import Tokenizer, load_tokenizer, write_hugging_face_files
from pipeline.tracking import open_run
from pipeline.training_job import Job, Outcome, Point, make_config, make_recipe
from pipeline.training_run import train_to_end
from pipeline.work_folder import hash_input


def run(stage: Stage) -> dict[str, Any]:
    """Train to the end of the budget, then write the model's folder."""
    tokenizer = load_tokenizer(stage.inputs["tokens"] / "tokenizer")
    job = make_job(stage, tokenizer)
    parameters = {**stage.params.train.model_dump(), **job.identity}
    with open_run(stage, parameters) as tracked:

        def on_point(point: Point) -> None:
            values = point._asdict()
            tracked.log_metrics(values, tokens=int(values.pop("tokens")))

        outcome = train_to_end(stage, job, stage.title, on_point)
    save_pretrained(outcome.model, stage.staging)
    write_hugging_face_files(tokenizer, stage.staging)
    _write_curve(stage, outcome.curve)
    return describe(stage, job, outcome)


def make_job(stage: Stage, tokenizer: Tokenizer) -> Job:
    """The training that parameters and inputs ask for.

    Raises:
        CorruptDataError: token shards of another tokenizer, or no usable learning rate.
    """
    assert stage.size is not None
    tokens, params = stage.inputs["tokens"], stage.params
    train, valid = open_split(tokens / "train"), open_split(tokens / "valid")
    if train.tokenizer_sha256 != tokenizer.sha256:
        raise CorruptDataError(
            f"{train.folder}: made with tokenizer {train.tokenizer_sha256[:12]}..., but "
            f"{tokens / 'tokenizer'} is {tokenizer.sha256[:12]}...; run the tokenize stage again"
        )
    path = stage.inputs["learning_rate"]
    rate = read_json(path).get("learning_rate")
    if not isinstance(rate, float) or rate <= 0:
        raise CorruptDataError(f"{path}: learning_rate = {rate!r}; run the tune stage again")
    model = params.models.of(stage.size)
    return Job(
        config=make_config(model, vocab_size=tokenizer.vocab_size, dropout=params.train.dropout),
        recipe=make_recipe(params, learning_rate=rate, tokens=params.train.tokens),
        params=params.train,
        compute=params.compute,
        train=train,
        valid=valid,
        valid_tokens=params.train.valid_tokens,
        folder=stage.work / "checkpoints",
    )


def _write_curve(stage: Stage, curve: list[Point]) -> None:
    with open_atomic(stage.staging / "loss_curve.csv", "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Point._fields)
        writer.writerows(curve)


def describe(stage: Stage, job: Job, outcome: Outcome) -> dict[str, Any]:
    """What metrics.json says of a training; losses in nats per token."""
    last = outcome.curve[-1]
    flops_per_token = training_flops_per_token(job.config)
    rate = outcome.timed_tokens / outcome.step_s if outcome.timed_tokens else None
    assert stage.size is not None
    return {
        "label": stage.params.models.of(stage.size).label,
        "parameters": num_parameters(job.config),
        "non_embedding_parameters": num_non_embedding_parameters(job.config),
        "tokens": last.tokens,
        "steps": job.recipe.num_steps,
        "epochs": round(last.tokens / job.train.num_tokens, 4),
        "train_loss": last.train_loss,
        "valid_loss": last.valid_loss,
        "learning_rate": job.recipe.learning_rate,
        "tokens_per_s": rate and round(rate, 1),
        "start_up_s": round(outcome.start_up_s, 3),
        "flops_per_token": flops_per_token,
        "flops_convention": FLOPS_CONVENTION,
        "model_flops_per_s": rate and round(rate * flops_per_token),
        "devices": job.num_ranks,
        "tokenizer_sha256": job.train.tokenizer_sha256,
        "train_sha256": hash_input(job.train.folder),
        "valid_sha256": hash_input(job.valid.folder),
    }
