"""Fixtures for the flow: a throw-away checkout, and both servers at work in another one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_checkout import Act, Pages, opened_pages, write_checkout, write_figure4


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing has run; copied, since DVC takes a second to make one."""
    folder = tmp_path_factory.mktemp("checkout")
    write_checkout(folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, fresh_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout's folder, which is also the working folder."""
    shutil.copytree(fresh_checkout, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def act(checkout: Path) -> Act:
    """Have a stage do something before its work, e.g. `act("train@small", "sys.exit(3)")`."""

    def write(stage: str, code: str) -> None:
        (checkout / "do").mkdir(exist_ok=True)
        (checkout / "do" / stage).write_text(code)

    return write


@pytest.fixture(scope="package")
def pages(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Pages]:
    """Both servers, started once for all tests of the flow."""
    root = tmp_path_factory.mktemp("pages")
    write_checkout(root, (project / "params.yaml").read_text())
    write_figure4(root)
    shutil.copy(project / "pyproject.toml", root)
    with opened_pages(root) as opened:
        yield opened
