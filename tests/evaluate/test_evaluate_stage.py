"""The evaluate stage as a process: results, what is missing, kills, damage."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from published_files import write_published_files
from scored_study import CONTEXT, Study
from stage_runs import StageRuns, read_bytes

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.scores.results import read_results, read_scores

PARAMS = {
    "leave_out": ["wmt14_en_fr"],
    "strides": [CONTEXT, 16],
    "figure4_stride": CONTEXT,
    "train_documents": 12,
    "test_documents": 12,
    "bootstrap_samples": 40,
    "summary_tokens": 12,
    "answer_tokens": 6,
    "translation_tokens": 6,
    "max_generated_examples": 4,
    "figure5_documents": 5,
    "figure5_context_tokens": 20,
    "figure5_sample_tokens": 10,
}


NOT_RUN = {"cbt_ne", "wmt14_en_fr"}  # its file is missing; it is left out


@dataclass(frozen=True)
class EvaluateRuns(StageRuns):
    """Runs of evaluate@small."""

    def arguments(self, out: str = "out") -> list[str]:
        """The stage's own, and the size."""
        return [*super().arguments(out), "--size=small"]

    def work_folders(self) -> list[Path]:
        """The work folders of this size."""
        return [path for path in self.folder.glob("work/tiny/evaluate@small/*") if path.is_dir()]


def make_runs(project: Path, folder: Path, study: Study, sets: Path) -> EvaluateRuns:
    """The stage on a study's folders."""
    inputs = {"model": study.model, "tokens": study.tokens, "eval_sets": sets}
    runs = EvaluateRuns("evaluate", project, folder, inputs)
    runs.set_params(evaluate=PARAMS, compute={"threads": 1})
    return runs


@pytest.fixture(scope="module")
def eval_sets(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sets as the eval_sets stage leaves them, CBT-NE missing."""
    folder = tmp_path_factory.mktemp("sets")
    web = write_published_files(folder / "web")
    (web / "cbt" / "cbtest_NE_valid_2000ex.txt").unlink()
    runs = StageRuns("eval_sets", project, folder, {"sample_web": web})
    runs.set_params(eval_sets={"max_examples": 8, "max_text_bytes": 2000})
    return runs.run() / "test"


@pytest.fixture(scope="module")
def out(
    project: Path, study: Study, eval_sets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An undisturbed run."""
    return make_runs(project, tmp_path_factory.mktemp("evaluate"), study, eval_sets).run()


def test_every_set_has_a_result_with_its_metrics_and_scores(out: Path) -> None:
    results = read_results(out)
    assert set(results) == set(EVAL_SETS)
    for name, result in results.items():
        if name in NOT_RUN:
            continue
        assert not result.not_run
        assert set(EVAL_SETS[name].metrics) <= {*result.metrics, *result.no_signal}
        assert set(result.intervals) <= set(result.metrics)
        if EVAL_SETS[name].scoring == "documents":  # of other sets, one cluster may be all there is
            assert set(result.intervals) == set(result.metrics)
        assert result.protocol["interval_draws"]
        assert result.num_examples == len(read_scores(out, name)) > 0
        for metric, (low, high) in result.intervals.items():
            assert low <= high, (name, metric)


def test_a_set_that_is_missing_has_a_result_that_says_why(out: Path) -> None:
    result = read_results(out)["cbt_ne"]
    assert "cbtest_NE_valid_2000ex.txt" in result.not_run
    assert result.metrics == {}
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["not_run"]) == NOT_RUN
    assert metrics["not_run"]["cbt_ne"] == result.not_run
    assert metrics["num_figure5_samples"] == 5


def test_a_set_that_is_left_out_says_so(out: Path) -> None:
    assert "evaluate.leave_out in params.yaml" in read_results(out)["wmt14_en_fr"].not_run


def test_a_name_that_is_no_set_cannot_be_left_out(
    project: Path, tmp_path: Path, study: Study, eval_sets: Path
) -> None:
    runs = make_runs(project, tmp_path, study, eval_sets)
    runs.set_params(evaluate=PARAMS | {"leave_out": ["coqua"]}, compute={"threads": 1})
    run = runs.fail()
    assert "evaluate.leave_out names coqua, which is no set; choose from" in run.stderr


def test_more_example_pairs_than_are_kept_cannot_be_asked_for(
    project: Path, tmp_path: Path, study: Study, eval_sets: Path
) -> None:
    runs = make_runs(project, tmp_path, study, eval_sets)
    runs.set_params(evaluate=PARAMS | {"few_shot_pairs": 17}, compute={"threads": 1})
    assert "evaluate.few_shot_pairs = 17, and the eval_sets stage sets aside 16" in (
        runs.fail().stderr
    )


