"""The scored study, as folders and as a session; small files in the published formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from published_files import write_published_files
from scored_study import CONTEXT, Study, write_scored_study

from pipeline.evaluate.session import Session, open_session
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
