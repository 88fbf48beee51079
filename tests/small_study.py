"""A checkout of the project whose study is small: the shipped chain and code, smaller numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

# section -> key -> value in the tiny profile; everything else stays as shipped
SMALLER: dict[str, dict[str, Any]] = {
    "sample_web": {"max_pages": 260},
    "eval_sets": {"max_examples": 12, "max_text_bytes": 4_000},
    "tokenize": {"vocab_size": 512, "train_bytes": 400_000},
    "tune": {
        "learning_rates": [1.0e-2],
        "compare_at": [0.5],
        "keep": [],
        "max_extensions": 0,
    },
    "train": {
        "tokens": 16_384,
        "batch_tokens": 2048,
        "warmup_tokens": 2048,
        "eval_every_tokens": 8192,
    },
    "evaluate": {
        "train_documents": 12,
        "test_documents": 12,
        "bootstrap_samples": 50,
        "max_generated_examples": 4,
        "figure5_documents": 6,
    },
}


class Checkout:
    """A copy of the project with a repository, a cache and a study of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first_run: list[str] = []
        """The stages that the first `repro` ran."""

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, with this environment's programs first."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=840,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def repro(self) -> list[str]:
        """`dvc repro`; returns the stages that ran."""
        return re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro").stdout)

    def environment(self) -> dict[str, str]:
        """This process's, with this environment's programs first and nobody called home."""
        programs = Path(sys.executable).parent
        return os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def set_params(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Write section -> key -> value into the profile tiny of params.yaml."""
        path = self.folder / "params.yaml"
        yaml = YAML()  # keeps order and form
        content = yaml.load(path)
        for section, values in changes.items():
            content["profiles"]["tiny"].setdefault(section, {}).update(values)
        yaml.dump(content, path)

    def keep_sizes(self, count: int) -> None:
        """Leave the study its smallest rungs."""
        path = self.folder / "params.yaml"
        yaml = YAML()
        content = yaml.load(path)
        del content["sizes"][count:]
        yaml.dump(content, path)


def small_checkout(project: Path, folder: Path) -> Checkout:
    """A copy of the project in an empty folder, its numbers smaller; nothing has run yet."""
    for name in ("flows", "pipeline", "models", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp")
        shutil.copytree(project / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", "pyproject.toml", "constraints.txt", ".dvcignore"):
        shutil.copy(project / name, folder / name)
    checkout = Checkout(folder)
    checkout.run("git", "init", "--quiet")
    checkout.set_params(SMALLER)
    return checkout
