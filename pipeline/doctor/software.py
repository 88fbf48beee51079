"""Python and the installed packages, held against the pins."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.doctor.finding import Finding, ok
from pipeline.shared.running.package_pins import PINS, normalise, read_pins

_LEAST, _BELOW = (3, 11), (3, 14)
_INSTALL = f"pip install -c {PINS} -e ."
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_software(root: Path) -> Iterator[Finding]:
    """Python's version, and every package that pyproject.toml asks for."""
    here = ".".join(map(str, sys.version_info[:3]))
    if _LEAST <= sys.version_info[:2] < _BELOW:
        yield ok(f"Python {here}")
    else:
        yield Finding(
            "wrong",
            f"Python {here}: 3.11 to 3.13 are tested",
            "make the environment again with one of them: make clean, make study PYTHON=python3.12",
        )
    pins = read_pins(root / PINS)
    wrong = list(_differing(_dependencies(root), pins))
    if not wrong:
        yield ok(f"packages: as {PINS} pins them")
    for name, installed in wrong:
        yield Finding(
            "wrong" if installed is None else "note",
            f"{name}: {'not installed' if installed is None else installed}, "
            f"{pins[name]} was tested",
            _INSTALL,
        )


def _dependencies(root: Path) -> list[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (_NAME.match(line) for line in project["dependencies"])
    return [normalise(match[0]) for match in found if match]


def _differing(names: list[str], pins: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    """Packages whose version is not the pinned one, with what is installed."""
    for name in names:
        try:
            # A build's own mark (2.13.0+cpu) tells how it was made, not what it is.
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            yield name, None
            continue
        if name in pins and installed != pins[name].partition("+")[0]:
            yield name, installed
