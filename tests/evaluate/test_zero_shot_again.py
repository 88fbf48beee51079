"""`python -m pipeline.zero_shot` in this process: a longer context, a package that comes later."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
import torch
from made_documents import english_passages
from scored_study import CONTEXT

from models.checkpoints import save_pretrained
from models.gpt2 import GPT2, GPT2Config
from pipeline.evaluate.session import Session
from pipeline.shared.formats.tokenizer import write_hugging_face_files
from pipeline.shared.scores.results import Result, read_results
from pipeline.zero_shot.command import Asked, parse
from pipeline.zero_shot.run import run

LOG = logging.getLogger("test")
LONG = 512


@pytest.fixture(scope="module")
def long_model(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads twice as many tokens as those of the profile do."""
    folder = tmp_path_factory.mktemp("long") / "long-one"
    model = GPT2(GPT2Config(512, LONG, n_embd=16, n_layer=1, n_head=2))
    model.initialise(torch.Generator().manual_seed(3), "twice_layers")
    save_pretrained(model, folder)
    write_hugging_face_files(session.tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of which the last twentieth, which is read, takes some windows."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "text8").mkdir()
    text = " ".join(english_passages(20, words=30)).lower()
    (folder / "text8" / "text8").write_text(20 * text)
    return folder


def ask(project: Path, model: Path, sets: Path, out: Path, *options: str) -> Asked:
    """One model on small sets, with the tiny profile's parameters."""
    limits = ["--max-examples=2", "--max-text-bytes=6000", "--profile=tiny", "--threads=1"]
    return parse([
        *(str(model), f"--params={project / 'params.yaml'}", f"--eval-sets={sets}", f"--out={out}"),
        *(*limits, "--accelerator=cpu", *options),
    ])


def result(asked: Asked, model: Path, name: str) -> Result:
    """One set's result."""
    return read_results(asked.out / model.name / "scores")[name]


def test_a_model_is_read_in_strides_that_no_model_of_the_profile_could_be(
    project: Path, long_model: Path, long_text: Path, tmp_path: Path
) -> None:
    asked = ask(project, long_model, long_text, tmp_path, "--strides", str(LONG), "300")
    assert max(model.context for model in asked.study.params.models.values()) < 300
    run(asked, LOG)
    found = result(asked, long_model, "text8")
    assert (found.protocol["window"], found.protocol["stride"]) == (LONG, LONG)
    moved = found.metrics["bits_per_character@stride_300"]
    assert moved != found.metrics["bits_per_character"] > 0


def test_a_package_that_is_installed_later_is_used_by_the_same_command(
    project: Path, weights: Path, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = weights / "small-one"
    asked = ask(project, model, sets, tmp_path, f"--strides={CONTEXT}")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "rouge_score.rouge_scorer", None)
        run(asked, LOG)
    assert result(asked, model, "cnn_dm").not_run.endswith("rouge-score, then the same command")
    run(asked, LOG)
    assert result(asked, model, "cnn_dm").num_examples == 2
