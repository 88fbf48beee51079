"""The same study with its trainings made on a machine that shares nothing with this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from shipped_sizes import SIZES
from small_study import Checkout

pytestmark = [pytest.mark.study, pytest.mark.timeout(900)]


def test_a_study_trained_on_a_node_ends_in_the_figure_that_it_has_here(
    study: Checkout, tmp_path: Path
) -> None:
    shutil.copytree(study.folder, tmp_path / "checkout", symlinks=True)
    study = Checkout(tmp_path / "checkout")  # the other tests want the weights
    data = study.folder / "data" / "tiny"
    figure4 = pd.read_csv(data / "report" / "figure4.csv")
    study.run("python", "-m", "pipeline.node", "pack", "--out", str(tmp_path / "payload"))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-m", "pipeline.node", "run", "--side-by-side", "2"],
        cwd=tmp_path / "payload",
        env=environment,
        check=True,
    )
    for stage in ("tune", "train", "evaluate"):
        shutil.rmtree(data / stage)
    study.run("python", "-m", "pipeline.node", "take", str(tmp_path / "payload" / "results"))
    for size in SIZES:
        assert "weights_are" in (data / "train" / size / "model.safetensors").read_text()
    # Tables and figures anew, since every record of a stage tells its seconds; no training.
    assert set(study.repro()) <= {"watch", "overlap", "report"}
    again = pd.read_csv(data / "report" / "figure4.csv")
    pd.testing.assert_frame_equal(again, figure4)
