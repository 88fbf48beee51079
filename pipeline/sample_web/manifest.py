"""The list of a folder's files with their hashes, written last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.shared.files import sha256_file, write_json
from pipeline.shared.running.listing import MANIFEST


def write_manifest(
    folder: Path, *, statement: str = "", examples: Mapping[str, int] | None = None
) -> None:
    """List the files below a folder; `examples` says how many each has."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    listed = [
        {"name": name, "bytes": path.stat().st_size}
        | ({} if examples is None else {"examples": examples[name]})
        | {"sha256": sha256_file(path)}
        for name, path in sorted(files.items())
    ]
    head = {"statement": statement} if statement else {}
    write_json(folder / MANIFEST, head | {"files": listed})
