"""What `make` does before there is an environment, with stand-ins for Python and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STAND_IN = """#!/bin/sh
case "$1" in
-c) exec {python} -c "import sys; sys.version_info = {version}; $2" ;;
-m) if [ "$2" = venv ]; then mkdir -p .venv/bin; cp {modern} .venv/bin/python; fi ;;
esac
"""


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    """A folder with the project's Makefile and two Pythons: old is 3.10, new is 3.12."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(project / name, tmp_path)
    for name, version in (("old", (3, 10, 14)), ("new", (3, 12, 1))):
        path = tmp_path / name
        text = STAND_IN.format(python=sys.executable, version=version, modern=tmp_path / "new")
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path


def make(checkout: Path, python: str) -> subprocess.CompletedProcess[str]:
    command = ["make", ".venv/study.stamp", f"PYTHON={checkout / python}"]
    # Not as a part of the `make test` that may have started this.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=checkout, env=alone, capture_output=True, text=True, check=False
    )


def test_a_python_that_is_too_old_is_refused_in_a_line_before_anything_is_made(
    checkout: Path,
) -> None:
    refused = make(checkout, "old")
    assert refused.returncode != 0
    (line, *rest) = refused.stderr.splitlines()
    assert "is Python 3.10, and figure4 needs 3.11 to 3.13: make PYTHON=" in line
    assert all(said.startswith("make:") for said in rest)
    assert not (checkout / ".venv").exists()
    assert make(checkout, "new").returncode == 0
    assert (checkout / ".venv" / "study.stamp").is_file()


def test_an_environment_of_an_old_python_gives_way_to_the_right_one(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(checkout / "old", checkout / ".venv" / "bin" / "python")
    assert make(checkout, "new").returncode == 0
    assert (checkout / ".venv" / "bin" / "python").read_bytes() == (checkout / "new").read_bytes()


def test_makefile_checks_the_pythons_that_the_package_takes(project: Path) -> None:
    asked = re.search(
        r'requires-python = ">=3\.(\d+),<3\.(\d+)"', _read(project / "pyproject.toml")
    )
    checked = re.search(r"\(3, (\d+)\) <= .* < \(3, (\d+)\)", _read(project / "Makefile"))
    assert asked and checked and asked.groups() == checked.groups()


def test_a_git_worktree_is_a_git_checkout(checkout: Path) -> None:
    # Its .git is a file that names the folder.
    repository, worktree = checkout / "repository", checkout / "worktree"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet", repository], check=True)
    commit = ["commit", "--quiet", "--allow-empty", "-m", "first"]
    subprocess.run([*git, *commit], cwd=repository, check=True)
    add = ["worktree", "add", "--quiet", worktree]
    subprocess.run([*git, *add], cwd=repository, check=True, capture_output=True)
    assert (worktree / ".git").is_file()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(checkout / name, worktree)
    command = ["make", "study", f"PYTHON={checkout / 'new'}"]
    said = subprocess.run(command, cwd=worktree, capture_output=True, text=True, check=True).stdout
    assert "Not a git clone" not in said
    assert (worktree / ".git").is_file()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
