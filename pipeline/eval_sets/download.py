"""Published files fetched by URL, as they are or out of an archive."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pipeline.eval_sets.sources import NotAvailable, PublishedFile, SourceFile, verified
from pipeline.shared.errors import CorruptDataError, RetryableError
from pipeline.shared.files import extract_tar, open_atomic, sha256_file

_TIMEOUT_S = 60.0
_GONE = {401, 403, 404, 410, 451}
_USER_AGENT = "figure4 (evaluation sets)"
_BY_FOLDER = "give a folder of files (eval_sets.source: folder, or --eval-sets FOLDER)"


@dataclass(frozen=True)
class Publishers:
    """The publishers' own URLs; what was fetched once is kept in `cache`."""

    cache: Path

    def locate(self, file: PublishedFile) -> SourceFile:
        """See `Source.locate`."""
        fetched = self._fetch(file.url)
        again = f"delete {fetched} and run again"
        if not file.member:
            return verified(SourceFile(fetched), file.forms[0], again)
        unpacked = _unpack(fetched, file.archive_digest)
        path = unpacked / file.member
        if not path.is_file():
            raise CorruptDataError(
                f"{fetched}: holds no {file.member}; delete it and {unpacked}, and run again"
            )
        return verified(SourceFile(path), file.forms[0], f"delete {unpacked} and run again")

    def _fetch(self, url: str) -> Path:
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{url.rpartition('/')[2]}"
        path = self.cache / name
        if path.is_file():
            return path
        request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT})
        try:
            with (
                urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response,
                open_atomic(path) as target,
            ):
                shutil.copyfileobj(response, target, length=2**20)
                _check_length(response, target.tell())
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise NotAvailable(
                    f"{url}: HTTP {error.code}; find the file elsewhere and {_BY_FOLDER}"
                ) from None
            raise _passing(url, error) from None
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise _passing(url, error) from None
        return path


def _check_length(response: Any, received: int) -> None:
    """Raise where the connection ended early, which the library takes for the file's end."""
    promised = response.headers.get("Content-Length")
    if promised is not None and int(promised) != received:
        raise ConnectionError(f"{received:,} of {int(promised):,} bytes came")


def _unpack(archive: Path, digest: str) -> Path:
    """The folder of an archive's files; all at once, since a tar file must be read from its start.

    Raises:
        CorruptDataError: the archive is damaged, or its SHA-256 is not `digest`.
    """
    folder = archive.with_name(f"{archive.name}.d")
    if folder.is_dir():
        return folder
    actual = f"sha256:{sha256_file(archive)}"
    if digest and actual != digest:
        raise CorruptDataError(
            f"{archive}: {actual[:23]}... where {digest[:23]}... is published; "
            "delete it and run again"
        )
    unfinished = archive.with_name(f"{archive.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _extract(archive, unfinished)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise CorruptDataError(
            f"{archive}: cannot be unpacked ({error}); it is cut short or damaged, or the disk is "
            "full: delete it and run again"
        ) from None
    return unfinished.rename(folder)


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        return
    with tarfile.open(archive) as packed_tar:
        extract_tar(packed_tar, folder)


def _passing(url: str, error: Exception) -> RetryableError:
    reason = getattr(error, "reason", None) or error
    return RetryableError(
        f"{url}: cannot be fetched now ({reason}); check the network and run the same command "
        f"again, or {_BY_FOLDER}"
    )
