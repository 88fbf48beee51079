"""The checkout that a user looks at, which is not always the one that a stage runs in."""

from __future__ import annotations

from pathlib import Path

_COPIES = (".dvc", "tmp", "exps")  # where `dvc exp run --temp` and `--queue` copy a checkout to


def origin() -> Path:
    """The working folder or, in a copy that DVC made for an experiment, the checkout it is of.

    DVC deletes its copies. What is to stay, the archive of pages and MLflow's runs, lies here.
    """
    folder = Path.cwd()
    for parent in folder.parents:
        if parent.parts[-len(_COPIES) :] == _COPIES:
            return parent.parents[len(_COPIES) - 1]
    return folder


def archive_folder(named: str | None, profile: str) -> Path:
    """The profile's archive of pages: `crawl.archive`, or archive/<profile> in the checkout."""
    return origin() / (named or f"archive/{profile}")
