"""The list of modules that shape no result is held to its word, as far as can be told."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from pathlib import Path
from typing import get_args

import pytest
from copied_code import STAGES

from pipeline.shared.params import profile, text, web
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.types import Section
from pipeline.shared.running.code_closure import TOPS, Closure, CodeTree
from pipeline.shared.running.plumbing import PLUMBING

ROOT = Path(__file__).parents[3]

# What plumbing may be made with: none of it computes with arrays, text or models.
TOOLS = {"distributed", "mlflow", "pydantic", "pydantic_core", "tqdm", "upath", "ruamel", "psutil"}

# All that code that counts takes of plumbing: a way to run, to end, to report, to find.
DOORS = {
    "pipeline.shared.errors": {
        *("REMAKE", "CorruptDataError", "RetryableError", "UserError", "NonFiniteLossError"),
        *("EXIT_DONE", "EXIT_FATAL", "EXIT_TERMINATED"),
    },
    "pipeline.shared.running.executor": {"end_with_parent", "map_shards"},
    "pipeline.shared.running.open_files": {"allow_files"},
    "pipeline.shared.running.progress": {"BYTES", "Progress", "format_seconds"},
    "pipeline.shared.running.shard_memory": {"Memory", "Remembered"},
    "pipeline.shared.running.stage": {"Definition", "Stage", "main"},
    "pipeline.shared.running.storage": {"is_url", "parse_place"},
    "pipeline.shared.tracking.labels": {"NO_SETTINGS", "short_count"},
    "pipeline.shared.tracking.record": {"open_run"},
    "pipeline.shared.tracking.finished": {"record_study"},
    # Hashes of inputs and outs go into metrics.json: names of content, by which nothing is chosen.
    "pipeline.shared.running.listing": {"MANIFEST", "METRICS", "hash_input"},
    "pipeline.shared.running.work_folder": {"locked"},
}


@functools.cache
def closures(plumbing: frozenset[str]) -> dict[str, Closure]:
    tree = CodeTree(ROOT, plumbing)
    return {stage: tree.closure(f"pipeline.{stage}.__main__") for stage in STAGES}


def test_every_entry_is_a_module_that_some_stage_imports_and_has_a_reason() -> None:
    everything = set().union(*(found.modules for found in closures(frozenset()).values()))
    assert PLUMBING.keys() <= everything
    assert all(PLUMBING.values())


def test_plumbing_computes_with_nothing() -> None:
    tree = CodeTree(ROOT)
    names = {module: tree.module(module) for module in PLUMBING}
    for name, module in names.items():
        assert module is not None
        imported = {found.partition(".")[0] for found in module.names}
        assert imported - {*TOPS, *sys.stdlib_module_names} <= TOOLS, name


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_that_counts_hides_behind_plumbing(stage: str) -> None:
    """What only plumbing imports is in no hash."""
    counted = closures(frozenset(PLUMBING))[stage].modules
    rooms = {module.rpartition(".")[0] for module in PLUMBING}
    hidden = closures(frozenset())[stage].modules - counted - PLUMBING.keys() - rooms
    assert not hidden


def test_what_counts_takes_of_plumbing_no_more_than_is_known() -> None:
    """A new name here: does it shape a result? Then it belongs in a module that counts."""
    tree = CodeTree(ROOT)
    for name in set().union(*(found.modules for found in closures(frozenset(PLUMBING)).values())):
        module = tree.module(name)
        assert module is not None
        for node in ast.walk(ast.parse(module.path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module in DOORS:
                assert {alias.name for alias in node.names} <= DOORS[node.module], name


def sections() -> list[type[Section]]:
    classes = [
        value
        for module in (profile, text, web)
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Section)
    ]
    return sorted(set(classes) - {Section}, key=lambda value: value.__name__)


@pytest.mark.parametrize("section", sections())
def test_parameters_compute_nothing(section: type[Section]) -> None:
    """Derived numbers belong to the code that uses them, where they count."""
    tree = ast.parse(inspect.getsource(section))
    methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    others = [m.name for m in methods if "validator" not in ast.unparse(m.decorator_list[:1] or m)]
    assert others in (
        [],
        [
            "sizes",
            *("_corpus_has_one_source", "_sizes_rise", "_labels_differ", "_generation_fits"),
        ],
    )  # which choose and check


@pytest.mark.parametrize("section", sections())
def test_no_parameter_has_a_default(section: type[Section]) -> None:
    """DVC sees what params.yaml says; a default would be a number that it does not see."""
    assert all(field.is_required() for field in section.model_fields.values())


def test_all_sections_are_checked() -> None:
    used = {
        part for field in ProfileParams.model_fields.values() for part in _classes(field.annotation)
    }
    assert used <= set(sections())


def _classes(annotation: object) -> set[type]:
    own = {annotation} if inspect.isclass(annotation) and issubclass(annotation, Section) else set()
    return own.union(*map(_classes, get_args(annotation)))
