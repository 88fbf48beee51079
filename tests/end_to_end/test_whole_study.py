"""The whole chain by `dvc repro`, as a user runs it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from shipped_sizes import SIZES
from small_study import Checkout
from times_read import times_read
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.checkpoints import load_pretrained
from pipeline.shared.formats.tokenizer import load_tokenizer

pytestmark = [pytest.mark.study, pytest.mark.timeout(900)]

SIZED = ("tune", "train", "evaluate")
SMALL = {"label": "4x16", "n_layer": 4, "n_head": 2, "n_embd": 16, "context": 256}


def _data(study: Checkout, *parts: str) -> Path:
    return study.folder.joinpath("data", "tiny", *parts)


def test_every_stage_runs_once_in_an_order_that_dvc_chooses(study: Checkout) -> None:
    ran = study.first_run
    sized = {f"{stage}@{size}" for stage in SIZED for size in SIZES}
    plain = {"watch", "sample_web", "eval_sets", "links", "crawl", "extract"}
    plain |= {"dedup", "tokenize", "overlap", "report"}
    assert len(ran) == len(set(ran))
    assert set(ran) == sized | plain


def test_figure_4_has_a_row_a_size_in_the_promised_columns(study: Checkout) -> None:
    rows = list(csv.DictReader(_data(study, "report", "figure4.csv").read_text().splitlines()))
    assert [row["size"] for row in rows] == list(SIZES)
    assert list(rows[0])[:6] == [
        "size",
        "parameters",
        "train_perplexity",
        "test_perplexity",
        "test_perplexity_low",
        "test_perplexity_high",
    ]
    counts = [int(row["parameters"]) for row in rows]
    assert counts == sorted(set(counts))
    for row in rows:
        low, value, high = (float(row[f"test_perplexity{end}"]) for end in ("_low", "", "_high"))
        assert 1 < low <= value <= high < 512  # a uniform guess over the vocabulary has 512


def test_the_page_asks_no_other_host_for_anything(study: Checkout) -> None:
    page = _data(study, "report", "index.html").read_text()
    loads = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?((?:https?:)?//[^"')\s]+)""", page)
    assert [link for link in loads if "w3.org" not in link] == []
    assert "<script src" not in page


@pytest.mark.parametrize("size", SIZES)
def test_all_tokens_of_figure_4s_train_documents_were_trained_on(
    study: Checkout, size: str
) -> None:
    counts = times_read(_data(study, "train", size), order_seed=1)
    scored = pd.read_parquet(_data(study, "evaluate", size, "webtext_train.examples.parquet"))
    assert len(scored) > 5
    for id_, num_tokens in zip(scored["id"], scored["num_units"], strict=True):
        assert len(counts[id_]) == num_tokens
        assert counts[id_].min() >= 1


@pytest.mark.parametrize("size", SIZES)
def test_transformers_loads_the_model_and_gives_the_same_logits(study: Checkout, size: str) -> None:
    folder = _data(study, "train", size)
    ours, theirs = load_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = torch.randint(
        0, ours.config.vocab_size, (2, 64), generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        torch.testing.assert_close(
            ours.logits(ours(tokens)), theirs(tokens).logits, atol=1e-4, rtol=0
        )


def test_transformers_tokenizes_as_the_study_does(study: Checkout) -> None:
    ours = load_tokenizer(_data(study, "tokenize", "tokenizer"))
    theirs = AutoTokenizer.from_pretrained(_data(study, "train", "small"))
    text = "The report stage's figures, in 2019: naïve \u2014 and <tags>\n\n  indented."
    assert theirs(text)["input_ids"] == ours.encode(text)


def test_documents_open_in_pandas_as_a_folder(study: Checkout) -> None:
    frame = pd.read_parquet(_data(study, "dedup", "kept"))
    assert {"id", "url", "text"} <= set(frame.columns)
    removed = pd.read_parquet(_data(study, "dedup", "removed"))
    assert removed["reason"].str.len().min() > 0


def test_every_stage_leaves_its_costs_in_metrics_json(study: Checkout) -> None:
    plain = ("sample_web", "eval_sets", "links", "crawl", "extract", "dedup")
    folders = [_data(study, name) for name in plain]
    folders += [_data(study, stage, size) for stage in SIZED for size in SIZES]
    for folder in folders:
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["seconds"] > 0
        assert 10 < metrics["peak_memory_mib"] < 4096


def test_a_second_repro_runs_nothing(study: Checkout) -> None:
    assert study.repro() == ["watch"]


def test_a_copy_in_another_place_has_nothing_to_run_and_leaves_the_first_alone(
    study: Checkout, tmp_path: Path
) -> None:
    database = (study.folder / "mlflow.db").read_bytes()
    copy = Checkout(Path(shutil.copytree(study.folder, tmp_path / "copy", symlinks=True)))
    assert copy.repro() == ["watch"]
    copy.set_params({"report": {"title": "of the copy"}})
    assert copy.repro() == ["watch", "report"]
    assert "of the copy" in (copy.folder / "data/tiny/report/index.html").read_text()
    assert "of the copy" not in _data(study, "report", "index.html").read_text()
    assert (study.folder / "mlflow.db").read_bytes() == database


def test_a_change_of_one_width_reruns_that_size_overlap_and_report_only(study: Checkout) -> None:
    study.set_params({"models": {"small": SMALL | {"n_embd": 24}}})
    sized = [f"{stage}@small" for stage in SIZED]
    assert study.repro() == ["watch", *sized, "overlap", "report"]
    study.set_params({"models": {"small": SMALL}})
    assert study.repro() == ["watch"]  # the rest is restored from the cache
