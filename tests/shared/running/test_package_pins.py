"""The versions that a stage's hash covers, against what is installed."""

from __future__ import annotations

from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from copied_code import STAGES

from pipeline.shared.errors import UserError
from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.deciders import code_deciders
from pipeline.shared.running.package_pins import (
    DISTRIBUTIONS,
    WORKERS,
    normalise,
    read_pins,
    versions,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tree() -> CodeTree:
    return CodeTree(ROOT)


def imported(tree: CodeTree) -> dict[str, frozenset[str]]:
    return {stage: tree.closure(f"pipeline.{stage}.__main__").packages for stage in STAGES}


def test_import_names_stand_for_the_distributions_that_bring_them(tree: CodeTree) -> None:
    installed = packages_distributions()
    for package in set().union(*imported(tree).values()) & installed.keys():
        name = normalise(DISTRIBUTIONS.get(package, package))
        assert name in {normalise(found) for found in installed[package]}, package


@pytest.mark.parametrize(
    ("pin", "stages"),
    [
        ("torch", {"tune", "train", "evaluate"}),
        ("lightning", {"tune", "train"}),
        ("tokenizers", {"tokenize", "evaluate"}),
        ("rensa", {"dedup"}),
        ("matplotlib", {"report"}),
        ("nltk", {"evaluate"}),  # which rouge_score stems with
        ("mlflow", set()),
        ("prefect", set()),
        ("dvc", set()),
        ("ruff", set()),
    ],
)
def test_another_version_of_a_package_changes_the_stages_that_import_it(
    tree: CodeTree, pin: str, stages: set[str]
) -> None:
    pins = read_pins(ROOT / "constraints.txt")
    other = pins | {pin: "0.0.0"}
    assert pins[pin] != "0.0.0"
    changed = {s for s in STAGES if code_deciders(tree, s, pins) != code_deciders(tree, s, other)}
    assert changed == stages


def test_who_works_for_a_package_is_required_by_it() -> None:
    for package, workers in WORKERS.items():
        needed = " ".join(requires(package) or []) + " ".join(requires("justext") or [])
        for worker in workers:
            stem = worker.removeprefix("lxml_")  # an extra of lxml's
            assert stem in needed, f"{package}: {worker}"


def test_a_package_without_a_pin_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match="no pin of nowhere, which the code imports; add it"):
        versions({"nowhere", "numpy"}, {"numpy": "2.0"})


def test_constraints_that_are_gone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; restore it"):
        read_pins(tmp_path / "constraints.txt")
