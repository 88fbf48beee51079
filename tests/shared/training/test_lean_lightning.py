"""Lightning as trainings import it: without the packages that they do not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ASK = """
import importlib.util
import sys
import {module}
import lightning.pytorch
print(*sorted({{"torchmetrics", "scipy", "matplotlib", "transformers"}} & sys.modules.keys()))
print(importlib.util.find_spec("torchmetrics").origin)
"""


def test_a_training_imports_nothing_that_only_torchmetrics_needs(project: Path) -> None:
    code = _ASK.format(
        module="pipeline.shared.training.lean_lightning, pipeline.shared.training.fit"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    loaded, origin = done.stdout.splitlines()
    assert loaded == ""
    assert Path(origin).is_file()  # the package itself, for whoever imports it afterwards


@pytest.mark.parametrize("stage", ["tune", "train"])
def test_a_stage_imports_lightning_only_when_it_trains(stage: str, project: Path) -> None:
    code = f"import sys, pipeline.{stage}.__main__; print('lightning' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
