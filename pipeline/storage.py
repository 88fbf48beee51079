"""Places that a stage reads or writes: local paths, and URLs of whatever fsspec speaks.

`s3://bucket/shards`, `gs://...`, `https://...`: universal_pathlib makes each a `pathlib.Path`.
Credentials and endpoints come from the environment, as the store's own tools read them.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pipeline.errors import UserError


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
