"""The report stage as DVC starts it: promised files, their numbers, the same bytes every time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from made_study import PARAMETERS, MadeStudy
from shipped_sizes import SIZES
from stage_runs import StageRuns, read_bytes

from pipeline.report.beside_the_paper import COLUMNS
from pipeline.shared.scores.results import read_result
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking import study as study_record

PROMISED = [
    "index.html",
    *(f"figure{number}.{kind}" for number in range(1, 6) for kind in ("png", "svg")),
    *("figure4.csv", "table2.csv", "table3.csv", "table4.csv", "table5.csv", "table6.csv"),
]


def test_every_promised_file_is_there(out: Path) -> None:
    assert [name for name in PROMISED if not (out / name).is_file()] == []


def test_figure4_has_the_promised_columns_and_evaluates_numbers(made: MadeStudy, out: Path) -> None:
    table = pd.read_csv(out / "figure4.csv")
    assert list(table.columns) == [
        *("size", "parameters", "train_perplexity", "test_perplexity"),
        *("test_perplexity_low", "test_perplexity_high"),
        *("train_perplexity_low", "train_perplexity_high"),
        *("gap_nats", "gap_nats_low", "gap_nats_high", "non_embedding_parameters"),
        *("epochs", "tokens_per_parameter"),
        *("train_bits_per_byte", "train_bits_per_byte_low", "train_bits_per_byte_high"),
        *("test_bits_per_byte", "test_bits_per_byte_low", "test_bits_per_byte_high"),
        *("gap_bits_per_byte", "gap_bits_per_byte_low", "gap_bits_per_byte_high"),
    ]
    assert table["size"].tolist() == list(SIZES)
    assert table["parameters"].tolist() == list(PARAMETERS.values())
    for row in table.itertuples():
        result = read_result(made.folder / "evaluate" / str(row.size) / "webtext_test.json")
        assert row.test_perplexity == pytest.approx(result.metrics["perplexity"])
        assert (row.test_perplexity_low, row.test_perplexity_high) == pytest.approx(
            tuple(result.intervals["perplexity"])
        )


def test_metrics_say_whether_figure_4_falls(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    table = pd.read_csv(out / "figure4.csv")
    assert metrics["train_perplexity_falls"] is True and metrics["test_perplexity_falls"] is True
    ratio = table["test_perplexity"].iloc[0] / table["test_perplexity"].iloc[-1]
    assert metrics["test_perplexity_ratio"] == pytest.approx(ratio, abs=1e-4)
    for name in ("test_exponent", "test_exponent_without_embeddings"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"] < 0
    assert metrics["still_underfits"] in {"holds", "in part", "open"}  # its test loss falls
    assert metrics["steps_that_fall_beyond_chance"] == metrics["steps"] == 6


def test_table5_lists_the_surest_answers_first(out: Path) -> None:
    table = pd.read_csv(out / "table5.csv")
    assert list(table.columns) == ["question", "answer", "correct", "probability"]
    assert table["probability"].is_monotonic_decreasing and len(table) > 1


def test_mlflow_is_given_the_new_numbers_of_every_size(made: MadeStudy, out: Path) -> None:
    record = study_record.read_study("tiny", made.params, StudyFolder(made.folder, out))
    table = pd.read_csv(out / "figure4.csv").set_index("size")
    for size in record.sizes:
        values = {point.name: point.value for point in size.scores}
        for name in ("train_perplexity", "test_perplexity", "gap_nats"):
            assert values[name] == pytest.approx(table.loc[size.size, name], rel=1e-5)
        assert f"{table.loc[size.size, 'gap_nats']:+.3f} |" in record.note


def _has(file: str, work: Path) -> bool:
    return (work / file).exists()


def test_killed_and_started_again_it_ends_with_the_same_bytes(runs: StageRuns, out: Path) -> None:
    whole = read_bytes(out)
    shutil.rmtree(runs.folder / "work")
    runs.kill_when(partial(_has, "out/figure3.svg"), "killed")
    assert read_bytes(runs.run("killed")) == whole


def test_a_file_that_the_report_does_not_read_starts_nothing_afresh(
    runs: StageRuns, out: Path, made: MadeStudy
) -> None:
    before = runs.work_folders()
    (made.folder / "train" / "small" / "model.safetensors").write_bytes(b"0" * 100)
    runs.run()
    assert runs.work_folders() == before


def test_show_prints_figure_4_and_where_the_report_is(out: Path, project: Path) -> None:
    folder = out.parent / "shown"
    shutil.copytree(out, folder / "data" / "tiny" / "report", dirs_exist_ok=True)
    shutil.copy(project / "params.yaml", folder)
    command = [sys.executable, "-m", "pipeline.report.show", "--profile", "tiny"]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    table = pd.read_csv(out / "figure4.csv")
    for row in table.itertuples():
        assert f"{row.test_perplexity:.2f}" in shown and f"{row.parameters:,}" in shown
        assert f"{row.gap_nats:+.3f}" in shown
    assert "falls at every step" in shown
    slope = json.loads((out / "metrics.json").read_text())["test_exponent_without_embeddings"]
    assert f"{slope:+.3f}"[:5] in shown and "(without embeddings)" in shown
    assert (folder / "data" / "tiny" / "report" / "index.html").as_uri() in shown


def test_show_without_a_report_says_what_to_run(tmp_path: Path, project: Path) -> None:
    shutil.copy(project / "params.yaml", tmp_path)
    command = [sys.executable, "-m", "pipeline.report.show", "--profile", "tiny"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert shown.stderr.strip() == "data/tiny/report/figure4.csv: not there yet; run make study"


def test_damaged_artefact_is_named_with_the_remedy(runs: StageRuns, made: MadeStudy) -> None:
    path = made.folder / "overlap" / "table6.csv"
    kept = path.read_bytes()
    path.write_bytes(b"")
    try:
        run = runs.fail()
    finally:
        path.write_bytes(kept)
    assert f"{path}: damaged" in run.stderr and "flows.repair" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_dvc_plots_show_draws_figure_4_on_two_log_axes(
    out: Path, project: Path, tmp_path: Path
) -> None:
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*dvc, "init", "-q"], cwd=tmp_path, check=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(project / name, tmp_path)
    shutil.copytree(project / ".dvc" / "plots", tmp_path / ".dvc" / "plots")
    shutil.copytree(out, tmp_path / "data" / "tiny" / "report")
    shown = subprocess.run(
        [*dvc, "plots", "show", "--json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    plots = json.loads(shown)["data"]
    pictures = {f"data/tiny/report/{name}.png" for name in ("figure4", "training_curves")}
    assert set(plots) == {"figure4", *pictures}
    plot = plots["figure4"][0]
    encoding = plot["content"]["encoding"]
    assert encoding["x"]["scale"]["type"] == encoding["y"]["scale"]["type"] == "log"
    points = plot["content"]["data"]["values"]
    assert {point["field"] for point in points} == {"train_perplexity", "test_perplexity"}
    assert len(points) == 2 * len(SIZES)
    # DVC hands numbers over as text, which sorts 1071872 before 38128.
    assert "toNumber(datum['parameters'])" in json.dumps(plot["content"]["transform"])


def test_documentation_names_the_columns_that_are_written(
    made: MadeStudy, out: Path, project: Path
) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in (project / "docs" / "artefacts.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    places = {"overlap": made.folder / "overlap", "report": out}
    named = {
        (stage, name): re.findall(r"\w+", re.sub(r"\(.*?\)|:.*", "", columns))
        for paths, kind, columns, *_ in rows
        for stage, name in re.findall(r"`(overlap|report)/(\w+\.csv)`", paths)
        if kind == "CSV" and not columns.startswith(("as overlap", "size, parameters, one column"))
    }
    assert len(named) == 15
    for (stage, name), columns in named.items():
        if name != "comparison.csv":  # there is none in a study of the sample web
            assert pd.read_csv(places[stage] / name, nrows=0).columns.tolist() == columns, name
    assert named["report", "comparison.csv"] == list(COLUMNS)
