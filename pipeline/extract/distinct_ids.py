"""Ids that stand more than once in a corpus made distinct: by them documents are split and found.

Files number their rows anew, and a corpus without ids has those of its URLs. The first document
keeps its id, the second one's becomes `<id>#2`. Shards without such an id stay as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.files import link_or_copy, remove_path
from pipeline.shared.formats.documents import (
    Shard,
    list_shards,
    read_verified_table,
    write_manifest,
    write_table,
)
from pipeline.shared.running.stage import Stage
from pipeline.shared.text.words import Hashes, hash_words

_REWRITTEN = "distinct_ids"  # in the work folder
_MOST_SHOWN = 5


def make_ids_distinct(stage: Stage) -> int:
    """Write the shards of documents/ anew in which ids stand that stood before; returns how many.

    Of each id 8 bytes are held in memory.
    """
    folder = stage.staging / "documents"
    shards = list_shards(folder)
    hashes = [hash_words(_read_ids(shard)) for shard in shards]
    every, counts = np.unique(np.concatenate(hashes), return_counts=True)
    repeated = every[counts > 1]
    if not len(repeated):
        return 0
    namer = _Namer(every)
    items = {}
    for number, (shard, own) in enumerate(zip(shards, hashes, strict=True)):
        rows = np.flatnonzero(np.isin(own, repeated))
        if names := namer.rename(_read_ids(shard), rows.tolist()):
            items[number] = _Item(shard, names)
    _tell(stage, namer)
    rewritten = dict(zip(items, _rewrite(stage, list(items.values())), strict=True))
    for entry in rewritten.values():
        remove_path(folder / entry["name"])
        link_or_copy(stage.work / _REWRITTEN / entry["name"], folder / entry["name"])
    write_manifest(folder, [rewritten.get(n) or _entry(shard) for n, shard in enumerate(shards)])
    return sum(len(item.names) for item in items.values())


def _rewrite(stage: Stage, items: list[_Item]) -> list[dict[str, Any]]:
    folder = stage.work / _REWRITTEN
    remove_path(folder)  # of an earlier attempt
    rewrite, documents_of = _Rewrite(folder), attrgetter("shard.documents")
    return list(
        stage.map_shards("distinct ids", rewrite, items, unit="documents", weigh=documents_of)
    )


def _read_ids(shard: Shard) -> list[str]:
    ids: list[str] = pq.read_table(shard.path, columns=["id"])["id"].to_pylist()
    return ids


def _entry(shard: Shard) -> dict[str, Any]:
    return {"name": shard.path.name} | {k: v for k, v in shard._asdict().items() if k != "path"}


class _Namer:
    """Gives ids that nobody has to the second document of an id and those after it."""

    def __init__(self, taken: Hashes) -> None:
        self._taken = taken
        """Hashes of all ids, sorted."""
        self.counts: Counter[str] = Counter()
        """How often each id was met, of those that stand more than once."""

    def rename(self, ids: list[str], rows: list[int]) -> dict[int, str]:
        """The new ids of a shard, by row."""
        names = {}
        for row in rows:
            id_ = ids[row]
            self.counts[id_] += 1
            if self.counts[id_] > 1:
                names[row] = self._free_name(id_)
        return names

    def _free_name(self, id_: str) -> str:
        while self._is_taken(name := f"{id_}#{self.counts[id_]}"):
            self.counts[id_] += 1
        return name

    def _is_taken(self, name: str) -> bool:
        hash_ = hash_words([name])[0]
        place = np.searchsorted(self._taken, hash_)
        return bool(place < len(self._taken) and self._taken[place] == hash_)


def _tell(stage: Stage, namer: _Namer) -> None:
    shown = ", ".join(f"{id_!r:.80}" for id_, _ in namer.counts.most_common(_MOST_SHOWN))
    stage.log.warning(
        "%s ids stand more than once, such as %s; made distinct", f"{len(namer.counts):,}", shown
    )


class _Item(NamedTuple):
    shard: Shard
    names: dict[int, str]
    """New ids by row."""


@dataclass(frozen=True)
class _Rewrite:
    """Writes a shard with other ids into a folder; a callable for `map_shards`."""

    folder: Path

    def __call__(self, item: _Item) -> dict[str, Any]:
        table = read_verified_table(item.shard)
        ids = table["id"].to_pylist()
        for row, name in item.names.items():
            ids[row] = name
        place = table.schema.get_field_index("id")
        table = table.set_column(place, table.schema.field(place), pa.array(ids, pa.string()))
        return write_table(self.folder / item.shard.path.name, table)
