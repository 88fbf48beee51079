"""Read a file of any store piece by piece, on through passing failures of the network."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipeline.shared.errors import RetryableError, UserError
from pipeline.shared.running.storage import is_url

_PIECE_BYTES = 2**22  # asked for at a time
_PAUSES_S = (1.0, 4.0, 15.0)  # before another attempt at a piece


def open_place(path: Path) -> BinaryIO:
    """Open a local file or a URL to read.

    Raises:
        UserError: there is no such file.
        RetryableError: here and in every read, the store gives no answer.
    """
    try:
        if not is_url(path):
            return path.open("rb")
        return cast(BinaryIO, io.BufferedReader(_RemoteFile(path), _PIECE_BYTES))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct its name") from None


class _RemoteFile(io.RawIOBase):
    """A file at a URL; a piece that does not come is asked for again, from where it broke off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._file = self._attempt(lambda: self._open(0))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = int(self._file.seek(offset, whence))
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._attempt(lambda: self._file.read(len(buffer)), reopen=True)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _open(self, position: int) -> Any:
        file: Any = self._path.open("rb")
        if position:
            file.seek(position)
        return file

    def _attempt(self, act: Callable[[], Any], *, reopen: bool = False) -> Any:
        for pause_s in (*_PAUSES_S, None):
            try:
                return act()
            except FileNotFoundError:
                raise
            except Exception as error:  # each store has errors of its own
                if pause_s is None or (reopen and not self._file.seekable()):
                    raise RetryableError(
                        f"{self._path}: no answer at byte {self._at} ({type(error).__name__}: "
                        f"{error}); check the address and run the same command again"
                    ) from None
            time.sleep(pause_s)
            if reopen:
                self._file.close()
                self._file = self._attempt(lambda: self._open(self._at))
        raise AssertionError
