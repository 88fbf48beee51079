"""What a step made of each shard, remembered beyond the run: a month more costs a month.

A work folder belongs to one set of parameters, inputs and code, so one more input begins another.
Here a result belongs to one shard under the parameters and code of its stage, whatever other shards
there are. Results are handed out by hard links, so what is remembered costs no disk; but what
damages an artefact damages them too, so they are compared with their hashes each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import fsync_path, open_folder, read_json, remove_path, write_json
from pipeline.shared.running.listing import hash_files

REMEMBERED = "remembered"  # the folder of all stages, in a profile's work
_NOTE = "note.json"
_HASHES = "hashes.json"  # of all other files


class Remembered(NamedTuple):
    """What was made of one shard."""

    folder: Path
    """With the files that were made."""
    note: dict[str, Any]


class Memory(NamedTuple):
    """The results of one stage, each in a folder of its own."""

    folder: Path
    method: str
    """Names the parameters and the code that make a result of a shard."""

    def recall(self, shard: str, make: Callable[[Path], dict[str, Any]]) -> Remembered:
        """What `make` left in the folder it was given, now or in an earlier run, and its note.

        What is damaged is made again.

        Args:
            shard: names the bytes of the shard, by their hash say.
            make: writes files into a folder and returns a note about them.

        Raises:
            CorruptDataError: the note is no JSON.
        """
        target = self._place(shard)
        if target.is_dir() and not _is_whole(target):
            remove_path(target)
        if not target.is_dir():
            with open_folder(target) as unfinished:
                write_json(unfinished / _NOTE, make(unfinished))
                write_json(unfinished / _HASHES, hash_files(unfinished))
                for path in unfinished.rglob("*"):
                    fsync_path(path)  # before its name says that it is whole
        return Remembered(target, read_json(target / _NOTE))

    def keep(self, shards: Collection[str]) -> None:
        """Forget what was made of other shards, or by another method."""
        wanted = {self._place(shard).name for shard in shards}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in wanted:
                remove_path(path)

    def _place(self, shard: str) -> Path:
        return self.folder / hashlib.sha256(f"{self.method} {shard}".encode()).hexdigest()[:16]


def _is_whole(folder: Path) -> bool:
    if not (folder / _HASHES).is_file():  # kept before there were hashes
        return True
    try:
        wanted = read_json(folder / _HASHES)
    except CorruptDataError:
        return False
    found = hash_files(folder)
    found.pop(_HASHES)
    return bool(found == wanted)
