"""Read params.yaml; every mistake in it is one error with file, key, value and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.shared.errors import UserError
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.yaml_file import load_yaml

_TOP = {"profile", "sizes", "defaults", "profiles"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class ParamsError(UserError):
    """params.yaml does not say what a study needs; names file, key, value and remedy."""


class ActiveStudy(NamedTuple):
    """The active study: its profile's name and parameters."""

    profile: str
    params: ProfileParams


Overrides = Mapping[str, Mapping[str, Any]]
"""Section -> key -> value, in place of the file's."""


def load_params(
    path: Path, profile: str | None = None, overrides: Overrides | None = None
) -> ActiveStudy:
    """Read and check `path`; `profile` overrides the file's own choice.

    Raises:
        ParamsError: naming file, key, value and remedy.
    """
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: holds no mapping; restore it, e.g. git checkout {path}")
    for key in _TOP:
        if key not in data:
            raise ParamsError(f"{path}: {key} is missing; add it")
    for key in data.keys() - _TOP:
        raise ParamsError(f"{path}: {key} is no known key; remove it")
    sizes = _check_sizes(path, data["sizes"])
    name = profile or data["profile"]
    profiles = data["profiles"] if isinstance(data["profiles"], dict) else {}
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParamsError(
            f"{path}: profile = {name!r}, and a name is text of letters, digits, _ and -, not - "
            "first; change it"
        )
    if name not in profiles:
        remedy = _nearest(name, map(str, profiles), else_=f"choose one of {sorted(profiles)}")
        raise ParamsError(f"{path}: profile = {name!r} is not under profiles; {remedy}")
    values = with_defaults(path, data["defaults"], name, profiles[name])
    for section, changes in (overrides or {}).items():
        values[section] = {**values[section], **changes}
    if isinstance(values.get("models"), dict):
        values["models"] = _choose(path, name, sizes, values["models"])
    try:
        return ActiveStudy(name, ProfileParams.model_validate(values))
    except ValidationError as error:
        lines = [_explain(path, data, name, detail) for detail in error.errors()]
        raise ParamsError("\n".join(lines)) from None


def with_defaults(path: Path, defaults: Any, name: str, profile: Any) -> dict[str, Any]:
    """The profile's sections, each with what `defaults` adds to it; the profile's own values win.

    Raises:
        ParamsError: either holds no sections of keys, or the profile lacks one that has defaults.
    """
    for key, sections in (("defaults", defaults), (f"profiles.{name}", profile)):
        if not isinstance(sections, dict):
            raise ParamsError(f"{path}: {key} = {sections!r} must be sections of keys; restore it")
        for section, values in sections.items():
            if not isinstance(values, dict):
                raise ParamsError(
                    f"{path}: {key}.{section} = {values!r} must be a mapping of keys; write them, "
                    "or {} for none"
                )
    for section in defaults.keys() - profile.keys():
        raise ParamsError(
            f"{path}: profiles.{name}.{section} is missing, and DVC looks at it; "
            f"add `{section}: {{}}`, which takes the defaults"
        )
    return {section: defaults.get(section, {}) | own for section, own in profile.items()}


def _check_sizes(path: Path, sizes: Any) -> list[str]:
    """The names under `sizes`, which folders and DVC's stages bear."""
    if not isinstance(sizes, list) or not sizes:
        raise ParamsError(f"{path}: sizes = {sizes!r} must list the rungs of Figure 4; name some")
    for size in sizes:
        if not isinstance(size, str) or not _NAME.fullmatch(size):
            raise ParamsError(
                f"{path}: sizes has {size!r}, and a name is text of letters, digits, _ and -, "
                "not - first; change it (a number in quotes is text)"
            )
        if sizes.count(size) > 1:
            raise ParamsError(f"{path}: sizes has {size!r} more than once; remove one")
    return sizes


def _choose(
    path: Path, profile: str, sizes: list[str], shapes: Mapping[str, Any]
) -> dict[str, Any]:
    """The shapes of `sizes`, in their order; a profile may hold others, which wait there."""
    for size in sizes:
        if size not in shapes:
            raise ParamsError(
                f"{path}: profiles.{profile}.models.{size} is missing, and sizes names it; "
                f"{_nearest(size, shapes, else_='add its shape or change sizes')}"
            )
    return {size: shapes[size] for size in sizes}


def check_size(size: str, sizes: Sequence[str], path: Path) -> None:
    """Refuse a size that the study does not have, naming the nearest.

    Raises:
        ParamsError: it is not among `sizes`, those of `path`.
    """
    if size not in sizes:
        remedy = _nearest(size, sizes, else_="choose one of them")
        raise ParamsError(f"--size {size}: {path} has sizes = {list(sizes)}; {remedy}")


def _nearest(name: str, known: Iterable[str], *, else_: str) -> str:
    """What to do about a name that nothing has: the name that was meant, or `else_`.

    >>> _nearest("smal", ["small", "xl"], else_="choose one of small, xl")
    'did you mean small?'
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else else_


def _explain(path: Path, data: Any, profile: str, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in (*_where(data, profile, detail["loc"]), *detail["loc"]))
    if detail["type"] == "missing":
        return f"{path}: {key} is missing; add it (meaning and unit: pipeline/shared/params/)"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(detail["loc"][:-1])
        remedy = _nearest(str(detail["loc"][-1]), known, else_="remove it")
        return f"{path}: {key} is no known key; {remedy}"
    if detail["type"] == "value_error":
        return f"{path}: {key}: {detail['ctx']['error']}"
    wanted = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{path}: {key} = {detail['input']!r}: {wanted}; change it"


def _where(data: Any, profile: str, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Where a value stands: in `defaults` if only there, else in the profile."""
    section, key = (*location, "", "")[:2]
    own = key in data["profiles"][profile].get(section, {})
    shared = not own and key in data["defaults"].get(section, {})
    return ("defaults",) if shared else ("profiles", profile)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = ProfileParams
    for part in location:
        fields: Mapping[int | str, Any] = getattr(section, "model_fields", {})
        values = get_args(section)  # of a mapping from names: their type comes second
        section = fields[part].annotation if part in fields else next(iter(values[1:]), None)
    return list(getattr(section, "model_fields", {}))
