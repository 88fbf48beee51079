"""The one reader of a study: whole, half made or damaged; and no second list of its paths."""

from __future__ import annotations

import ast
import json
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest
import yaml

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder, read_table
from pipeline.shared.study.places import every

# A file in a folder of a stage, as a string of code: `sweep.csv`, `train/*/config.json`.
_NAMED = {
    PurePosixPath(place).name
    for place in vars(places).values()
    if isinstance(place, str)
    and PurePosixPath(place).suffix
    and "{" not in PurePosixPath(place).name
}
_READERS = ("report", "compare", "plan", "shared/tracking", "overlap/find.py")
_OWN = {
    "pipeline/report/run.py": {"index.html"},  # which it writes,
    "pipeline/report/page.py": {"page.html"},
    "pipeline/compare/run.py": {"index.html"},  # as this does in another folder
}


def strings(path: Path) -> set[str]:
    """The string constants of a source that are no docstring."""
    tree = ast.parse(path.read_bytes())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {str(node.value) for node in constants if id(node) not in bare}


def test_who_reads_a_study_names_no_path_of_its_own(project: Path) -> None:
    assert {"sweep.csv", "loss_curve.csv", "samples.parquet", "metrics.json"} <= _NAMED
    for reader in _READERS:
        place = project / "pipeline" / reader
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            name = path.relative_to(project).as_posix()
            named = {
                text
                for text in strings(path)
                if " " not in text and PurePosixPath(text).name in _NAMED
            }
            assert named <= _OWN.get(name, set()), name


def test_the_stages_are_those_of_the_chain_in_its_order(project: Path) -> None:
    chain = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    sized = tuple(name for name, stage in chain.items() if "matrix" in stage)
    ends = {"watch", "overlap", "report"}  # they are before, or after, all of these
    assert sized == places.SIZED_STAGES
    assert tuple(name for name in chain if name not in {*sized, *ends}) == places.STAGES


def test_a_pattern_means_all_names_that_are_not_given() -> None:
    assert every(places.RESULT) == "evaluate/*/*.json"
    assert every(places.RESULT, size="xl") == "evaluate/xl/*.json"
    assert every(places.OVERLAP_TABLE, table="table6") == "overlap/table6.csv"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_study_half_made_says_what_it_has(tmp_path: Path) -> None:
    write(tmp_path / "train" / "xl" / "metrics.json", '{"parameters": 7, "newer": 1}')
    write(tmp_path / "train" / "a" / "loss_curve.csv", "tokens\n")  # not published yet
    study = StudyFolder(tmp_path)
    assert study.trained_sizes() == ["xl"]
    assert study.is_done("train", "xl") and not study.is_done("train", "a")
    assert not study.is_done("dedup")
    assert study.split("train") == study.reported() == {}
    assert study.report_rows("figure4") == []
    with pytest.raises(CorruptDataError, match=r"dedup/metrics\.json: no such file"):
        study.metrics("dedup")


def test_a_training_of_an_older_version_leaves_open_what_it_did_not_say(tmp_path: Path) -> None:
    write(tmp_path / "train" / "xl" / "metrics.json", '{"parameters": 7}')
    training = StudyFolder(tmp_path).training("xl")
    assert training.parameters == 7
    assert training.flops_per_token is None and training.fingerprint == ""


@pytest.mark.parametrize("content", ["{}", '{"parameters": "many"}', "[]"])
def test_what_is_no_training_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "train" / "xl" / "metrics.json"
    write(path, content)
    with pytest.raises(CorruptDataError) as caught:
        StudyFolder(tmp_path).training("xl")
    assert str(path) in str(caught.value)


def test_a_report_is_read_where_it_lies_until_it_is_published(tmp_path: Path) -> None:
    write(tmp_path / "report" / "figure4.csv", "size,test_perplexity\nxl,9.0\n")
    write(tmp_path / "staging" / "figure4.csv", "size,test_perplexity\nxl,8.25\n")
    write(tmp_path / "staging" / "metrics.json", json.dumps({"steps": 3}))
    published, made = StudyFolder(tmp_path), StudyFolder(tmp_path, tmp_path / "staging")
    assert published.report_rows("figure4") == [{"size": "xl", "test_perplexity": "9.0"}]
    assert made.report_rows("figure4") == [{"size": "xl", "test_perplexity": "8.25"}]
    assert made.reported() == {"steps": 3} and published.reported() == {}


def test_a_size_called_na_or_9_is_text_and_an_empty_cell_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "table.csv", "size,value\nNA,1.5\n9,\n")
    table = read_table(tmp_path / "table.csv")
    assert table["size"].tolist() == ["NA", "9"]
    assert pd.isna(table["value"].iloc[1])


def test_a_missing_table_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"tune/xl/sweep\.csv: no such file"):
        StudyFolder(tmp_path).sweep("xl")
