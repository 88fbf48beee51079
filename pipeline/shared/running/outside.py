"""What lies outside the chain, where no hash of an input watches: the places a profile names.

A parameter of the type `Place` (params_types.py) is such a place, a file, a folder or a URL, and
belongs to the stage of its section. Places may hold terabytes, so they are listed and not read:
names, sizes, and times or a store's own marks.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any, get_args

from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json, write_json
from pipeline.shared.params.types import OUTSIDE, Section
from pipeline.shared.running.storage import is_url, parse_place

_TIMEOUT_S = 10.0
_AT_A_TIME = 8
_GONE = {404, 410}
# Marks by which stores tell one version of a file from the next: S3's, Google's, a web server's.
_MARKS = ("size", "ETag", "etag", "LastModified", "updated", "generation", "mtime", "created")
_HEADERS = ("Content-Length", "ETag", "Last-Modified")

Listing = list[list[Any]]
"""Of each file its name and its marks; empty where there is none."""


class NoAnswerError(Exception):
    """A store that does not say what it has."""


def places(section: Section) -> dict[str, list[str]]:
    """The places that a section of a profile names, by parameter."""
    found: dict[str, list[str]] = {}
    for name, field in type(section).model_fields.items():
        if OUTSIDE in field.metadata or _has_mark(field.annotation):
            value = getattr(section, name)
            found[name] = [value] if isinstance(value, str) else list(value or ())
    return {name: named for name, named in found.items() if named}


def _has_mark(annotation: Any) -> bool:
    """Whether a type is `Place`, or is made with it: `Place | None`, `list[Place]`."""
    return annotation is OUTSIDE or any(map(_has_mark, get_args(annotation)))


def hash_place(place: str, memory: Path, log: logging.Logger) -> str:
    """SHA-256 of the listing of a place.

    What a URL had to say is kept in the folder `memory`: where it gives no answer, the last one
    stands, so that a study goes on offline.
    """
    listing = list_url(place, memory, log) if is_url(place) else list(_list_files(Path(place)))
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _list_files(place: Path) -> Iterator[list[Any]]:
    """Name, bytes and time of change (ns) of a file or of every file below a folder."""
    if place.is_file():
        yield ["", *_marks(place)]
    for folder, folders, names in os.walk(place):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if path.is_file():
                yield [str(path.relative_to(place)), *_marks(path)]


def _marks(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def list_url(url: str, memory: Path, log: logging.Logger) -> Listing:
    """The files at a URL, as its store tells them now, or told them last."""
    note = memory / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
    try:
        listing = _ask_web(url) if url.startswith(("http://", "https://")) else _ask_store(url)
    except NoAnswerError as error:
        told: Listing = read_json(note)["listing"] if note.is_file() else []
        log.warning(
            "%s: does not say whether it has changed (%s); taken to be %s",
            *(url, error, "as it was" if note.is_file() else "empty"),
        )
        return told
    write_json(note, {"url": url, "listing": listing})
    return listing


def _ask_web(url: str) -> Listing:
    """A web server's marks of a file, or of each file that the page of a folder links to."""
    urls = _links(url) if url.endswith("/") else [url]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = pool.map(_head, urls)
        return [[name, *marks] for name, marks in zip(urls, found, strict=True) if marks]


def _links(url: str) -> list[str]:
    place: Any = parse_place(url)
    try:
        return sorted(place.fs.ls(url, detail=False))
    except FileNotFoundError:
        return []
    except Exception as error:  # the store's library has errors of its own
        raise NoAnswerError(f"{type(error).__name__}: {error}") from None


def _head(url: str) -> list[str]:
    """Length, ETag and date of a file; empty where the server says that there is none."""
    request = urllib.request.Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return [response.headers.get(name) or "" for name in _HEADERS]
    except urllib.error.HTTPError as error:
        if error.code in _GONE:
            return []
        raise NoAnswerError(f"HTTP {error.code}") from None
    except (OSError, HTTPException) as error:
        raise NoAnswerError(str(getattr(error, "reason", None) or error)) from None


def _ask_store(url: str) -> Listing:
    try:
        place: Any = parse_place(url)
        found: Mapping[str, Mapping[str, Any]] = place.fs.find(place.path, detail=True)
    except UserError:
        raise  # no package speaks the scheme
    except Exception as error:  # each store has errors of its own
        raise NoAnswerError(f"{type(error).__name__}: {error}") from None
    return [[name, *(str(info.get(key, "")) for key in _MARKS)] for name, info in found.items()]
