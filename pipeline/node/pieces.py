"""Results as a few files of bounded size with plain names, and a list of them with hashes."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import extract_tar, open_atomic, read_json, sha256_file, write_json

RESULTS = "results.json"
_NAME = "results.tar.xz"
PIECE_BYTES = 15 * 2**20


def write_pieces(folder: Path, members: Mapping[str, Path], head: Mapping[str, Any]) -> int:
    """Write files under the names of `members`, `results.json` last; returns their bytes.

    What an earlier call left is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).unlink(missing_ok=True)
    for old in folder.glob(f"{_NAME}.*"):
        old.unlink()
    pieces: list[dict[str, Any]] = []
    with tempfile.TemporaryFile(dir=folder) as whole:
        with tarfile.open(fileobj=whole, mode="w:xz") as archive:
            for name, path in members.items():
                archive.add(path, arcname=name)
        whole.seek(0)
        while content := whole.read(PIECE_BYTES):
            path = folder / f"{_NAME}.{len(pieces):02d}"
            with open_atomic(path) as file:
                file.write(content)
            pieces.append({"name": path.name, "bytes": len(content), "sha256": sha256_file(path)})
    write_json(folder / RESULTS, {**head, "pieces": pieces})
    return sum(int(piece["bytes"]) for piece in pieces)


def read_pieces(folder: Path, target: Path) -> dict[str, Any]:
    """Put the pieces together again into `target`; returns `results.json`.

    Raises:
        CorruptDataError: a piece is missing or damaged.
    """
    results: dict[str, Any] = read_json(folder / RESULTS)
    with tempfile.TemporaryFile() as whole:
        for piece in results["pieces"]:
            path = folder / piece["name"]
            if not path.is_file() or sha256_file(path) != piece["sha256"]:
                raise CorruptDataError(
                    f"{path}: missing, or not as {RESULTS} lists it; copy it from the node again"
                )
            whole.write(path.read_bytes())
        whole.seek(0)
        with tarfile.open(fileobj=whole, mode="r:xz") as archive:
            extract_tar(archive, target)
    return results
