"""Documents and rejected pages of one shard or file, written, remembered and published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.shared.files import link_or_copy, remove_path
from pipeline.shared.formats.documents import Document, Removed, write_manifest, write_shard
from pipeline.shared.running.shard_memory import Remembered

KEPT = "document"
_SHARD_CHARACTERS = 64 * 2**20
_KINDS: dict[str, type[Document]] = {"documents": Document, "rejected": Removed}


class Part:
    """Writes the documents of one input as one shard or several, the rejected ones likewise."""

    def __init__(self, folder: Path) -> None:
        self._writers = {name: _Shards(folder / name, kind) for name, kind in _KINDS.items()}
        self.reasons: Counter[str] = Counter()

    def add(self, document: Document) -> None:
        """Take a document, or a rejected one."""
        is_removed = isinstance(document, Removed)
        self.reasons[document.reason if isinstance(document, Removed) else KEPT] += 1
        self._writers["rejected" if is_removed else "documents"].add(document)

    def finish(self) -> dict[str, Any]:
        """The note about what was written."""
        entries = {name: writer.finish() for name, writer in self._writers.items()}
        return {**entries, "reasons": dict(self.reasons)}


class _Shards:
    def __init__(self, folder: Path, kind: type[Document]) -> None:
        self._folder, self._kind = folder, kind
        self._rows: list[Document] = []
        self._characters = 0
        self._entries: list[dict[str, Any]] = []

    def add(self, document: Document) -> None:
        self._rows.append(document)
        self._characters += len(document.text)
        if self._characters >= _SHARD_CHARACTERS:
            self._write()

    def finish(self) -> list[dict[str, Any]]:
        if self._rows or not self._entries:
            self._write()
        return self._entries

    def _write(self) -> None:
        path = self._folder / f"{len(self._entries):03d}.parquet"
        self._entries.append(write_shard(path, self._rows, kind=self._kind))
        self._rows, self._characters = [], 0


def publish_parts(staging: Path, parts: Sequence[Remembered]) -> dict[str, int]:
    """Make documents/ and rejected/ of all parts in order; returns the totals of documents/."""
    totals = {}
    for kind in _KINDS:
        folder = staging / kind
        remove_path(folder)  # what a killed attempt left
        folder.mkdir()
        entries = []
        for number, part in enumerate(parts):
            for entry in part.note[kind]:
                name = _name(number, entry["name"], len(part.note[kind]))
                link_or_copy(part.folder / kind / entry["name"], folder / name)
                entries.append(entry | {"name": name})
        totals[kind] = write_manifest(folder, entries)
    return totals["documents"]


def _name(number: int, name: str, of: int) -> str:
    """Of one shard that is the whole part its number alone."""
    return f"{number:05d}.parquet" if of == 1 else f"{number:05d}-{name}"


def sum_counts(parts: Iterable[Remembered], key: str) -> dict[str, int]:
    """Counts of all parts by word, the largest first."""
    total: Counter[str] = sum((Counter(part.note[key]) for part in parts), Counter())
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def show_counts(counts: Mapping[str, int]) -> str:
    """Counts by word for a message.

    >>> show_counts({"too_short": 1200, "empty": 3})
    '1,200 too_short, 3 empty'
    """
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())
