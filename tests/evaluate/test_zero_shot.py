"""`python -m pipeline.zero_shot`: ready weights in, differences from the paper out."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scored_study import CONTEXT

from models.gpt2 import GPT2Config
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import Folder
from pipeline.evaluate import running_text
from pipeline.evaluate.outcome import Task
from pipeline.evaluate.session import Session
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.scores.results import Interval, Result
from pipeline.zero_shot.command import parse
from pipeline.zero_shot.differences import as_text, differences
from pipeline.zero_shot.run import run
from pipeline.zero_shot.weights import Weights, open_weights, tokenizer_of

pytestmark = pytest.mark.long

LOG = logging.getLogger("test")

RELEASED = Weights("gpt2-xl", Path("gpt2-xl"), GPT2Config(50_257, 1024, 1600, 48, 25))


def start(
    project: Path, out: Path, *arguments: object, stride: int = CONTEXT
) -> subprocess.Popen[str]:
    """The command as its users give it, from the project's folder."""
    command = [sys.executable, "-m", "pipeline.zero_shot", *map(str, arguments)]
    limits = ["--max-examples=2", "--max-text-bytes=3000", "--profile=tiny", "--threads=1"]
    return subprocess.Popen(
        [*command, *limits, f"--strides={stride}", f"--out={out}"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(
    project: Path, weights: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The results of one call on both models, and what it printed."""
    out = tmp_path_factory.mktemp("zero_shot") / "out"
    process = start(project, out, weights, f"--eval-sets={sets}")
    printed, log = process.communicate()
    assert process.returncode == 0, log
    return out, printed


@pytest.mark.slow
def test_every_model_of_a_folder_is_scored_by_the_studys_own_methods(
    undisturbed: tuple[Path, str], session: Session, sets: Path
) -> None:
    out, printed = undisturbed
    table = pd.read_csv(out / "differences.csv")
    assert table["model"].unique().tolist() == ["small-one", "a-larger-one"]  # by size
    assert set(table["set"]) == set(EVAL_SETS)
    text8 = EVAL_SETS["text8"]
    assert text8.read_test is not None
    source = Folder(sets)
    files = {role: source.locate(file) for role, file in text8.test.items()}
    examples = list(text8.read_test(files))
    params = session.params.model_copy(update={"strides": [CONTEXT]})
    kept = pd.read_parquet(out / "eval_sets" / "test" / "text8.parquet")["id"].tolist()
    chosen = [example for example in examples if example.id in kept]
    ours = running_text.evaluate(replace(session, params=params), Task(text8, chosen))
    row = table[(table["model"] == "a-larger-one") & (table["metric"] == "bits_per_character")]
    assert row["ours"].item() == pytest.approx(ours.metrics["bits_per_character"], rel=1e-5)
    assert "text8" in printed
    assert "small-one: " in printed


@pytest.mark.slow
def test_what_was_not_run_says_why_and_what_would_help(undisturbed: tuple[Path, str]) -> None:
    out, printed = undisturbed
    table = pd.read_csv(out / "differences.csv")
    # Summaries by random weights can be all the same, which is no number either.
    without = table[table["ours"].isna() & ~table["remark"].str.startswith("no signal")]
    missing = without.set_index("set")["remark"]
    assert set(missing.index) == set(EVAL_SETS) - {"text8", "cnn_dm"}
    assert "no such file; this gets it: mkdir -p" in missing["lambada"].iloc[0]
    assert "no token shards" in missing["webtext_test"].iloc[0]
    assert printed.count("lambada_test.jsonl: no such file") == 1  # of two models, without the how
    assert "curl" not in printed


@pytest.mark.long
@pytest.mark.slow
def test_killed_at_the_second_model_it_goes_on_there(
    project: Path, weights: Path, sets: Path, undisturbed: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(project, out, weights, f"--eval-sets={sets}")
    until = time.monotonic() + 120
    while not list(out.glob(".work/zero_shot/evaluate@a-larger-one/*/out/text8.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (half_done,) = out.glob(".work/zero_shot/evaluate@a-larger-one/*/out/text8.json")
    before = half_done.stat().st_mtime_ns
    again = start(project, out, weights, f"--eval-sets={sets}")
    _, log = again.communicate()
    assert again.returncode == 0, log
    assert log.count("already done by an earlier attempt") == 2  # the sets and the first model
    assert half_done.stat().st_mtime_ns == before
    assert (out / "differences.csv").read_bytes() == (
        undisturbed[0] / "differences.csv"
    ).read_bytes()


@pytest.mark.slow
def test_a_stride_longer_than_the_context_is_one_clear_error(
    project: Path, weights: Path, sets: Path, tmp_path: Path
) -> None:
    process = start(project, tmp_path / "out", weights, f"--eval-sets={sets}", stride=128)
    _, log = process.communicate()
    assert process.returncode == 1
    assert f"a context of {CONTEXT} tokens cannot be read in strides of 128" in log
    assert f"give --strides {CONTEXT}" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-examples=0"], "argument --max-examples: '0' is no number of at least 1"),
        (["--max-examples=1.5"], "argument --max-examples: '1.5' is no number of at least 1"),
        (["--max-examples=inf"], "argument --max-examples: 'inf' is no number of at least 1"),
        (["--strides", "many"], "argument --strides: 'many' is no number of at least 1"),
    ],
)
def test_a_number_that_cannot_be_meant_is_named_with_its_option(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["model", *arguments])
    assert message in capsys.readouterr().err


def test_a_count_may_be_written_with_an_exponent() -> None:
    asked = parse(["model", "--max-text-bytes=1e6", "--max-examples", "1_000", "--profile=tiny"])
    sets = asked.study.params.eval_sets
    assert (sets.max_text_bytes, sets.max_examples) == (1_000_000, 1000)


@pytest.mark.slow
def test_an_unknown_profile_is_one_clear_error(project: Path) -> None:
    command = [sys.executable, "-m", "pipeline.zero_shot", "model", "--profile=nope"]
    done = subprocess.run(command, check=False, cwd=project, capture_output=True, text=True)
    assert done.returncode == 1
    assert "profile = 'nope' is not under profiles" in done.stderr
    assert "Traceback" not in done.stderr


def result_of(name: str, **metrics: float) -> dict[str, Result]:
    """One set's result."""
    intervals = {metric: Interval(value - 1, value + 1) for metric, value in metrics.items()}
    return {name: Result(set=name, metrics=metrics, intervals=intervals, num_examples=5)}


def row_of(table: pd.DataFrame, metric: str) -> pd.Series:
    """The row of a metric that was run."""
    return table[(table["metric"] == metric) & table["ours"].notna()].iloc[0]


def test_a_released_size_stands_beside_the_paper_and_those_who_measured_it_again() -> None:
    results = result_of("lambada", perplexity=9.0, accuracy=0.5)
    table = differences(RELEASED, results, {"lambada": {"sources": {"test": {"note": ""}}}})
    row = row_of(table, "perplexity")
    assert (row["label"], row["paper"]) == ("1542M", 8.63)
    assert row["difference"] == pytest.approx(9.0 - 8.63)
    assert "10.634 (lm-eval#911" in row["reproductions"]
    assert "8.63 (OpenAI's own second run" in row["reproductions"]
    assert row_of(table, "accuracy")["paper"] == 0.5266
    text = as_text(table)
    assert "gpt2-xl: 1,557,611,200 parameters, 1542M in the paper" in text
    assert "+0.37" in text


def test_a_file_that_departs_from_the_published_one_has_no_difference() -> None:
    record = {"lambada": {"sources": {"test": {"note": "the first half only"}}}}
    table = differences(RELEASED, result_of("lambada", perplexity=9.0), record)
    row = row_of(table, "perplexity")
    assert row["paper"] == 8.63
    assert math.isnan(row["difference"])
    assert "LAMBADA: the first half only" in as_text(table)


def test_what_else_differs_is_said_beside_the_difference() -> None:
    (result,) = result_of("lambada", perplexity=9.0).values()
    told = result.model_copy(update={"protocol": {"departures": ["5 of its 5,153 examples"]}})
    record = {"lambada": {"sources": {"test": {"note": ""}}}}
    table = differences(RELEASED, {"lambada": told}, record)
    row = row_of(table, "perplexity")
    assert row["difference"] == pytest.approx(9.0 - 8.63)
    assert row["remark"] == "5 of its 5,153 examples"
    assert "LAMBADA: 5 of its 5,153 examples" in as_text(table)


def test_a_size_that_the_paper_has_not_is_compared_with_nothing() -> None:
    other = replace(RELEASED, config=GPT2Config(50_257, 1024, 1600, 47, 25))
    table = differences(other, result_of("lambada", perplexity=9.0), {})
    row = row_of(table, "perplexity")
    assert row["label"] is None
    assert math.isnan(row["paper"])
    assert row["reproductions"] == ""


def test_models_of_one_name_are_refused(weights: Path, tmp_path: Path) -> None:
    shutil.copytree(weights / "small-one", tmp_path / "small-one")
    asked = parse([str(weights), str(tmp_path / "small-one"), f"--out={tmp_path / 'out'}"])
    with pytest.raises(UserError, match="both would be called small-one; rename one"):
        run(asked, LOG)


def test_a_folder_without_weights_is_told_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"config\.json: no such file; a model is a folder"):
        open_weights(str(tmp_path))


def test_a_vocabulary_without_its_tokenizer_is_refused(weights: Path, tmp_path: Path) -> None:
    shutil.copytree(weights / "small-one", tmp_path / "bare")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / "bare" / name).unlink()
    with pytest.raises(CorruptDataError, match="512 tokens is not GPT-2's"):
        tokenizer_of(open_weights(str(tmp_path / "bare")), LOG)
