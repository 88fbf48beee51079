"""The scored study, as folders and as a session; small files in the published formats."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_documents import english_passages
from published_files import write_published_files
from scored_study import CONTEXT, Study, write_scored_study

from models.checkpoints import save_pretrained
from models.gpt2 import GPT2, GPT2Config
from pipeline.evaluate.session import Session, open_session
from pipeline.shared.formats.tokenizer import write_hugging_face_files
from pipeline.shared.params.file import load_params


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_scored_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def session(study: Study, project: Path) -> Session:
    params = load_params(project / "params.yaml", "tiny").params
    small = params.evaluate.model_copy(
        update={"strides": [CONTEXT, 16], "figure4_stride": CONTEXT, "bootstrap_samples": 50}
    )
    one_thread = params.compute.model_copy(update={"threads": 1})
    return open_session(
        study.model, study.tokens / "tokenizer", params=small, compute=one_thread, seed=1
    )


@pytest.fixture(scope="session")
def one_by_one(session: Session) -> Session:
    """The same, with batches of one sequence."""
    return replace(session, params=session.params.model_copy(update={"batch_tokens": 1}))


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def weights(study: Study, session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two models with their tokenizer, as one downloads them."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(study.model, folder / "a-larger-one")
    model = GPT2(GPT2Config(512, CONTEXT, n_embd=16, n_layer=1, n_head=2))
    model.initialise(torch.Generator().manual_seed(2), "twice_layers")
    save_pretrained(model, folder / "small-one")
    for name in ("a-larger-one", "small-one"):
        write_hugging_face_files(session.tokenizer, folder / name)
    return folder


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two sets of which any file is taken; all others are missing."""
    folder = tmp_path_factory.mktemp("sets")
    passages = english_passages(20, words=30)
    for name in ("text8", "cnndm"):
        (folder / name).mkdir()
    (folder / "text8" / "text8").write_text(" ".join(passages).lower() * 2)
    articles = [{"article": ". ".join(passages[:9]), "highlights": p} for p in passages[:4]]
    lines = "".join(f"{json.dumps({'id': str(n), **a})}\n" for n, a in enumerate(articles))
    (folder / "cnndm" / "cnn_dailymail_test.jsonl").write_text(lines)
    return folder
