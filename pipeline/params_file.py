"""Read params.yaml; every mistake in it is one error with file, key, value and remedy.

YAML is read by the rules of version 1.2, as DVC reads it: PyYAML alone would take `1e-4` for a
string and `on` for true, so the code and DVC's lock would disagree.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import UserError
from pipeline.params import SIZES, ProfileParams
from pipeline.yaml12 import load_yaml


class ParamsError(UserError):
    """params.yaml does not say what a study needs; names file, key, value and remedy."""


class Study(NamedTuple):
    """The active study: its profile's name and parameters."""

    profile: str
    params: ProfileParams


Overrides = Mapping[str, Mapping[str, Any]]
"""Section -> key -> value, in place of the file's."""


def load_params(
    path: Path, profile: str | None = None, overrides: Overrides | None = None
) -> Study:
    """Read and check `path`; `profile` overrides the file's own choice.

    Raises:
        ParamsError: naming file, key, value and remedy.
    """
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: holds no mapping; restore it, e.g. git checkout {path}")
    for key in ("profile", "sizes", "profiles"):
        if key not in data:
            raise ParamsError(f"{path}: {key} is missing; add it")
    for key in data.keys() - {"profile", "sizes", "profiles"}:
        raise ParamsError(f"{path}: {key} is no known key; remove it")
    if data["sizes"] != list(SIZES):
        raise ParamsError(f"{path}: sizes = {data['sizes']} must be {list(SIZES)}; restore them")
    name = profile or data["profile"]
    profiles = data["profiles"] if isinstance(data["profiles"], dict) else {}
    if name not in profiles:
        raise ParamsError(
            f"{path}: profile = {name!r} is not under profiles; choose one of {sorted(profiles)}"
        )
    values = dict(profiles[name])
    for section, changes in (overrides or {}).items():
        values[section] = {**values[section], **changes}
    try:
        return Study(name, ProfileParams.model_validate(values))
    except ValidationError as error:
        lines = [_explain(path, name, detail) for detail in error.errors()]
        raise ParamsError("\n".join(lines)) from None


def _explain(path: Path, profile: str, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in ("profiles", profile, *detail["loc"]))
    if detail["type"] == "missing":
        return f"{path}: {key} is missing; add it (meaning and unit: pipeline/params*.py)"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(detail["loc"][:-1])
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        remedy = f"did you mean {close[0]}?" if close else "remove it"
        return f"{path}: {key} is no known key; {remedy}"
    if detail["type"] == "value_error":
        return f"{path}: {key}: {detail['ctx']['error']}"
    wanted = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{path}: {key} = {detail['input']!r}: {wanted}; change it"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = ProfileParams
    for part in location:
        fields: Mapping[int | str, Any] = getattr(section, "model_fields", {})
        section = fields[part].annotation if part in fields else None
    return list(getattr(section, "model_fields", {}))
