"""What is read: the run-time packages of figure4, in their pinned versions."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.sample_web.sources import (
    DISTRIBUTIONS,
    find_distribution,
    find_sources,
    unlike_pinned,
    versions,
)
from pipeline.shared.errors import UserError


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime_dependencies() -> set[str]:
    """Everything that figure4 needs without its extras, however indirectly."""
    found: set[str] = set()
    waiting = ["figure4"]
    while waiting:
        name = canonical(waiting.pop())
        if name in found:
            continue
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform
            continue
        found.add(name)
        waiting += [
            requirement.name
            for requirement in map(Requirement, requirements)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return found


def test_only_run_time_dependencies_are_read() -> None:
    assert set(DISTRIBUTIONS) <= runtime_dependencies()
    assert len(set(DISTRIBUTIONS)) == len(DISTRIBUTIONS)


def test_every_version_is_the_pinned_one(project: Path) -> None:
    assert unlike_pinned(versions(), project / "constraints.txt") == []


def test_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("# comment\nnumpy==1.0\ntorch==2.0\n")
    assert unlike_pinned({"numpy": "2.0", "torch": "2.0+cpu"}, path) == [
        "numpy 2.0 is installed where constraints.txt pins 1.0"
    ]


def test_a_missing_package_names_the_remedy() -> None:
    with pytest.raises(UserError, match=r"no-such-package is not installed.*pip install"):
        find_distribution("no-such-package")


def test_tests_and_vendored_code_are_left_out() -> None:
    sources = find_sources()
    assert not [s for s in sources if re.search(r"/(tests?|_vendor)/|/test_\w+\.py", str(s.path))]
    assert {"pydoc_data.topics", "pandas.core.frame", "argparse"} <= {s.module for s in sources}
