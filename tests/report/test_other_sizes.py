"""Studies of one, three and five rungs, with names of their own, through overlap and report."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from made_study import MadeStudy, make_study, name_sizes
from stage_runs import StageRuns

pytestmark = pytest.mark.long

# Names that a CSV's reader might take for numbers or gaps are names all the same.
NAMES = {1: ("only",), 3: ("3M", "mid-dle", "Grande_2"), 5: ("9", "12", "NA", "40M", "98M")}


class Reported(NamedTuple):
    """A study of so many rungs, and what overlap and report made of it."""

    study: MadeStudy
    overlap: Path
    report: Path

    @property
    def sizes(self) -> list[str]:
        """In the order of params.yaml."""
        return list(NAMES[len(self.study.params.sizes)])

    def sizes_in(self, name: str, folder: str = "report") -> list[str]:
        """The values of a table's column `size`, each once, in order; none is the empty one."""
        path = (self.report if folder == "report" else self.overlap) / f"{name}.csv"
        rows = csv.DictReader(path.read_text().splitlines())
        return [size for size in dict.fromkeys(row["size"] for row in rows) if size]


@pytest.fixture(scope="module", params=NAMES)
def reported(
    request: pytest.FixtureRequest, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Reported:
    """Both stages run as DVC would run them."""
    root = tmp_path_factory.mktemp(f"{request.param}_sizes")
    params = yaml.safe_load((project / "params.yaml").read_text())
    name_sizes(params, NAMES[request.param])
    params["profiles"]["tiny"]["evaluate"]["bootstrap_samples"] = 100
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    made = make_study(root / "data" / "tiny", root / "params.yaml")
    # What a rung that `sizes` no longer names left behind is no part of the study.
    for stage in ("tune", "train", "evaluate"):
        shutil.copytree(made.folder / stage / NAMES[request.param][0], made.folder / stage / "gone")
    inputs = {
        "documents": made.folder / "dedup" / "kept",
        "trained": made.folder / "train",
        "eval_sets": made.folder / "eval_sets",
        "results": made.folder / "evaluate",
    }
    overlap = StageRuns("overlap", project, root, inputs).run("data/tiny/overlap")
    report = StageRuns("report", project, root, {"study": made.folder}).run("data/tiny/report")
    return Reported(made, overlap, report)


@pytest.mark.parametrize("table", ["figure5", "clean_subset", "coqa_domains", "copied_spans"])
def test_overlap_counts_just_the_sizes_of_the_study(reported: Reported, table: str) -> None:
    assert reported.sizes_in(table, "overlap") == reported.sizes


@pytest.mark.parametrize(
    "table", ["figure4", "table2", "rates", "table3", "table4", "tasks", "scores", "copied"]
)
def test_a_table_of_the_report_has_just_the_sizes_of_the_study(
    reported: Reported, table: str
) -> None:
    assert reported.sizes_in(table) == reported.sizes


def test_each_figure_draws_a_line_a_size_in_a_colour_of_its_own(reported: Reported) -> None:
    for name in ("training_curves", "learning_rates", "figure5", "calibration"):
        svg = (reported.report / f"{name}.svg").read_text()
        colours = set(re.findall(r"stroke: (#[0-9a-f]{6})", svg))
        blues = {c for c in colours if int(c[5:], 16) > int(c[1:3], 16) + 60}
        assert len(blues) >= len(reported.sizes), name


def test_the_page_counts_the_models_and_names_each(reported: Reported) -> None:
    page = (reported.report / "index.html").read_text()
    said = {1: "Table 2.</strong> The model", 3: "The three models", 5: "The five models"}[
        len(reported.sizes)
    ]
    assert said in page
    for size in reported.sizes:
        assert f'<th scope="row">{size}' in page
    assert "gone" not in re.findall(r'<th scope="row">(\S+?)[ <]', page)


def test_colours_between_those_of_the_theme_have_a_dark_twin_too(reported: Reported) -> None:
    page = (reported.report / "index.html").read_text()
    between = len(reported.sizes) > 1
    assert ("color-mix(in srgb, var(--size-" in page) == between


def test_every_step_between_neighbours_is_judged(reported: Reported) -> None:
    metrics = json.loads((reported.report / "metrics.json").read_text())
    assert metrics["steps"] == 2 * (len(reported.sizes) - 1)
    falls = True if len(reported.sizes) > 1 else None  # one size has no step
    assert metrics["train_perplexity_falls"] is falls
    page = (reported.report / "index.html").read_text()
    assert (
        ("takes a second size" in page)
        == ("cannot be told from one size" in page)
        == (falls is None)
    )


def test_dvc_gets_a_file_a_size_with_figure_4_and_table_3(reported: Reported) -> None:
    files = sorted(path.name for path in (reported.report / "sizes").iterdir())
    assert files == sorted(f"{size}.json" for size in reported.sizes)
    text = (reported.report / "figure4.csv").read_text()
    rows = {row["size"]: row for row in csv.DictReader(text.splitlines())}
    for size in reported.sizes:
        told = json.loads((reported.report / "sizes" / f"{size}.json").read_text())
        result = json.loads((reported.study.folder / f"evaluate/{size}/lambada.json").read_text())
        assert told["params"] == reported.study.num_parameters[size]
        assert told["test_ppl"] == pytest.approx(float(rows[size]["test_perplexity"]), rel=1e-4)
        assert told["lambada_ppl"] == pytest.approx(result["metrics"]["perplexity"], rel=1e-4)


def test_a_row_of_dvcs_table_fits_200_columns(reported: Reported) -> None:
    # As DVC prints it: the path, then names or numbers, whichever are wider, four blanks apart.
    # These models have hardly been trained: perplexities of more than seven digits are theirs.
    for size in reported.sizes:
        told = json.loads((reported.report / "sizes" / f"{size}.json").read_text())
        numbers = {name: f"{value:.5f}".rstrip("0") for name, value in told.items()}
        columns = [max(len(name), min(len(numbers[name].rstrip(".")), 7)) for name in told]
        path = "data/laptop/report/sizes/medium.json"
        assert len(told) > 10
        assert len(path) + sum(4 + width for width in columns) <= 200
