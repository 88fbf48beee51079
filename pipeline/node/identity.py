"""What decides the results of tune, train and evaluate: by this, node and study know each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.node.chain import STAGES
from pipeline.shared.errors import UserError
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.deciders import code_deciders
from pipeline.shared.running.listing import hash_input
from pipeline.shared.running.package_pins import PINS, read_pins

CODE = ("models", "pipeline")
_SECTIONS: dict[str, Any] = {
    "seeds": {"order", "initialisation", "sampling"},
    **dict.fromkeys(("tune", "train", "models", "evaluate"), True),
}

Identity = dict[str, dict[str, Any]]


def identify(params: ProfileParams, inputs: Iterable[Path]) -> Identity:
    """The parameters that these stages read, and a hash for each thing they are given."""
    return {
        "settings": params.model_dump(mode="json", include=_SECTIONS),
        "inputs": {str(path): hash_input(path) for path in inputs},
    }


def hash_code(root: Path) -> dict[str, str]:
    """What decides these stages in the code below `root`, as DVC and the work folders go by it."""
    tree, pins = CodeTree(root), read_pins(root / PINS)
    found: dict[str, str] = {}
    for stage in STAGES:
        found |= code_deciders(tree, stage, pins)
    return found


def require_same(found: Mapping[str, Any], expected: Mapping[str, Any], whose: str) -> None:
    """Refuse what belongs to another study, naming what differs.

    Raises:
        UserError: `found` is not `expected`.
    """
    differing = _differences(found, expected, "")
    if differing:
        shown = "; ".join(differing[:5])
        raise UserError(
            f"{whose} are of another study: {shown}; set the study back, or pack and run it again"
        )


def _differences(found: Any, expected: Any, name: str) -> list[str]:
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        return [
            line
            for key in sorted(found.keys() | expected.keys())
            for line in _differences(found.get(key), expected.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if found == expected else [f"{name} is {found}, not {expected}"]
