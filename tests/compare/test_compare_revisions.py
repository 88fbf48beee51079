"""Studies at Git revisions and `dvc exp` experiments, in a real repository with a real cache."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shipped_sizes import SIZES

from pipeline.compare.command import CompareOptions, Named
from pipeline.compare.run import compare
from pipeline.shared.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.long]

# The two sized stages in one: it makes a study and moves its losses by the seed of order.
_WORK = """
import shutil, sys
from pathlib import Path
import yaml
from made_studies import move_losses
seed = yaml.safe_load(open("params.yaml"))["profiles"]["tiny"]["seeds"]["order"]
for name in ("train", "evaluate"):
    shutil.copytree(Path(sys.argv[1]) / name, Path("data/tiny") / name, dirs_exist_ok=True)
if seed != 1:
    move_losses(Path("data/tiny"), seed)
"""


def _run(root: Path, *command: str) -> None:
    paths = [str(path) for path in Path(__file__).parents[:3]]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(paths),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def repository(made: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with seed 1 on the branch, seeds 2 and 3 as experiments of the documented form."""
    root = tmp_path_factory.mktemp("repository")
    _run(root, "git", "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "test"), ("user.email", "test@example.org")):
        _run(root, "git", "config", name, value)
    _run(root, "dvc", "init", "--quiet")
    shutil.copy(project / "params.yaml", root)
    (root / "work.py").write_text(_WORK)
    stage = {
        "cmd": f"python work.py {made}",
        "params": ["profiles.tiny.seeds", "profiles.tiny.train"],
        "outs": [f"data/tiny/evaluate/{size}" for size in SIZES],
        "metrics": [{f"data/tiny/train/{size}/metrics.json": {"cache": False}} for size in SIZES],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"study": stage}}))
    _run(root, "dvc", "repro", "--quiet")
    _run(root, "git", "add", "--all")
    _run(root, "git", "commit", "--quiet", "--message", "the study")
    for seed in (2, 3):
        changes = [f"-S=profiles.tiny.seeds.{name}={seed}" for name in ("order", "initialisation")]
        _run(root, "dvc", "exp", "run", "--quiet", *changes, "-n", f"seed-{seed}")
    _run(root, "git", "checkout", "--quiet", ".")
    _run(root, "dvc", "checkout", "--quiet")
    return root


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def _asked(*names: str) -> CompareOptions:
    return CompareOptions([Named(name) for name in names], Path("out"))


_LOG = logging.getLogger("test")


def test_experiments_by_seed_are_replicates_of_the_study_in_the_checkout(
    repository: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    compared = compare(_asked("tiny", "seed-2", "tiny@seed-3"), scratch, _LOG)
    (group,) = compared.groups
    assert [study.seeds["seeds.order"] for study in group.studies] == [1, 2, 3]
    assert group.studies[1].place.origin.startswith("seed-2, commit ")
    values = {
        study.sizes["xl"].results["webtext_test"].metrics["perplexity"] for study in group.studies
    }
    assert len(values) == 3


def test_a_branch_and_a_hash_name_the_study_of_their_commit(
    repository: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True)
    compared = compare(_asked("tiny", "main", commit[:10]), scratch, _LOG)
    assert len(compared.groups) == 3  # with the same seeds they are no replicates
    ratios = compared.tables["ratios"].query("kind == 'ratio'")
    assert set(ratios["value"]) == {1.0}


def test_artefacts_that_left_the_cache_are_one_line_with_what_helps(
    repository: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = Path(shutil.copytree(repository, tmp_path / "again", symlinks=True))
    shutil.rmtree(again / ".dvc" / "cache")
    monkeypatch.chdir(again)
    with pytest.raises(UserError, match=r"evaluate.* is not in DVC's cache; get it by `dvc fetch"):
        compare(_asked("seed-2"), scratch, _LOG)


@pytest.mark.parametrize("name", ["seed-9", "tiny@seed-9", "no/such/folder"])
def test_a_name_of_nothing_is_one_line(
    repository: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(repository)
    with pytest.raises(UserError, match=f"{name}: no profile with artefacts"):
        compare(_asked(name), scratch, _LOG)


def test_a_profile_that_the_revision_has_not_is_told(
    repository: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    with pytest.raises(UserError, match="has no study in data/paper"):
        compare(_asked("paper@main"), scratch, _LOG)


def test_outside_a_repository_a_name_is_one_line(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scratch)
    with pytest.raises(UserError, match="seed-2: no profile"):
        compare(_asked("seed-2"), scratch, _LOG)
