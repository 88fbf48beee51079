"""The pinned versions of other people's packages, by the names under which code imports them.

Versions are those of constraints.txt, not those installed: the pins are the project's word on
what makes its results, and do not change with an extra that is installed later or with the
machine that a training runs on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.shared.errors import UserError

PINS = "constraints.txt"  # in the project's folder

# Import names that differ from the name of the distribution.
DISTRIBUTIONS: Mapping[str, str] = {"PIL": "pillow", "upath": "universal-pathlib", "yaml": "pyyaml"}

# What a package leaves to others and what shapes its answers as much; nothing else imports them.
WORKERS: Mapping[str, tuple[str, ...]] = {
    "rouge_score": ("nltk",),  # the stems of words
    "sacrebleu": ("regex",),  # where words end
    "trafilatura": ("courlan", "htmldate", "justext", "lxml", "lxml_html_clean"),
}


def read_pins(path: Path) -> dict[str, str]:
    """Version by normalised name.

    Raises:
        UserError: there is no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; restore it, e.g. git checkout {path.name}"
        ) from None
    pins = (line.split("#")[0].strip().split("==") for line in lines)
    return {normalise(pin[0]): pin[1] for pin in pins if len(pin) == 2}


def versions(packages: Collection[str], pins: Mapping[str, str]) -> dict[str, str]:
    """The pinned version of each imported package and of what works for it, by distribution.

    Raises:
        UserError: a package has no pin.
    """
    workers = {worker for package in packages for worker in WORKERS.get(package, ())}
    names = {normalise(DISTRIBUTIONS.get(package, package)) for package in {*packages, *workers}}
    if missing := sorted(names - pins.keys()):
        raise UserError(
            f"constraints.txt: no pin of {', '.join(missing)}, which the code imports; add it"
        )
    return {name: pins[name] for name in sorted(names)}


def normalise(name: str) -> str:
    """A distribution's name in the one spelling of all that mean the same.

    >>> normalise("Lxml_HTML.clean")
    'lxml-html-clean'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
