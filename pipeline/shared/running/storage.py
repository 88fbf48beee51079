"""Places that a stage reads or writes: local paths, and URLs of whatever fsspec speaks.

`s3://bucket/shards`, `gs://...`, `https://...`: universal_pathlib makes each a `pathlib.Path`.
Credentials and endpoints come from the environment, as the store's own tools read them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pipeline.shared.errors import RetryableError, UserError
from pipeline.shared.running.listing import MANIFEST, METRICS


def parse_place(text: str) -> Path:
    """A path, from what a user wrote.

    A URL's path is typed as `Path` since it speaks its language; it is no local file.

    Raises:
        UserError: no installed package speaks the URL's scheme.
    """
    if not is_url(text):
        return Path(text)
    from upath import UPath  # here, since a GPU node may lack it

    try:
        place = UPath(text)
        place.fs  # noqa: B018 - finds the package that speaks the scheme
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{text}: cannot be read ({error}); install the package that fsspec needs for it, "
            "e.g. `pip install -c constraints.txt s3fs` for s3://"
        ) from None
    return cast(Path, place)


def is_url(place: str | Path) -> bool:
    """Whether a place is one of fsspec's, not of the local file system."""
    return "://" in str(place)


def exists(place: Path) -> bool:
    """Whether there is a file or folder at a place.

    Raises:
        RetryableError: the store does not answer, or refuses.
    """
    try:
        return place.exists()
    except Exception as error:  # each store has errors of its own
        if not is_url(place):
            raise
        raise RetryableError(
            f"{place}: the store gives no answer ({type(error).__name__}: {error}); check address "
            "and credentials and run the same command again"
        ) from None


def upload(folder: Path, place: Path) -> None:
    """Replace what a store has under `place` by the entries of a local folder.

    What lists the rest goes first and comes last: metrics.json of all entries, `_manifest.json` of
    a folder of shards. So nobody reads half of it as whole, whenever this ends.
    """
    store: Any = place
    _remove(store / METRICS)
    for entry in sorted(folder.iterdir(), key=lambda path: (path.name == METRICS, path.name)):
        target = store / entry.name
        _remove(target / MANIFEST)
        _remove(target)
        files = [path for path in sorted(entry.rglob("*")) if path.is_file()] or [entry]
        for file in sorted(files, key=lambda path: path.name == MANIFEST):
            place_of_file = target.joinpath(*file.relative_to(entry).parts)
            place_of_file.fs.put_file(str(file), place_of_file.path)


def _remove(target: Any) -> None:
    if target.exists():
        target.fs.rm(target.path, recursive=True)
