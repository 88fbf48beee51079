"""The train stage: what it leaves, and that nothing is lost or changed when it is cut."""

from __future__ import annotations

import hashlib
import json
import random
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from times_read import times_read
from training_runs import TrainingRuns, make_tokens

from models.checkpoints import load_pretrained
from pipeline.shared.errors import (
    EXIT_DONE,
    EXIT_FATAL,
    EXIT_INTERRUPTED,
    EXIT_NON_FINITE,
    EXIT_TERMINATED,
)
from pipeline.shared.files import write_json
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import load_tokenizer
from pipeline.shared.training.batches import DataOrder
from pipeline.shared.training.state import save_state

pytestmark = pytest.mark.long

ARTEFACTS = ("model.safetensors", "loss_curve.csv", "config.json", "vocab.json", "merges.txt")
RATE = 0.01


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenize")
    make_tokens(folder)
    return folder


@pytest.fixture
def runs(project: Path, tmp_path: Path, tokens: Path) -> TrainingRuns:
    runs = TrainingRuns("train", project, tmp_path)
    (tmp_path / "tokens").symlink_to(tokens)
    runs.set_params()
    runs.set_learning_rate(RATE)
    return runs


@pytest.fixture(scope="module")
def undisturbed(project: Path, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves that was never cut."""
    runs = TrainingRuns("train", project, tmp_path_factory.mktemp("undisturbed"))
    (runs.folder / "tokens").symlink_to(tokens)
    runs.set_params(compute={"checkpoint_every_s": 1e6})
    runs.set_learning_rate(RATE)
    assert runs.run() == EXIT_DONE, runs.log()
    return runs.folder / "out"


def assert_same_artefacts(out: Path, undisturbed: Path) -> None:
    for name in ARTEFACTS:
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_it_leaves_a_model_that_transformers_reads_and_a_falling_curve(
    undisturbed: Path, tokens: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "The most useful sentence is one that was not in the corpus."
    ids = load_tokenizer(tokens / "tokenizer").encode(text)
    assert AutoTokenizer.from_pretrained(undisturbed)(text)["input_ids"] == ids
    batch_BT = torch.tensor([ids[:32]])
    model, peer = load_pretrained(undisturbed), AutoModelForCausalLM.from_pretrained(undisturbed)
    with torch.no_grad():
        assert torch.allclose(
            model.logits(model(batch_BT)), peer.eval()(batch_BT).logits, atol=1e-5
        )
    curve = pd.read_csv(undisturbed / "loss_curve.csv")
    assert list(curve) == ["tokens", "train_loss", "valid_loss", "learning_rate"]
    assert curve["tokens"].tolist() == [4096, 7680, 11776, 15872, 19456, 23552]
    assert curve["valid_loss"].iloc[-1] < curve["valid_loss"].iloc[0] - 0.5
    assert curve["learning_rate"].iloc[-1] == pytest.approx(0.1 * RATE)


def test_every_token_of_its_documents_was_read_equally_often_to_within_one(
    undisturbed: Path, tokens: Path
) -> None:
    counts = np.concatenate(list(times_read(undisturbed, order_seed=1).values()))
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 1
    order = DataOrder(open_split(tokens / "train").head(46 * 512), 128, seed=1)
    read = np.zeros(len(counts), int)
    for sequence in range(46 * 4):
        read[(order.start_of(sequence) + 1 + np.arange(128)) % len(counts)] += 1
    assert read.tolist() == counts.tolist()


def test_its_metrics_say_what_was_trained(undisturbed: Path) -> None:
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    model = load_pretrained(undisturbed)
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert metrics["tokens"] == 46 * 512
    assert metrics["steps"] == 46
    assert metrics["tokens_per_s"] > 0
    assert metrics["start_up_s"] > metrics["first_step_s"] > 0
    assert 0 < metrics["mfu"] < 1
    assert metrics["loss_spikes"] == []
    assert metrics["learning_rate"] == RATE
    for name, file in (("model", "model.safetensors"), ("training_text", "documents.parquet")):
        content = (undisturbed / file).read_bytes()
        assert metrics[f"{name}_sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("data_workers", [0, 1])
def test_killed_at_any_moment_it_ends_with_the_bytes_of_an_undisturbed_training(
    runs: TrainingRuns, undisturbed: Path, data_workers: int
) -> None:
    runs.set_params(compute={"data_workers": data_workers})
    generator = random.Random(5)
    for _ in range(2):
        least = (int(runs.checkpoints[-1].name[:8]) if runs.checkpoints else 0) + 1
        until = least + generator.randrange(10)

        def reached(until: int = until) -> bool:
            return bool(runs.checkpoints) and int(runs.checkpoints[-1].name[:8]) >= until

        assert runs.signal_when(reached, signal.SIGKILL, "out") == -signal.SIGKILL

    def saving() -> bool:
        return any(runs.work.glob("*/rate_*/.writing-*"))

    assert runs.signal_when(saving, signal.SIGKILL, "out") == -signal.SIGKILL
    assert not (runs.folder / "out" / "model.safetensors").exists()
    assert runs.run() == EXIT_DONE, runs.log()
    assert runs.log().count("going on after step") == 3
    assert_same_artefacts(runs.folder / "out", undisturbed)


@pytest.mark.parametrize("data_workers", [0, 1])
def test_sigterm_saves_the_last_step_and_is_no_success(
    runs: TrainingRuns, undisturbed: Path, data_workers: int
) -> None:
    # No checkpoint by the clock.
    runs.set_params(compute={"checkpoint_every_s": 1e6, "data_workers": data_workers})

    def first_point() -> bool:
        return any(runs.work.glob("*/tracking.jsonl"))

    assert runs.signal_when(first_point, signal.SIGTERM, "out") == EXIT_TERMINATED
    assert not (runs.folder / "out").exists()
    assert [path.name[:8] >= "00000008" for path in runs.checkpoints] == [True]
    assert runs.run() == EXIT_DONE, runs.log()
    assert "going on after step" in runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)


def test_ctrl_c_ends_it_with_a_line_and_the_code_of_an_interrupt(
    runs: TrainingRuns, undisturbed: Path
) -> None:
    assert runs.signal_when(lambda: bool(runs.checkpoints), signal.SIGINT, "out") == (
        EXIT_INTERRUPTED
    ), runs.log()
    assert "interrupted; the same command goes on from here" in runs.log()
    assert "Traceback" not in runs.log()
    assert runs.run() == EXIT_DONE, runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(
    runs: TrainingRuns, undisturbed: Path
) -> None:
    def two() -> bool:
        return len(runs.checkpoints) == 2

    runs.signal_when(two, signal.SIGKILL, "out")
    newest = runs.checkpoints[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert runs.run() == EXIT_DONE, runs.log()
    assert f"{newest}: damaged" in runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)


def test_a_full_disk_ends_it_with_the_reason_and_leaves_the_checkpoint_before(
    runs: TrainingRuns, undisturbed: Path
) -> None:
    runs.signal_when(lambda: bool(runs.checkpoints), signal.SIGKILL, "out")
    before = runs.checkpoints
    size = before[-1].stat().st_size
    assert runs.run(max_file_bytes=size // 2) == EXIT_FATAL
    assert "File too large" in runs.log()
    assert runs.checkpoints == before
    assert runs.run() == EXIT_DONE, runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)


def test_a_leap_of_the_loss_is_an_event_of_log_and_metrics(project: Path, tmp_path: Path) -> None:
    runs = TrainingRuns("train", project, tmp_path)
    make_tokens(tmp_path / "tokens", noise_documents=1)
    runs.set_params(
        train={"batch_tokens": 256, "tokens": 50_000}, compute={"checkpoint_every_s": 1e6}
    )
    runs.set_learning_rate(RATE)
    assert runs.run() == EXIT_DONE, runs.log()
    spikes = json.loads((tmp_path / "out" / "metrics.json").read_text())["loss_spikes"]
    assert spikes
    assert all(spike["step"] >= 50 and spike["loss"] > spike["usual"] + 0.3 for spike in spikes)
    assert f"the loss leapt at step {spikes[0]['step']}" in runs.log()


def test_a_loss_that_is_no_number_ends_it_with_step_and_documents(runs: TrainingRuns) -> None:
    runs.set_learning_rate(1e30)
    assert runs.run() == EXIT_NON_FINITE
    assert "the loss or gradient of step 1 is not finite" in runs.log()
    assert "documents of the batch: document0" in runs.log()
    assert not (runs.folder / "out" / "model.safetensors").exists()


def test_a_rate_that_diverges_gives_way_to_the_next_best(
    runs: TrainingRuns, undisturbed: Path
) -> None:
    choice = {"learning_rate": 1e30, "next_best": [1e29, RATE]}
    write_json(runs.folder / "tuned" / "learning_rate.json", choice)

    def in_the_second(runs: TrainingRuns = runs) -> bool:
        return any(runs.work.glob("*/rate_0.01/*.pt"))

    assert runs.signal_when(in_the_second, signal.SIGKILL, "out") == -signal.SIGKILL
    assert runs.run() == EXIT_DONE, runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)
    metrics = json.loads((runs.folder / "out" / "metrics.json").read_text())
    assert (metrics["learning_rate"], metrics["diverged_rates"]) == (RATE, [1e30, 1e29])


def test_a_checkpoint_of_another_training_is_refused_with_its_difference(
    runs: TrainingRuns,
) -> None:
    state = runs.folder / "tuned" / "state"
    state.mkdir()
    save_state(state, 10, {"recipe.learning_rate": 0.5}, {})
    assert runs.run() == EXIT_FATAL
    assert "recipe.learning_rate is 0.5 where this training has 0.01" in runs.log()
    assert "run the tune stage again" in runs.log()


Devices = tuple[int, str]
"""How many, and the strategy by which they share a training."""
ONE, DDP, FSDP = (1, "auto"), (2, "ddp"), (2, "fsdp")


def set_devices(runs: TrainingRuns, devices: Devices) -> None:
    # Dropout draws per process, so it must be off for the losses to agree.
    compute = {"devices": devices[0], "strategy": devices[1], "checkpoint_every_s": 1e6}
    runs.set_params(train={"dropout": 0.0}, compute=compute)


def assert_same_curve(runs: TrainingRuns, other: TrainingRuns) -> None:
    curves = [pd.read_csv(one.folder / "out" / "loss_curve.csv") for one in (runs, other)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


@pytest.fixture(scope="module")
def train_on(
    project: Path, tokens: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Devices], TrainingRuns]:
    """Train to the end without a stop."""

    @cache
    def train(devices: Devices) -> TrainingRuns:
        runs = TrainingRuns("train", project, tmp_path_factory.mktemp("undisturbed"))
        (runs.folder / "tokens").symlink_to(tokens)
        set_devices(runs, devices)
        runs.set_learning_rate(RATE)
        assert runs.run() == EXIT_DONE, runs.log()
        return runs

    return train


@pytest.mark.parametrize("devices", [DDP, (4, "ddp"), FSDP])
def test_several_processes_train_as_one_does(
    devices: Devices, train_on: Callable[[Devices], TrainingRuns]
) -> None:
    assert_same_curve(train_on(devices), train_on(ONE))


@pytest.mark.parametrize(("first", "then"), [(ONE, FSDP), (FSDP, ONE), (DDP, FSDP), (FSDP, DDP)])
def test_a_training_goes_on_under_another_strategy(
    first: Devices,
    then: Devices,
    runs: TrainingRuns,
    train_on: Callable[[Devices], TrainingRuns],
) -> None:
    def first_point() -> bool:
        return any(runs.work.glob("*/tracking.jsonl"))

    set_devices(runs, first)
    assert runs.signal_when(first_point, signal.SIGTERM, "out") == EXIT_TERMINATED, runs.log()
    set_devices(runs, then)
    assert runs.run() == EXIT_DONE, runs.log()
    assert "going on after step" in runs.log()
    assert_same_curve(runs, train_on(ONE))
