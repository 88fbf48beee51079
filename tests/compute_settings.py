"""The section `compute` of the tiny study, with a few keys changed."""

from __future__ import annotations

from pathlib import Path

from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ComputeParams

_PARAMS = Path(__file__).parent.parent / "params.yaml"


def compute(**changes: object) -> ComputeParams:
    """Where a study runs."""
    settings = load_params(_PARAMS, "tiny").params.compute.model_dump() | changes
    return ComputeParams.model_validate(settings)