def test_scores_have_the_columns_that_overlap_joins(out: Path) -> None:
    columns = {name: set(read_scores(out, name).columns) for name in EVAL_SETS.keys() - NOT_RUN}
    assert all("id" in names for names in columns.values())
    for name in ("wikitext2", "ptb", "enwik8", "text8", "webtext_train", "webtext_test", "lambada"):
        assert {"loss_nats", "num_units"} <= columns[name]
    for name in ("lambada", "cbt_cn", "winograd", "natural_questions"):
        assert "correct" in columns[name]
    assert "f1" in columns["coqa"] and "rouge_average" in columns["cnn_dm"]
    assert "exact_match" in columns["natural_questions"]
    samples = pd.read_parquet(out / "samples.parquet")
    assert list(samples.columns) == ["id", "context", "completion", "sample"]


def test_a_result_names_its_files_and_choices(out: Path) -> None:
    protocol = read_results(out)["wikitext2"].protocol
    assert protocol["files"]["test"]["name"] == "wiki.test.tokens"
    assert (protocol["window"], protocol["stride"]) == (CONTEXT, CONTEXT)
    assert protocol["detokenizer"] == "wikitext"
    expected = {
        "perplexity" + (f"@{'_'.join(parts)}" if any(parts) else "")
        for text in ([], ["raw"])
        for unit in ([], ["per_token"], ["per_byte"], ["per_character"])
        for stride in ([], ["stride_16"])
        for parts in [text + unit + stride]
    }
    assert set(read_results(out)["wikitext2"].metrics) == expected


def test_killed_and_started_again_it_goes_on_and_gets_the_same(
    out: Path, project: Path, study: Study, eval_sets: Path, tmp_path: Path
) -> None:
    runs = make_runs(project, tmp_path, study, eval_sets)
    runs.kill_when(lambda work: (work / "out" / "ptb.json").is_file())
    (work,) = runs.work_folders()
    first = (work / "out" / "ptb.json").read_bytes()
    again = runs.run()
    assert (again / "ptb.json").read_bytes() == first, "a finished set must not be scored again"
    ours, theirs = (
        {n: data for n, data in read_bytes(folder).items() if n.endswith(".parquet")}
        for folder in (again, out)
    )
    assert ours == theirs
    for name, result in read_results(again).items():
        assert result.metrics == read_results(out)[name].metrics


def test_a_model_of_another_tokenizer_is_one_clear_error(
    project: Path, study: Study, eval_sets: Path, tmp_path: Path
) -> None:
    shutil.copytree(study.model, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"vocab_size": 99}))
    broken = Study(tmp_path / "model", study.tokens)
    run = make_runs(project, tmp_path, broken, eval_sets).fail()
    assert "Traceback" not in run.stderr
    assert "model.safetensors" in run.stderr


def test_a_damaged_set_is_one_clear_error(
    project: Path, study: Study, eval_sets: Path, tmp_path: Path
) -> None:
    shutil.copytree(eval_sets, tmp_path / "sets")
    (tmp_path / "sets" / "lambada.parquet").write_bytes(b"PAR1")
    run = make_runs(project, tmp_path, study, tmp_path / "sets").fail()
    assert "Traceback" not in run.stderr
    assert "lambada.parquet: damaged" in run.stderr


def test_it_starts_where_only_the_packages_of_a_gpu_node_are(project: Path) -> None:
    allowed_to_fail = ["sacrebleu", "rouge_score", "mlflow", "prefect", "dvc", "lightning"]
    code = (
        "import sys\n"
        f"for name in {allowed_to_fail}: sys.modules[name] = None\n"
        "import pipeline.evaluate.__main__\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True)


def test_train_documents_are_those_that_the_model_was_trained_on(out: Path, study: Study) -> None:
    scored = set(read_scores(out, "webtext_train")["id"])
    trained = set(pd.read_parquet(study.model / "documents.parquet")["id"])
    split = pd.read_parquet(study.tokens / "train" / "00000.documents.parquet")["id"]
    assert scored <= trained < set(split)


def test_bits_per_byte_are_the_same_losses_over_the_bytes_of_the_text(out: Path) -> None:
    scores = read_scores(out, "webtext_test")
    result = read_results(out)["webtext_test"]
    bits = sum(scores["loss_nats"]) / math.log(2) / sum(scores["num_bytes"])
    assert result.metrics["bits_per_byte"] == pytest.approx(bits)


def test_the_studys_own_splits_say_what_is_not_as_in_the_paper(out: Path, study: Study) -> None:
    trained = len(pd.read_parquet(study.model / "documents.parquet"))
    context = f"a context of {CONTEXT} tokens (the paper: 1,024)"
    for name, there in (("webtext_train", trained), ("webtext_test", 40)):
        drawn = f"12 of {there} documents (the paper does not tell how many)"
        # How many were trained on depends on the texts at hand; of all 12 there is nothing to say.
        expected = [context, drawn] if there > 12 else [context]
        assert read_results(out)[name].departures == expected
