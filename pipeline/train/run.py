"""The train stage: one size, its weights in the Hugging Face layout and its loss curve.

It goes on from where the search for a learning rate left the best trial. Should that diverge, the
next best rate is trained from the start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from models.checkpoints import save_pretrained
from models.compute import (
    FLOPS_CONVENTION,
    matmul_flops_per_s,
    model_flops_utilisation,
    num_non_embedding_parameters,
    num_parameters,
    training_flops_per_token,
)
from pipeline.shared.errors import CorruptDataError, NonFiniteLossError
from pipeline.shared.files import (
    read_json,
    remove_path,
    replace_path,
    sha256_file,
    write_json,
)
from pipeline.shared.formats.loss_curve import CurvePoint, write_curve
from pipeline.shared.formats.tokenizer import write_hugging_face_files
from pipeline.shared.formats.training_documents import NAME as DOCUMENTS
from pipeline.shared.formats.training_documents import write_training_documents
from pipeline.shared.params.types import Precision
from pipeline.shared.running.listing import hash_input
from pipeline.shared.running.stage import Stage
from pipeline.shared.tracking.record import open_run
from pipeline.shared.training.job import (
    Hardware,
    Job,
    TrainingData,
    TrainingOutcome,
    make_job,
    open_data,
)
from pipeline.shared.training.run import train_to
from pipeline.shared.training.state import (
    ForeignCheckpointError,
    check_checkpoint,
    newest_checkpoint,
)

PEAK_CONVENTION = (
    "a large matrix product in the training's precision and with its threads, measured on one "
    "device when the training had ended, beside whatever else ran there, times the devices"
)


def run(stage: Stage) -> dict[str, Any]:
    """Train to the end of the budget, then write the model's folder."""
    data = open_data(stage)
    job, outcome, diverged = _train_best(stage, data)
    save_pretrained(outcome.model, stage.staging)
    write_hugging_face_files(data.tokenizer, stage.staging)
    write_training_documents(stage.staging, data.text)
    write_curve(stage.staging, outcome.curve)
    return describe(stage, job, outcome) | {"diverged_rates": diverged}


def _read_rates(path: Path) -> list[float]:
    """The chosen rate, and those to try in its place, best first."""
    choice = read_json(path)
    rates = [choice.get("learning_rate"), *choice.get("next_best", [])]
    for rate in rates:
        if not isinstance(rate, float) or rate <= 0:
            raise CorruptDataError(f"{path}: learning_rate = {rate!r}; run the tune stage again")
    return rates


def _train_best(stage: Stage, data: TrainingData) -> tuple[Job, TrainingOutcome, list[float]]:
    """The training at the chosen rate or, should it diverge, at the next best; which diverged.

    Raises:
        NonFiniteLossError: all of them do.
    """
    rates = _read_rates(stage.inputs["tuned"] / "learning_rate.json")
    for number, rate in enumerate(rates):
        job = make_job(stage, data, learning_rate=rate, folder=stage.work / f"rate_{rate:g}")
        failure = job.folder.with_name(f"{job.folder.name}.diverged.json")
        if not failure.is_file():
            try:
                if number == 0:
                    _take_over(stage.inputs["tuned"] / "state", job)
                return job, _train(stage, job), rates[:number]
            except NonFiniteLossError as error:
                _note_failure(stage, failure, error)
        remove_path(job.folder)  # each time: a kill may have followed the note
        noted = read_json(failure)
        if rate != rates[-1]:
            stage.log.warning("learning rate %g: %s; trying the next", rate, noted["error"])
    raise NonFiniteLossError(noted["error"], noted["step"])


def _note_failure(stage: Stage, note: Path, error: NonFiniteLossError) -> None:
    """Have no attempt train this rate again.

    Its curve goes before the note, after which no attempt could tell it from that of the next
    rate; its checkpoints go after the note, until which a killed attempt goes on from them.
    """
    remove_path(stage.work / "tracking.jsonl")
    write_json(note, {"error": str(error), "step": error.step})


