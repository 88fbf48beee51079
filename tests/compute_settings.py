"""The section `compute` of the tiny study, with a few keys changed."""

from __future__ import annotations

from pathlib import Path

from pipeline.params import ComputeParams
from pipeline.params_file import load_params

_PARAMS = Path(__file__).parent.parent / "params.yaml"


def compute(**changes: object) -> ComputeParams:
    """Where a study runs."""
    settings = load_params(_PARAMS, "tiny").params.compute.model_dump() | changes
    return ComputeParams.model_validate(settings)
