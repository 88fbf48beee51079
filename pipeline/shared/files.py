"""Files that are either whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pipeline.shared.errors import REMAKE, CorruptDataError


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path` for what is not whole yet, which no other writer anywhere has."""
    return path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex[:12]}")


@contextmanager
def open_atomic(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a file that appears under `path` only when it is complete and on disk.

    On an error nothing appears and what stood there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    encoding = None if "b" in mode else "utf-8"
    try:
        with temporary.open(mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)


@contextmanager
def open_folder(target: Path) -> Iterator[Path]:
    """Fill a folder that appears under `target` only when it is complete.

    If another process was faster, its folder stays: both come of the same work.
    """
    temporary = temporary_name(target)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        remove_path(temporary)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; keys keep their order."""
    with open_atomic(path, "w") as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CorruptDataError: it is missing, a folder or no JSON, naming the file.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CorruptDataError(f"{path}: no such file; run the stage that makes it") from None
    except IsADirectoryError:
        raise CorruptDataError(f"{path}: a folder; name the file itself") from None
    except ValueError as error:
        raise CorruptDataError(f"{path}: not JSON ({error}); {REMAKE}") from None


def once(note: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns, or returned in an earlier attempt: written to `note` when it is done."""
    with suppress(CorruptDataError):  # none yet, or a damaged one
        found: dict[str, Any] = read_json(note)
        return found
    write_json(note, work())
    noted: dict[str, Any] = read_json(note)
    return noted


def fsync_path(path: Path) -> None:
    """Make what a file holds, or renames in a folder, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file or folder tree as `source`, by hard links where they work."""
    if source.is_dir():
        target.mkdir()
        for child in sorted(source.iterdir()):
            link_or_copy(child, target / child.name)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def replace_path(source: Path, target: Path) -> None:
    """Publish a file or folder under `target` by rename, replacing what stands there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(target)
    link_or_copy(source, temporary)
    if target.is_dir() or temporary.is_dir():
        remove_path(target)  # rename(2) replaces files and empty folders only
    temporary.replace(target)
    remove_path(temporary)  # rename(2) leaves it where both are links to the same file already
    fsync_path(target.parent)


def remove_path(path: Path) -> None:
    """Remove a file or a folder tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def extract_tar(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive of files and folders, none of which may lie outside `folder`.

    By Python's own filter, which 3.11 has since 3.11.4; before, anything else is refused.

    Raises:
        tarfile.TarError: it holds a link, a device, or a path that leads out.
    """
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():
        parts = Path(member.name).parts
        if not (member.isfile() or member.isdir()) or ".." in parts or "/" in parts:
            raise tarfile.TarError(f"{member.name}: no plain file or folder below the archive's")
    archive.extractall(folder)
