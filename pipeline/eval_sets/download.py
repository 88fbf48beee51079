"""Published files fetched by URL, whole or member by member out of an archive."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from pipeline.errors import CorruptDataError, RetryableError
from pipeline.eval_sets.sources import NotAvailable, PublishedFile, SourceFile, verified
from pipeline.files import open_atomic

_TIMEOUT_S = 60.0
_GONE = {401, 403, 404, 410, 451}
_USER_AGENT = "figure4 (evaluation sets)"


@dataclass(frozen=True)
class Publishers:
    """The publishers' own URLs; what was fetched once is kept in `cache`."""

    cache: Path

    def locate(self, file: PublishedFile) -> SourceFile:
        """See `Source.locate`."""
        fetched = self._fetch(file.url)
        path = self._member(fetched, file) if file.member else fetched
        return verified(SourceFile(path), file.forms[0], f"delete {fetched} and run again")

    def _fetch(self, url: str) -> Path:
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{url.rpartition('/')[2]}"
        path = self.cache / name
        if path.is_file():
            return path
        if " " in url:
            raise NotAvailable(f"its publisher gives no plain file; convert {url}")
        request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT})
        try:
            with (
                urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response,
                open_atomic(path) as target,
            ):
                shutil.copyfileobj(response, target, length=2**20)
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise NotAvailable(
                    f"{url}: HTTP {error.code}; find the file elsewhere and use source: folder"
                ) from None
            raise _passing(url, error) from None
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise _passing(url, error) from None
        return path

    def _member(self, archive: Path, file: PublishedFile) -> Path:
        path = archive.with_name(f"{archive.name}.d") / file.member
        if path.is_file():
            return path
        try:
            with open_atomic(path) as target:
                _extract(archive, file.member, target)
        except KeyError:
            raise CorruptDataError(f"{archive}: holds no {file.member}; delete it") from None
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise CorruptDataError(
                f"{archive}: cannot be unpacked ({error}); delete it and run again"
            ) from None
        return path


def _extract(archive: Path, member: str, target: IO[bytes]) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed, packed.open(member) as source:
            shutil.copyfileobj(source, target)
        return
    with tarfile.open(archive) as packed_tar:
        extracted = packed_tar.extractfile(member.removeprefix("./"))
        if extracted is None:
            raise KeyError(member)
        with extracted:
            shutil.copyfileobj(extracted, target)


def _passing(url: str, error: Exception) -> RetryableError:
    reason = getattr(error, "reason", None) or error
    return RetryableError(
        f"{url}: cannot be fetched now ({reason}); check the network and run the same command "
        "again, or set eval_sets.source to folder"
    )
