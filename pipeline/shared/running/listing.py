"""What a stage made, by hashes: listed when it is whole, compared by whoever reads it.

metrics.json lists each entry of its folder, as `sha256sum` writes a line; `complete.json` in the
work folder lists every file. A folder of shards is named by its manifest, which names the shards:
their readers compare those.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import read_json, sha256_file, write_json

# Of a folder of shards: lists each file with its hash. Arrow and pandas pass over a leading _.
MANIFEST = "_manifest.json"
METRICS = "metrics.json"  # of a stage's out: written last
COMPLETE = "complete.json"  # its presence says that `out/` is whole
LISTED = "sha256"  # the key of metrics.json and complete.json; DVC shows no list of metrics

_NOTE_BYTES = 4096


def hash_input(path: Path) -> str:
    """Hash a file by its bytes, a folder by its manifest or, without one, file by file.

    Raises:
        CorruptDataError: it is not what the metrics.json beside it, or in it, lists.
    """
    digest = _hash(path, sha256_file)
    _compare(path.parent, {path.name: digest})
    return digest


def _hash(path: Path, hash_file: Callable[[Path], str]) -> str:
    if not path.is_dir():
        return hash_file(path)
    if (path / MANIFEST).is_file():
        return hash_file(path / MANIFEST)
    children = [child for child in path.iterdir() if not child.name.startswith(".")]
    names = {child.name: _hash(child, hash_file) for child in children if child.name != METRICS}
    _compare(path, names)
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()


def _compare(folder: Path, found: Mapping[str, str]) -> None:
    listed = _read_list(folder / METRICS)
    for name, digest in found.items():
        wanted = listed.get(name, digest)
        if wanted != digest and not _stands_for(folder / name, wanted):
            raise CorruptDataError(
                f"{folder / name}: damaged, not what {METRICS} beside it lists (SHA-256 "
                f"{digest[:12]}... for {wanted[:12]}...); {REMAKE}"
            )


def _read_list(path: Path) -> dict[str, str]:
    """Name -> hash; none where the file is missing or older than such lists."""
    listed = read_json(path).get(LISTED, []) if path.is_file() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in listed)}


def _stands_for(path: Path, digest: str) -> bool:
    """Whether a file is a note in place of one with that hash, which it names."""
    is_note = path.is_file() and path.stat().st_size <= _NOTE_BYTES
    return is_note and digest.encode() in path.read_bytes()


def list_entries(folder: Path, files: Mapping[str, str]) -> list[str]:
    """A line for each entry of a folder, of whose files, or manifests, `files` holds the hashes."""

    def hash_file(path: Path) -> str:
        return files[path.relative_to(folder).as_posix()]

    entries = sorted({name.split("/")[0] for name in files})
    return [f"{_hash(folder / name, hash_file)}  {name}" for name in entries]


def hash_files(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """Relative path -> SHA-256 of every file below a folder, or of those of a pattern."""
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets go of the interpreter
        digests = list(pool.map(sha256_file, paths))
    names = (path.relative_to(folder).as_posix() for path in paths)
    return dict(zip(names, digests, strict=True))


def write_complete(work: Path, fingerprint: str, files: Mapping[str, str]) -> None:
    """Say that `work`/out is whole, and what is in it."""
    write_json(work / COMPLETE, {"fingerprint": fingerprint, LISTED: dict(files)})


def first_damaged(work: Path) -> Path | None:
    """A file of finished work that is missing or is not what `write_complete` was told of."""
    wanted = read_json(work / COMPLETE).get(LISTED)
    if wanted is None:  # written before such lists
        return None
    found = hash_files(work / "out")
    names = sorted(wanted.keys() | found.keys())
    wrong = next((name for name in names if wanted.get(name) != found.get(name)), None)
    return work / "out" / wrong if wrong else None