def _take_over(state: Path, job: Job) -> None:
    """Go on from the search's checkpoint, unless an earlier attempt has gone on already.

    Raises:
        CorruptDataError: the checkpoint is damaged, or not of this training.
    """
    checkpoint = newest_checkpoint(state)
    if checkpoint is None or newest_checkpoint(job.folder) is not None:
        return
    try:
        check_checkpoint(checkpoint, job.identity)
    except ForeignCheckpointError as error:
        raise CorruptDataError(f"{error}; run the tune stage again (dvc repro)") from None
    job.folder.mkdir(parents=True, exist_ok=True)
    replace_path(checkpoint, job.folder / checkpoint.name)


def _train(stage: Stage, job: Job) -> TrainingOutcome:
    """Train to the end of the budget, each point of the curve told to MLflow."""
    flops_per_token = training_flops_per_token(job.config)
    with open_run(
        stage,
        learning_rate=job.recipe.learning_rate,
        num_parameters=num_parameters(job.config),
    ) as tracked:

        def on_point(point: CurvePoint) -> None:
            tracked.log_point(point, flops_per_token=flops_per_token)

        outcome = train_to(stage, job, stage.title, on_point)
        for point in outcome.curve:  # what the search trained; points told once are not told again
            on_point(point)
        for spike in outcome.spikes:
            done_tokens = (spike.step + 1) * job.recipe.batch_tokens
            tracked.log_metrics({"loss_spike_nats": spike.loss}, tokens=done_tokens)
    return outcome


def describe(stage: Stage, job: Job, outcome: TrainingOutcome) -> dict[str, Any]:
    """What metrics.json says of a training; losses in nats per token."""
    last = outcome.curve[-1]
    assert stage.size is not None
    return {
        "label": stage.params.models[stage.size].label,
        "parameters": num_parameters(job.config),
        "non_embedding_parameters": num_non_embedding_parameters(job.config),
        "tokens": last.tokens,
        "steps": job.recipe.num_steps,
        "training_documents": job.text.num_documents,
        "training_text_tokens": job.text.num_tokens,
        "epochs": round(last.tokens / job.text.num_tokens, 4),
        "tokens_per_parameter": round(last.tokens / num_parameters(job.config), 4),
        "train_loss": last.train_loss,
        "valid_loss": last.valid_loss,
        "learning_rate": job.recipe.learning_rate,
        **_describe_speed(job, outcome),
        "loss_spikes": [spike._asdict() for spike in outcome.spikes],
        "tokenizer_sha256": job.text.tokenizer_sha256,
        "model_sha256": sha256_file(stage.staging / "model.safetensors"),
        "training_text_sha256": sha256_file(stage.staging / DOCUMENTS),
        "train_sha256": hash_input(job.text.folder),
        "valid_sha256": hash_input(job.valid.folder),
    }


def _describe_speed(job: Job, outcome: TrainingOutcome) -> dict[str, Any]:
    """On what it ran, how fast, and what part that is of what was to be had there."""
    ran_on, flops_per_token = outcome.hardware, training_flops_per_token(job.config)
    rate = outcome.timed_tokens / outcome.step_s if outcome.timed_tokens else None
    peak = measure_peak(ran_on, job.params.precision)
    mfu = rate and peak and model_flops_utilisation(rate, flops_per_token, peak)
    return {
        "accelerator": ran_on.accelerator,
        "devices": ran_on.devices,
        "tokens_per_s": rate and round(rate, 1),
        "start_up_s": round(outcome.start_up_s, 3),
        "first_step_s": round(outcome.first_step_s, 3),
        "flops_per_token": flops_per_token,
        "flops_convention": FLOPS_CONVENTION,
        "model_flops_per_s": rate and round(rate * flops_per_token),
        "peak_flops_per_s": peak and round(peak),
        "peak_convention": PEAK_CONVENTION,
        "mfu": mfu and round(mfu, 4),
    }


def measure_peak(ran_on: Hardware, precision: Precision) -> float | None:
    """Operations per second by `PEAK_CONVENTION`, measured here and now.

    None where the devices are not here: the search may have trained on another machine.
    """
    if ran_on.accelerator == "gpu" and not torch.cuda.is_available():
        return None
    ran_on.take_threads()
    device = "cuda" if ran_on.accelerator == "gpu" else "cpu"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return ran_on.devices * matmul_flops_per_s(device, dtype)
