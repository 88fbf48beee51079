"""What a training ran on and how much of that it used: recorded where it ran, told as it was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import TrainingRuns, make_tokens

from pipeline.report.provenance import trained_on
from pipeline.report.study import Study
from pipeline.shared.errors import EXIT_DONE
from pipeline.shared.files import write_json
from pipeline.shared.params.file import load_params
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.study.training import read_training
from pipeline.shared.training.job import Hardware
from pipeline.train.run import measure_peak


def test_the_peak_is_measured_with_the_threads_that_trained() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # as a process that has trained nothing
    try:
        began_s, used_s = time.perf_counter(), time.process_time()
        assert measure_peak(Hardware("cpu", 1, 1), "float32")
        assert time.process_time() - used_s < 1.2 * (time.perf_counter() - began_s)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_of_devices_that_are_not_here_no_peak_is_measured() -> None:
    assert measure_peak(Hardware("gpu", 1, 1), "bfloat16") is None


@pytest.mark.long
def test_what_is_recorded_is_what_the_search_trained_on_where_it_came_to_the_end(
    project: Path, tmp_path: Path
) -> None:
    make_tokens(tmp_path / "tokens")
    search, training = (TrainingRuns(name, project, tmp_path) for name in ("tune", "train"))
    grid = {"learning_rates": [0.01], "compare_at": [1.0], "keep": [], "max_extensions": 0}
    search.set_params(tune=grid, compute={"devices": 2, "checkpoint_every_s": 1e6})
    assert search.run("tuned") == EXIT_DONE, search.log("tuned")
    training.set_params(tune=grid, compute={"devices": 1})
    assert training.run() == EXIT_DONE, training.log()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["accelerator"], metrics["devices"]) == ("cpu", 2)
    assert "going on after step" not in training.log()


def read_made(project: Path, folder: Path, trained: Mapping[str, Mapping[str, Any]]) -> Study:
    """As much of a study as the record of its trainings, with these values in it."""
    for size, values in trained.items():
        write_json(folder / f"{size}.json", {"parameters": 1} | values)
    params = load_params(project / "params.yaml", "tiny").params
    models = {size: params.models[size] for size in trained}
    return Study(
        profile="tiny",
        params=params.model_copy(update={"models": models}),
        artefacts=StudyFolder(folder),
        stages={},
        trained={size: read_training(folder / f"{size}.json") for size in trained},
        results={},
        curves={},
        sweeps={},
        overlap={},
    )


def test_the_report_tells_what_trained_by_the_record_and_what_the_peak_is_of(
    project: Path, tmp_path: Path
) -> None:
    peak = {"peak_flops_per_s": 802e12, "mfu": 0.5}
    trained = {
        "small": {"accelerator": "gpu", "devices": 1, **peak},
        "medium": {"accelerator": "gpu", "devices": 8, "peak_flops_per_s": 6.4e15, "mfu": 0.5},
        # Older versions recorded no kind, and the profile's `accelerator: cpu` is none of theirs.
        "large": {"devices": 2},
        "xl": {},
    }
    told = [line.partition(": ")[2] for line in trained_on(read_made(project, tmp_path, trained))]
    rest = "FLOP/s there once the training had ended, beside whatever else ran; the model had used "
    rest += "50 % of that"
    assert told == [
        f"float32 on 1 GPU; a matrix product reached 802 T{rest}",
        f"float32 on 8 GPUs; a matrix product reached 6,400 T{rest}",
        "float32 on 2 devices",
        "float32 on devices that were not recorded",
    ]
