"""The rules of the house that no linter holds: names, layers, dvc.yaml against the code."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from functools import reduce
from itertools import product
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from shipped_sizes import SIZES

from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.deciders import ROOT
from pipeline.watch.run import STAGES_FILE, stages

STAGES = (
    "sample_web",
    "eval_sets",
    "links",
    "crawl",
    "extract",
    "dedup",
    "tokenize",
    "tune",
    "train",
    "evaluate",
    "overlap",
    "report",
)
# Commands that are no stage of the chain.
COMMANDS = ("compare", "doctor", "node", "plan", "zero_shot")


@pytest.fixture(scope="module")
def dvc_yaml(project: Path) -> dict[str, Any]:
    content: dict[str, Any] = load_yaml(project / "dvc.yaml")
    return content


def test_every_stage_of_dvc_yaml_is_a_package_and_the_other_way_round(
    dvc_yaml: dict[str, Any], project: Path
) -> None:
    packages = {path.parent.name for path in project.glob("pipeline/*/__main__.py")}
    assert set(dvc_yaml["stages"]) == packages - set(COMMANDS) == {*STAGES, "watch"}


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_goes_by_what_watch_sees_of_a_stage_and_by_no_list_of_modules(
    dvc_yaml: dict[str, Any], stage: str
) -> None:
    watched = [out for out in dvc_yaml["stages"]["watch"]["outs"] if STAGES_FILE in out]
    assert {watched[0]: [stage]} in dvc_yaml["stages"][stage]["params"]
    deps = dvc_yaml["stages"][stage]["deps"]
    assert [dep for dep in deps if dep.startswith(("pipeline", "models"))] == []


def test_each_repro_watches_all_code(dvc_yaml: dict[str, Any]) -> None:
    watch = dvc_yaml["stages"]["watch"]
    assert watch["always_changed"] is True
    assert {"pipeline", "models", "constraints.txt"} <= set(watch["deps"])
    assert stages() == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_watches_the_sections_of_params_that_the_stage_reads(
    dvc_yaml: dict[str, Any], project: Path, stage: str
) -> None:
    tree = ast.parse((project / "pipeline" / stage / "__main__.py").read_text())
    sections: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "sections":
            sections = set(ast.literal_eval(node.value))
    named = _named_params(dvc_yaml["stages"][stage])
    own = [name.removeprefix("profiles.${profile}.") for name in named if "${profile}" in name]
    assert {name.removesuffix(".${item.size}") for name in own} | {"sizes"} & {*named} == sections
    assert {name.split(".")[0] for name in sections} <= {*ProfileParams.model_fields, "sizes"}
    # Of a section that is read whole, its defaults count as well; report shows them all.
    defaults = load_yaml(project / "params.yaml")["defaults"]
    read = {"defaults"} if stage == "report" else {f"defaults.{n}" for n in sections & {*defaults}}
    assert read == {name for name in named if name.startswith("defaults")}


def test_every_key_that_dvc_looks_at_is_in_every_profile(
    dvc_yaml: dict[str, Any], project: Path
) -> None:
    """DVC refuses a stage whose key is missing; what it looks at alone is in no default."""
    params = load_yaml(project / "params.yaml")
    named = {name for stage in dvc_yaml["stages"].values() for name in _named_params(stage)}
    assert len(named) > 30
    for name, profile, size in product(named, params["profiles"], SIZES):
        keys = name.replace("${profile}", profile).replace("${item.size}", size).split(".")
        reduce(getitem, keys, params)


def _named_params(stage: dict[str, Any]) -> list[str]:
    """What a stage of dvc.yaml names of params.yaml."""
    return [name for part in stage.get("params", ()) for name in part.get("params.yaml", ())]


def test_the_chain_names_no_size_and_what_reads_all_waits_for_their_folders(
    dvc_yaml: dict[str, Any], project: Path
) -> None:
    for size in SIZES:
        assert not re.search(rf"\b{size}\b", (project / "dvc.yaml").read_text())
    folders = {f"data/${{profile}}/{stage}" for stage in ("tune", "train", "evaluate")}
    assert folders <= set(dvc_yaml["stages"]["report"]["deps"])
    assert folders - {"data/${profile}/tune"} <= set(dvc_yaml["stages"]["overlap"]["deps"])


def test_no_code_names_a_size(project: Path) -> None:
    """Names stand in params.yaml; the parameters that were read hand them on."""
    named = [
        (path, node.value)
        for path in _sources(project)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in SIZES
    ]
    assert named == []


_CODE = ("flows", "pipeline", "models")


def _sources(project: Path, folders: Sequence[str] = _CODE) -> list[Path]:
    return [path for top in folders for path in project.glob(f"{top}/**/*.py")]


def test_no_module_has_a_name_that_says_nothing(project: Path) -> None:
    empty_names = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert [path for path in _sources(project) if path.name in empty_names] == []


def test_no_file_is_longer_than_350_lines(project: Path) -> None:
    long = {
        str(path): n
        for path in _sources(project, (*_CODE, "tests", "benchmarks"))
        if (n := len(path.read_text().splitlines())) > 350
    }
    assert long == {}


def test_every_package_is_listed_as_a_dependency(project: Path) -> None:
    """What the code imports stands in pyproject.toml, so that a bare machine can run it."""
    declared = re.findall(
        r'(?m)^    "([A-Za-z0-9_.-]+)[><=]', (project / "pyproject.toml").read_text()
    )
    names = {name.lower().replace("-", "_") for name in declared}
    aliases = {
        "yaml": "pyyaml",
        "ruamel": "ruamel.yaml",
        "rouge_score": "rouge_score",
        "markupsafe": "jinja2",
        "PIL": "pillow",
        "upath": "universal_pathlib",
    }
    imported = set()
    for path in _sources(project):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"flows", "pipeline", "models"}
    missing = {name for name in third_party if aliases.get(name, name.lower()) not in names}
    assert missing <= {"pydantic_core"}


def test_a_pin_stands_for_every_dependency(project: Path) -> None:
    text = (project / "pyproject.toml").read_text()
    declared = re.findall(r'(?m)^    "([A-Za-z0-9_.-]+)[><=]', text)
    pins = {
        line.split("==")[0].lower().replace("-", "_").replace(".", "_")
        for line in (project / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    lowered = {name.lower().replace("-", "_").replace(".", "_") for name in declared}
    assert lowered - pins == set()


def test_the_pins_avoid_releases_known_to_be_bad(project: Path) -> None:
    """FastAPI 0.151 and newer break Prefect 3.8; Lightning 2.6.2 and 2.6.3 were malicious."""
    pins = dict(
        line.split("==")
        for line in (project / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    assert (0, 139) <= tuple(map(int, pins["fastapi"].split(".")[:2])) < (0, 151)
    assert pins["lightning"] not in {"2.6.2", "2.6.3"}
    assert pins["lightning"] == pins["pytorch-lightning"]


def test_dvc_passes_over_byte_code(project: Path) -> None:
    """A __pycache__ beside a module would count as a change of the stage."""
    assert "__pycache__/" in (project / ".dvcignore").read_text().splitlines()


def test_no_two_test_files_share_a_name(project: Path) -> None:
    """Pytest imports tests by their base names and stops at the second of one name."""
    names = [path.name for path in project.glob("tests/**/*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_how_to_fetch_undoes_no_fetch(dvc_yaml: dict[str, Any], project: Path) -> None:
    """Pace, agent and deadlines are parameters of no result: neither DVC's nor a fingerprint's."""
    for stage in dvc_yaml["stages"].values():
        named = [param for param in stage.get("params", []) if isinstance(param, str)]
        assert not [param for param in named if "fetching" in param or "compute" in param]
    mains = [path.read_text() for path in project.glob("pipeline/*/__main__.py")]
    assert not [text for text in mains if '"fetching' in text or '"compute' in text]


def test_no_rule_of_extraction_decides_what_is_fetched(dvc_yaml: dict[str, Any]) -> None:
    named = [p for p in dvc_yaml["stages"]["crawl"]["params"] if isinstance(p, str)]
    assert not [param for param in named if ".extract" in param]
    modules = CodeTree(ROOT).closure("pipeline.crawl.__main__").modules
    assert not [name for name in modules if name.startswith("pipeline.extract")]
    assert "pipeline.crawl.fetch" in modules
