"""The packages that score what a model wrote, and what becomes of sets that were scored without.

A machine may lack one (docs/gpu.md). The work folder's name goes by the pinned versions, which are
the same there: so an attempt goes on with finished work that lacked a package once the package is
there, for the sets that it kept from a result, and for no other.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.shared.files import read_json
from pipeline.shared.running.listing import METRICS
from pipeline.shared.scores.results import Result

LACKED = "package_lacked"
"""In the protocol of a set that was not run: the package, as pip calls it."""
LACKING = "packages_lacking"
"""In metrics.json: set -> the package that it was not run for."""


def _import_rouge() -> None:
    import rouge_score.rouge_scorer  # noqa: F401


def _import_bleu() -> None:
    import sacrebleu.metrics.bleu  # noqa: F401


_IMPORTS = {"rouge-score": _import_rouge, "sacrebleu": _import_bleu}


def is_here(package: str) -> bool:
    """Whether a package can be imported, with whatever it imports in turn."""
    try:
        _IMPORTS[package]()
    except ModuleNotFoundError:
        return False
    return True


def can_run_now(result: Result) -> bool:
    """Whether a set was not run for a package that is here now."""
    package = result.protocol.get(LACKED)
    return package is not None and is_here(package)


def could_add(out: Path) -> bool:
    """Whether a finished evaluation's folder lacks a set for a package that is here now."""
    lacking: dict[str, str] = read_json(out / METRICS).get(LACKING, {})
    return any(map(is_here, _IMPORTS.keys() & set(lacking.values())))
