"""What decides the results of tune, train and evaluate: by this, node and study know each other.

Work folders have a fingerprint too, but it covers the syntax trees of the code, which no two
versions of Python write alike. Here the code's files are hashed as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import sha256_file
from pipeline.params import ProfileParams
from pipeline.work_folder import hash_input

CODE = ("models", "pipeline")
_STAGES = {"tune", "train", "evaluate", "eval_sets"}
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
    """SHA-256 of each module below `root` that these stages can import, by its path there."""
    found = sorted(path.relative_to(root) for top in CODE for path in (root / top).rglob("*.py"))
    return {str(path): sha256_file(root / path) for path in found if _serves_the_stages(path)}


def _serves_the_stages(path: Path) -> bool:
    """A file of models/ or directly in pipeline/, or of a package of the stages themselves."""
    top, *folders = path.parent.parts
    return top == "models" or not folders or folders[0] in _STAGES


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
