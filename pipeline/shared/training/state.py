"""Checkpoints of a training under way: written whole, checked by hash, the last two kept.

The name carries step and SHA-256 (`00000420.0123456789abcdef.pt`), so one rename publishes bytes
and checksum together. Writing streams: no second copy of the state in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import torch

from pipeline.shared.errors import UserError
from pipeline.shared.files import fsync_path, sha256_file

_KEEP = 2
_NAME = re.compile(r"(\d{8})\.([0-9a-f]{16})\.pt")

State = dict[str, Any]


class ForeignCheckpointError(UserError):
    """A checkpoint of another training; the message names the difference."""


def save_state(folder: Path, step: int, identity: Mapping[str, Any], state: State) -> Path:
    """Write a checkpoint and remove all but the last two; returns its path.

    Raises:
        OSError: it cannot be written (a full disk); the checkpoints before it stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".writing-{os.getpid()}"
    _remove_unfinished(folder)
    try:
        with temporary.open("wb") as file:
            writer = _HashingWriter(file)
            _serialise({"identity": dict(identity), "step": step, "state": state}, writer)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{step:08d}.{writer.sha256.hexdigest()[:16]}.pt"
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(folder)
    for old in _checkpoints(folder)[_KEEP:]:
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint, unverified; None where there is none."""
    return next(iter(_checkpoints(folder)), None)


def keep_newest(folder: Path) -> None:
    """Remove all checkpoints but the newest: of a training that waits, one is enough."""
    for old in _checkpoints(folder)[1:]:
        old.unlink()


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint, unverified; 0 where there is none."""
    path = newest_checkpoint(folder)
    return int(path.name.split(".")[0]) if path else 0


def load_state(
    folder: Path, identity: Mapping[str, Any], log: logging.Logger
) -> tuple[int, State] | None:
    """The newest undamaged checkpoint as (step, state), or None where there is none.

    Raises:
        ForeignCheckpointError: it belongs to another shape, tokenizer, recipe or data.
    """
    for path in _checkpoints(folder):
        if not _is_whole(path):
            log.warning("%s: damaged, its SHA-256 is not that of its name; put aside", path)
            with suppress(FileNotFoundError):  # another rank was first
                path.rename(path.with_suffix(".damaged"))
            continue
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_identity(path, content["identity"], identity, f"delete {folder} to start afresh")
        return content["step"], content["state"]
    return None


def check_checkpoint(path: Path, identity: Mapping[str, Any]) -> None:
    """See that another stage's checkpoint is whole and of this training; the weights stay unread.

    Raises:
        ForeignCheckpointError: it is neither.
    """
    if not _is_whole(path):
        raise ForeignCheckpointError(f"{path}: damaged, its SHA-256 is not that of its name")
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    _check_identity(path, content["identity"], identity, "it belongs to other parameters or data")


def _is_whole(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return sha256_file(path).startswith(match[2])


def _check_identity(
    path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], remedy: str
) -> None:
    names = sorted(found.keys() | wanted.keys())
    differences = [
        f"{name} is {found.get(name)!r} where this training has {wanted.get(name)!r}"
        for name in names
        if found.get(name) != wanted.get(name)
    ]
    if differences:
        raise ForeignCheckpointError(
            f"{path}: of another training: {'; '.join(differences)}; {remedy}"
        )


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    paths = [path for path in folder.glob("*.pt") if _NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: path.name, reverse=True)


def _remove_unfinished(folder: Path) -> None:
    for leftover in folder.glob(".writing-*"):
        leftover.unlink()


class _HashingWriter:
    """A file that hashes what it writes, and keeps the error that torch would not pass on."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write and hash; after an error, pretend, so that torch ends in its own way."""
        if self.error is None:
            try:
                self._file.write(data)
                self.sha256.update(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Asked for by torch; `save_state` flushes for good."""


def _serialise(content: State, writer: _HashingWriter) -> None:
    torch.save(content, writer)  # type: ignore[arg-type]
    if writer.error is not None:
        raise writer.error
