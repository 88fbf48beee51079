"""Dedup of nothing is one clear error, and no table of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_documents import english_passages
from stage_runs import StageRuns, write_shards

from pipeline.shared.formats.documents import Document
from pipeline.shared.formats.examples import Example, write_examples


@pytest.mark.parametrize("shards", [[], [[], []]])
def test_no_document_at_all_is_one_clear_error(
    project: Path, tmp_path: Path, shards: list[list[Document]]
) -> None:
    sets, documents = tmp_path / "sets", tmp_path / "documents"
    write_examples(sets / "ptb.parquet", [Example(id="e", text=english_passages(1)[0])])
    inputs = {"documents": write_shards(documents, shards), "eval_sets": sets}
    stage = StageRuns("dedup", project, tmp_path / "run", inputs)
    stage.set_params(compute={"workers": 1})
    failed = stage.fail()
    assert f"{documents}: holds no document; extract's metrics.json" in failed.stderr
    assert "Traceback" not in failed.stderr
