"""A set whose package is not installed, and what the command that it names comes to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from published_files import write_published_files
from scored_study import CONTEXT, Study
from stage_runs import StageRuns

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.scores.results import Result, read_results

KEPT = {"cnn_dm", "ptb", "wmt14_fr_en"}
PARAMS = {
    "leave_out": sorted(EVAL_SETS.keys() - KEPT),
    "strides": [CONTEXT],
    "figure4_stride": CONTEXT,
    "bootstrap_samples": 20,
    "summary_tokens": 12,
    "translation_tokens": 6,
    "max_generated_examples": 4,
    "figure5_documents": 2,
    "figure5_context_tokens": 20,
    "figure5_sample_tokens": 4,
}
DVC_AGAIN = "`dvc repro --force --single-item evaluate@small` and `dvc repro`"


@pytest.fixture(scope="module")
def eval_sets(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    runs = StageRuns(
        "eval_sets", project, folder, {"sample_web": write_published_files(folder / "web")}
    )
    runs.set_params(eval_sets={"max_examples": 8, "max_text_bytes": 2000})
    return runs.run() / "test"


class Machine:
    """Runs evaluate@small in a folder, with packages or without."""

    def __init__(self, project: Path, folder: Path, study: Study, sets: Path) -> None:
        inputs = {"model": study.model, "tokens": study.tokens, "eval_sets": sets}
        self._runs = StageRuns("evaluate", project, folder, inputs)
        self._runs.set_params(evaluate=PARAMS, compute={"threads": 1})
        self.project, self.folder, self.out = project, folder, folder / "out"
        self.command = [*self._runs.command(), "--size=small"]

    def hide(self, *packages: str) -> None:
        """Have these alone be as packages that are not installed."""
        shutil.rmtree(self.folder / "site", ignore_errors=True)
        for package in packages:
            (self.folder / "site" / package).mkdir(parents=True)
            module = self.folder / "site" / package / "__init__.py"
            module.write_text("raise ModuleNotFoundError(__name__)")

    def run(self, *command: str) -> str:
        """Run a command to its end, and return what it says."""
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        places = f"{self.folder / 'site'}{os.pathsep}{self.project}"
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"PATH": programs, "PYTHONPATH": places, "DVC_NO_ANALYTICS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def result(self, name: str) -> Result:
        """What is published of a set."""
        return read_results(self.out)[name]

    def lacking(self) -> dict[str, str]:
        """What metrics.json says of packages."""
        found: dict[str, str] = json.loads((self.out / "metrics.json").read_text())[
            "packages_lacking"
        ]
        return found

    def scored_at(self, name: str) -> int:
        """When a set's result was written in the work folder."""
        (path,) = self.folder.glob(f"work/tiny/evaluate@small/*/out/{name}.json")
        return path.stat().st_mtime_ns


@pytest.fixture
def machine(project: Path, tmp_path: Path, study: Study, eval_sets: Path) -> Machine:
    return Machine(project, tmp_path, study, eval_sets)


@pytest.mark.slow
def test_after_the_installation_the_same_command_scores_the_set_and_no_other(
    machine: Machine,
) -> None:
    machine.hide("rouge_score", "sacrebleu")
    machine.run(*machine.command)
    assert machine.result("cnn_dm").not_run == (
        "ROUGE needs rouge-score; pip install -c constraints.txt rouge-score, then the same command"
    )
    assert machine.lacking() == {"cnn_dm": "rouge-score", "wmt14_fr_en": "sacrebleu"}
    assert "already done" in machine.run(*machine.command)
    before = {name: machine.scored_at(name) for name in KEPT}

    machine.hide("nltk")  # rouge-score is there, and what it imports is not
    machine.run(*machine.command)
    assert machine.lacking() == {"cnn_dm": "rouge-score"}
    assert machine.result("wmt14_fr_en").protocol["sacrebleu"]

    machine.hide()
    machine.run(*machine.command)
    assert machine.lacking() == {}
    assert machine.result("cnn_dm").num_examples == 4
    after = {name: machine.scored_at(name) for name in KEPT}
    assert {name for name in KEPT if after[name] == before[name]} == {"ptb"}
    assert "already done" in machine.run(*machine.command)


@pytest.mark.slow
def test_a_package_installed_between_a_kill_and_the_next_attempt_is_used(machine: Machine) -> None:
    machine.hide("rouge_score")
    machine.run(*machine.command)
    (complete,) = machine.folder.glob("work/tiny/evaluate@small/*/complete.json")
    complete.unlink()  # as a kill at the end leaves it
    machine.hide()
    machine.run(*machine.command)
    assert machine.result("cnn_dm").num_examples == 4


@pytest.mark.slow
def test_with_dvc_the_command_that_the_result_names_scores_the_set(machine: Machine) -> None:
    stage = {"cmd": " ".join(machine.command), "outs": ["out"]}
    (machine.folder / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"evaluate": {"matrix": {"size": ["small"]}, **stage}}})
    )
    machine.run("dvc", "init", "--no-scm", "--quiet")
    machine.hide("rouge_score")
    machine.run("dvc", "repro")
    assert machine.result("cnn_dm").not_run.endswith(f"rouge-score, then {DVC_AGAIN}")
    before = machine.scored_at("ptb")

    machine.hide()
    assert "Running stage" not in machine.run("dvc", "repro")  # which is why it is not named
    for command in re.findall(r"`([^`]+)`", machine.result("cnn_dm").not_run):
        machine.run(*command.split())
    assert machine.result("cnn_dm").num_examples == 4
    assert machine.scored_at("ptb") == before
