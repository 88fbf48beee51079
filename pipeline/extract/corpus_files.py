"""Which files of a folder are a ready corpus, by their names and, of web archives, their bytes."""

from __future__ import annotations

from pathlib import Path

from pipeline.extract.warc_records import is_web_archive
from pipeline.shared.errors import UserError

_JSON = (".jsonl", ".ndjson", ".json")
_COMPRESSED = ("", ".gz", ".zst", ".xz", ".bz2", ".zstd")
_JSON_NAMES = tuple(kind + suffix for kind in _JSON for suffix in _COMPRESSED)
_PARQUET = (".parquet", ".parq", ".pq")
_WARC = (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz")  # others by how they begin
_SHOWN = f"{', '.join(_JSON)} (plain, {', '.join(_COMPRESSED[1:5])}), {_PARQUET[0]}, {_WARC[1]}"
_HIDDEN = (".", "_")  # what Hadoop, Spark and Arrow pass over: manifests, marks, half a copy


def is_json(path: Path) -> bool:
    """Whether a file holds records in JSON."""
    return path.name.lower().endswith(_JSON_NAMES)


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet."""
    return path.name.lower().endswith(_PARQUET)


def find_files(location: Path) -> tuple[list[Path], list[Path]]:
    """The corpus's files in order, and the others.

    Raises:
        UserError: there is no such folder, or no file of a known kind in it.
    """
    if not location.is_dir():
        raise UserError(
            f"params.yaml: extract.location = {location}: no such folder; put the corpus there "
            f"({_SHOWN}) or name its folder"
        )
    files: list[Path] = []
    others: list[Path] = []
    for path in sorted(path for path in location.rglob("*") if path.is_file()):
        (files if _is_known(path, location) else others).append(path)
    if not files:
        raise UserError(
            f"params.yaml: extract.location = {location}: holds none of {_SHOWN}; "
            "put the corpus there or name its folder"
        )
    return files, others


def _is_known(path: Path, location: Path) -> bool:
    if any(part.startswith(_HIDDEN) for part in path.relative_to(location).parts):
        return False
    if path.name.lower().endswith((*_JSON_NAMES, *_PARQUET, *_WARC)):
        return True
    return is_web_archive(path)
