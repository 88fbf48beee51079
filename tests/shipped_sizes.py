"""The sizes of the shipped params.yaml, which most made studies have too."""

from __future__ import annotations

from pathlib import Path

from pipeline.shared.params.file import load_params

SIZES = load_params(Path(__file__).parents[1] / "params.yaml").params.sizes
