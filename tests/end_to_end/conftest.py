"""A whole study in a checkout of its own, made once for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_study import SMALLER, Checkout


@pytest.fixture(scope="session")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose tiny study takes a minute or two; nothing has run yet."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("flows", "pipeline", "models", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp")
        shutil.copytree(project / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", "params.yaml", "pyproject.toml", "constraints.txt", ".dvcignore"):
        shutil.copy(project / name, folder / name)
    checkout = Checkout(folder)
    checkout.run("git", "init", "--quiet")
    for section, changes in SMALLER.items():
        for key, value in changes.items():
            checkout.set_param(rf"(?ms)^(    {section}:\n.*?^      {key}: )[^\n]*", str(value))
    return checkout


@pytest.fixture(scope="session")
def study(checkout: Checkout) -> Checkout:
    """The checkout after one `dvc repro`."""
    checkout.first_run = checkout.repro()
    return checkout
