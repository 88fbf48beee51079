"""Leaps of a training's loss: what is told of them, wherever it was stopped and saved."""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from compute_settings import compute
from training_runs import MODEL, TRAIN, make_tokens

from models.gpt2 import GPT2Config
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import load_tokenizer
from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import TrainParams
from pipeline.shared.training.batches import documents_of_step
from pipeline.shared.training.fit import fit
from pipeline.shared.training.job import Job, Listeners, make_recipe
from pipeline.shared.training.state import load_state

SILENT = Listeners(lambda point: None, lambda tokens, note: None, lambda spike: None)
STEPS, BATCH_TOKENS = 170, 256
ORDER_SEED = 302  # which has a whole sequence of noise read at both of these steps
LEAP, NEXT_LEAP = 153, 155  # between two looks, that after 150 steps and that after 160


@pytest.fixture(scope="module", autouse=True)
def process_as_it_was() -> Iterator[None]:
    """A training takes SIGTERM and a number of threads for itself."""
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def begun(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A training in micro-batches, of which the first 150 steps are done."""
    folder = tmp_path_factory.mktemp("begun")
    make_tokens(folder / "tokens", noise_documents=2)
    changes = {"batch_tokens": BATCH_TOKENS, "micro_batch_sequences": 1, "dropout": 0.0}
    budget = {"tokens": STEPS * BATCH_TOKENS, "eval_every_tokens": STEPS * BATCH_TOKENS}
    tiny = load_params(project / "params.yaml", "tiny").params
    train = TrainParams.model_validate(tiny.train.model_dump() | TRAIN | changes | budget)
    seeds = tiny.seeds.model_copy(update={"order": ORDER_SEED})
    shape = {name: MODEL[name] for name in ("n_layer", "n_head", "n_embd")}
    vocabulary = load_tokenizer(folder / "tokens" / "tokenizer").vocab_size
    job = Job(
        config=GPT2Config(vocab_size=vocabulary, n_positions=MODEL["context"], **shape),
        recipe=make_recipe(train, seeds, learning_rate=0.01),
        params=train,
        compute=compute(checkpoint_every_s=1e6),
        text=open_split(folder / "tokens" / "train").head(train.tokens),
        valid=open_split(folder / "tokens" / "valid"),
        folder=folder / "checkpoints",
        until_step=STEPS,
    )
    go_on(replace(job, until_step=150))
    return job


def copy_of(begun: Job, folder: Path) -> Job:
    shutil.copytree(begun.folder, folder)
    return replace(begun, folder=folder)


def go_on(job: Job) -> dict[str, Any]:
    """The state of the checkpoint in which the training ends."""
    fit(job, 0, SILENT)
    found = load_state(job.folder, job.identity, logging.getLogger("test"))
    assert found is not None
    assert found[0] == job.until_step
    return found[1]


@pytest.fixture(scope="module")
def uncut(begun: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How the training ends if it is not stopped again."""
    return go_on(copy_of(begun, tmp_path_factory.mktemp("uncut") / "checkpoints"))


def assert_same_leaps(state: dict[str, Any], uncut: dict[str, Any]) -> None:
    assert state["spikes"] == uncut["spikes"]
    assert torch.equal(state["spike_detector"], uncut["spike_detector"])


def noisy_steps(job: Job, steps: Iterable[int]) -> list[int]:
    """Those of which a sequence is of noise."""
    touched = {step: documents_of_step(job.order, job.layout, step) for step in steps}
    return [step for step, ids in touched.items() if any(one.startswith("noise") for one in ids)]


def test_a_leap_at_the_last_step_is_told(begun: Job, uncut: dict[str, Any], tmp_path: Path) -> None:
    assert [int(row[0]) for row in uncut["spikes"]] == [LEAP]
    stopped = replace(copy_of(begun, tmp_path / "stopped"), until_step=LEAP + 1)
    assert go_on(stopped)["spikes"] == uncut["spikes"]


def test_a_stop_on_the_way_changes_no_leap(
    begun: Job, uncut: dict[str, Any], tmp_path: Path
) -> None:
    job = copy_of(begun, tmp_path / "cut")
    go_on(replace(job, until_step=LEAP - 2))
    assert_same_leaps(go_on(job), uncut)


def test_of_two_leaps_between_two_looks_the_first_is_told_whatever_is_saved_between_them(
    begun: Job, uncut: dict[str, Any], tmp_path: Path
) -> None:
    assert noisy_steps(begun, range(150, 160)) == [LEAP, NEXT_LEAP]
    after_each_step = compute(checkpoint_every_s=1e-6)
    often = replace(copy_of(begun, tmp_path / "often"), compute=after_each_step)
    assert_same_leaps(go_on(often), uncut)
