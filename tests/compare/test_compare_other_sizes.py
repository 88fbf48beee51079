"""Studies whose rungs are neither four nor called as the shipped ones, compared."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest
import yaml
from made_study import make_study, name_sizes

from pipeline.compare.command import CompareOptions, Named
from pipeline.compare.run import compare

FIVE = ("9M", "21M", "30M", "40M", "98M")
THREE = ("9M", "30M", "98M")


def _study(root: Path, project: Path, sizes: tuple[str, ...]) -> str:
    params = yaml.safe_load((project / "params.yaml").read_text())
    name_sizes(params, sizes)
    root.mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return str(make_study(root / "data" / "tiny", root / "params.yaml").folder)


def test_each_study_has_a_row_a_size_and_a_step_from_each_to_the_next(
    tmp_path: Path, project: Path
) -> None:
    folders = {
        "five": _study(tmp_path / "five", project, FIVE),
        "three": _study(tmp_path / "three", project, THREE),
    }
    named = [Named(folder, label) for label, folder in folders.items()]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    compared = compare(CompareOptions(named, tmp_path / "out"), scratch, logging.getLogger("test"))
    table = compared.tables["compare"]
    for label, sizes in (("five", FIVE), ("three", THREE)):
        own = table[table["study"] == label].set_index("size")
        assert own.index.tolist() == list(sizes)
        perplexity = own["test_perplexity"]
        steps = perplexity.shift(1) / perplexity
        assert own["test_step"].iloc[1:].tolist() == pytest.approx(steps.iloc[1:].tolist())
        assert pd.isna(own["test_step"].iloc[0])
