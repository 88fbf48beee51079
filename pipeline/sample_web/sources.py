"""Where the built-in web's text comes from: documentation that every installation has.

Only packages that figure4 needs at run time are read, never a development tool, so that `make
study` and a developer's environment give the same web. Files are parsed, never imported.
"""

from __future__ import annotations

import platform
import re
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from pipeline.sample_web.material import read_data
from pipeline.shared.errors import UserError

STANDARD_LIBRARY = "python"

DISTRIBUTIONS: list[str] = read_data("sources")["distributions"]
"""In the order in which their pages are taken until the bound on text is reached."""
_SKIPPED = frozenset(read_data("sources")["skipped"])
_TOPICS = "pydoc_data/topics.py"  # the language reference as `help()` shows it


class PackageSource(NamedTuple):
    """One file of documentation."""

    package: str
    """The distribution, or `python`."""
    module: str
    """Dotted name; `<package>` for a long description."""
    path: Path


def versions() -> dict[str, str]:
    """The version of Python and of each distribution read, which decide the text.

    Raises:
        UserError: one is not installed.
    """
    found = {name: find_distribution(name).version for name in DISTRIBUTIONS}
    return {STANDARD_LIBRARY: platform.python_version()} | found


def find_distribution(name: str) -> Distribution:
    """An installed distribution.

    Raises:
        UserError: it is not installed.
    """
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise UserError(
            f"sample_web: the package {name} is not installed, and its documentation is part of "
            "the built-in web; run `pip install -c constraints.txt -e .`"
        ) from None


def unlike_pinned(found: Mapping[str, str], constraints: Path) -> list[str]:
    """What differs between the installed versions and those of a constraints file."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if re.fullmatch(r"[\w.-]+==\S+", line))
    return [
        f"{name} {version} is installed where {constraints.name} pins {pinned[name]}"
        for name, version in found.items()
        if name in pinned and version.partition("+")[0] != pinned[name]
    ]


def find_sources() -> list[PackageSource]:
    """Every file with documentation: standard library first, then `DISTRIBUTIONS`, by path."""
    others = (source for name in DISTRIBUTIONS for source in _distribution_sources(name))
    return [*_standard_library(), *others]


def _standard_library() -> Iterator[PackageSource]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(path.relative_to(root) for path in root.rglob("*.py")):
        if _is_wanted(path) or path.as_posix() == _TOPICS:
            yield PackageSource(STANDARD_LIBRARY, _module_name(path), root / path)


def _distribution_sources(name: str) -> Iterator[PackageSource]:
    """The long description first, then the modules."""
    found = find_distribution(name)
    files = sorted(Path(str(file)) for file in found.files or [])
    modules = [file for file in files if file.suffix == ".py" and _is_wanted(file)]
    for file in [*(file for file in files if file.match("*.dist-info/METADATA")), *modules]:
        module = _module_name(file) if file.suffix else name
        yield PackageSource(name, module, Path(str(found.locate_file(str(file)))))


def _is_wanted(path: Path) -> bool:
    folders = set(path.parts[:-1])
    return not folders & _SKIPPED and not re.match(r"test_|conftest|\.\.", str(path.name))


def _module_name(path: Path) -> str:
    parts = [*path.parts[:-1], path.stem]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
