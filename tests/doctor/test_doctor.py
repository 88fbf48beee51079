"""`python -m pipeline.doctor` names what is missing, with what to do, and ends with 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.doctor import software
from pipeline.doctor.__main__ import examine, main
from pipeline.doctor.finding import Finding
from pipeline.doctor.machine import check_machine
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.params.file import load_params
from pipeline.shared.params.yaml_file import load_yaml


@pytest.fixture
def checkout(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the doctor reads of a checkout; the working folder."""
    for name in ("params.yaml", "pyproject.toml", "constraints.txt"):
        shutil.copy(project / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_params(checkout: Path, profile: str, **sections: dict[str, object]) -> None:
    content = load_yaml(checkout / "params.yaml")
    for section, changes in sections.items():
        content["profiles"][profile][section].update(changes)
    (checkout / "params.yaml").write_text(json.dumps(content))


def lines_of(level: str, profile: str | None = None) -> str:
    found = [one.as_line() for one in examine(Path(), profile) if one.level == level]
    return "\n".join(found)


def test_the_default_study_lacks_nothing_here(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "wrong" not in printed
    assert "ok     evaluation sets: from sample_web" in printed


def test_a_missing_corpus_and_missing_sets_are_named_with_their_commands(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lambada = EVAL_SETS["lambada"].test
    have = checkout / "data" / "published_eval_sets" / next(iter(lambada.values())).folder
    have.mkdir(parents=True)
    for file in lambada.values():
        (have / f"{file.forms[0].name}.xz").touch()
    assert main(["--profile", "laptop"]) == 1
    printed = capsys.readouterr().out
    assert "extract.location = data/corpus: no such file or folder; put it there" in printed
    published = [one for one in EVAL_SETS.values() if one.test]
    assert f"evaluation sets: 1 of {len(published)} have files" in printed
    assert "note   lambada" not in printed
    assert "note   ptb: data/published_eval_sets" in printed
    assert "mkdir -p data/published_eval_sets/ptb && curl" in printed


def test_other_versions_than_the_pins_and_missing_packages_are_told(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = software.version

    def version(name: str) -> str:
        if name == "dvc":
            raise software.PackageNotFoundError(name)
        return "0.1" if name == "pandas" else installed(name)

    monkeypatch.setattr(software, "version", version)
    assert "dvc: not installed, " in lines_of("wrong")
    assert "pandas: 0.1, " in lines_of("note")


def test_another_python_is_told_before_anything_is_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software.sys, "version_info", (3, 10, 4))
    assert "Python 3.10.4: 3.11 to 3.13 are tested" in lines_of("wrong")


def test_a_gpu_that_is_not_there_is_told(project: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    params = load_params(project / "params.yaml", "single_gpu").params
    found = [one for one in check_machine(params, tmp_path) if one.level == "wrong"]
    assert any("GPUs: 0 are seen, and compute.devices = 1" in one.what for one in found)


def test_a_crawl_without_an_agent_is_wrong(checkout: Path) -> None:
    dumps = checkout / "dumps"
    dumps.mkdir()
    set_params(checkout, "paper", links={"location": str(dumps)})
    assert "fetching.user_agent is empty; name the crawler" in lines_of("wrong", "paper")


def test_what_a_killed_run_left_is_told(checkout: Path) -> None:
    unfinished = checkout / "work" / "tiny" / "train@small" / "0123"
    unfinished.mkdir(parents=True)
    (unfinished / "attempts").write_text("1\n")
    done = checkout / "work" / "tiny" / "dedup" / "4567"
    done.mkdir(parents=True)
    (done / "attempts").write_text("1\n")
    (done / "complete.json").write_text("{}")
    assert "unfinished work: train@small; the next run goes on there" in lines_of("note")


def test_a_mistake_in_params_is_a_line_and_not_the_end(checkout: Path) -> None:
    path = checkout / "params.yaml"
    path.write_text(path.read_text().replace("profile: tiny", "profile: tinny"))
    assert "profile = 'tinny' is not under profiles" in lines_of("wrong")


def test_a_line_says_what_and_then_what_to_do() -> None:
    assert Finding("note", "a", "b").as_line() == "note   a; b"
