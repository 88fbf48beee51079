"""Documents and their Parquet shards: the sole owner of that format.

A folder of shards holds `00000.parquet`, `00001.parquet`, ... (zstd) and, last, `_manifest.json`
with the count and SHA-256 of each. pandas, Arrow, Polars and DuckDB read the folder as it is. The
same documents in the same order give the same bytes. The folder may be a URL (`running.storage`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.shared.arrow_memory import read_buffer
from pipeline.shared.errors import REMAKE, CorruptDataError, UserError
from pipeline.shared.files import open_atomic, read_json, sha256_file, write_json
from pipeline.shared.running.listing import MANIFEST

_SHARD_TEXT_BYTES = 64 * 2**20  # of text; about 20 MiB on disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document on its way from a link to tokens."""

    id: str
    """Stable name: `document_id(url)` unless a ready corpus brings its own."""
    url: str
    """Canonical URL."""
    text: str
    original_url: str = ""
    """As it stood in the submission."""
    title: str = ""
    score: int = 0
    """Karma of the submission that linked to it."""
    created_utc: int = 0
    """When the link was submitted, in seconds since 1970."""
    subreddit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(Document):
    """A document that a stage left out, and why."""

    reason: str
    """One word of the stage's taxonomy, e.g. `near_duplicate`."""
    matched: str = ""
    """What it matched: a document id, or evaluation set, example and text."""


_TYPES: dict[str, pa.DataType] = {"str": pa.string(), "int": pa.int64()}


def schema(kind: type[Document]) -> pa.Schema:
    """The Parquet columns of `Document` or `Removed`."""
    return pa.schema([pa.field(f.name, _TYPES[str(f.type)], nullable=False) for f in fields(kind)])


def document_id(url: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a canonical URL.

    >>> document_id("http://example.com/")
    '2a1b402420ef4657'
    """
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def write_documents(
    folder: Path, documents: Iterable[Document], *, kind: type[Document] = Document
) -> dict[str, int]:
    """Write shards and their manifest into `folder`; returns counts of documents and text bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Any]] = []
    rows: list[Document] = []
    size = 0
    for document in documents:
        rows.append(document)
        size += len(document.text)
        if size >= _SHARD_TEXT_BYTES:
            shards.append(write_shard(folder / f"{len(shards):05d}.parquet", rows, kind=kind))
            rows, size = [], 0
    if rows or not shards:
        shards.append(write_shard(folder / f"{len(shards):05d}.parquet", rows, kind=kind))
    return write_manifest(folder, shards)


def write_shard(
    path: Path, documents: list[Document], *, kind: type[Document] = Document
) -> dict[str, Any]:
    """Write one shard, atomically; returns its entry for the manifest."""
    rows = [asdict(document) for document in documents]
    return write_table(path, pa.Table.from_pylist(rows, schema=schema(kind)))


def write_table(path: Path, documents: pa.Table) -> dict[str, Any]:
    """As `write_shard`, for documents that are an Arrow table with the columns of `schema`."""
    with open_atomic(path) as file:
        pq.write_table(documents, file, compression="zstd")
    return {
        "name": path.name,
        "documents": len(documents),
        "text_bytes": pc.sum(pc.binary_length(documents["text"])).as_py() or 0,
        "sha256": sha256_file(path),
    }


def write_manifest(folder: Path, shards: list[dict[str, Any]]) -> dict[str, int]:
    """Write `_manifest.json`, the last file of a folder; returns the totals."""
    totals = {key: sum(shard[key] for shard in shards) for key in ("documents", "text_bytes")}
    write_json(folder / MANIFEST, totals | {"shards": shards})
    return totals


class Shard(NamedTuple):
    """A shard as its manifest lists it."""

    path: Path
    documents: int
    text_bytes: int
    """Of its texts, in UTF-8."""
    sha256: str


def list_shards(folder: Path) -> list[Shard]:
    """The shards of a folder, in order.

    Raises:
        CorruptDataError: the folder has no manifest, or one that is none.
    """
    try:
        shards = [dict(shard) for shard in read_json(folder / MANIFEST)["shards"]]
        return [Shard(folder / shard.pop("name"), **shard) for shard in shards]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(
            f"{folder / MANIFEST}: lists no shards ({error}); {REMAKE}"
        ) from None


def list_filled_shards(folder: Path, *, remedy: str) -> list[Shard]:
    """As `list_shards`, of a folder of which a stage can make nothing unless it holds a document.

    Raises:
        UserError: it holds none, whose message ends with the remedy.
    """
    shards = list_shards(folder)
    if not any(shard.documents for shard in shards):
        raise UserError(f"{folder}: holds no document; {remedy}")
    return shards


def read_documents(folder: Path, *, kind: type[Document] = Document) -> Iterator[Document]:
    """All documents of a folder, in order, one shard in memory at a time, each shard verified.

    Raises:
        CorruptDataError: a shard is missing or its bytes are not those the manifest lists.
    """
    for shard in list_shards(folder):
        yield from read_verified_shard(shard, kind=kind)


def read_verified_shard(shard: Shard, *, kind: type[Document] = Document) -> Iterator[Document]:
    """The documents of one listed shard, once its bytes have been compared with the list.

    Raises:
        CorruptDataError: it is missing or its bytes are not those the manifest lists.
    """
    for row in read_verified_table(shard, kind=kind).to_pylist():
        yield kind(**row)


def read_verified_table(shard: Shard, *, kind: type[Document] = Document) -> pa.Table:
    """As `read_verified_shard`, as an Arrow table with the columns of `schema`."""
    data = _read_verified(shard)
    try:
        table = pq.read_table(pa.BufferReader(data), columns=schema(kind).names)
        return table.cast(schema(kind))
    except (pa.ArrowException, ValueError) as error:
        raise _no_documents(shard, error) from None


def read_verified_texts(shard: Shard, *, at_once: int) -> Iterator[tuple[list[str], pa.Array]]:
    """As `read_verified_shard`, the ids and texts alone, of `at_once` documents at a time."""
    wanted = pa.schema([schema(Document).field(name) for name in ("id", "text")])
    data = pa.BufferReader(_read_verified(shard))
    try:
        for batch in pq.ParquetFile(data).iter_batches(at_once, columns=wanted.names):
            rows = batch.cast(wanted)
            yield rows["id"].to_pylist(), rows["text"]
    except (pa.ArrowException, ValueError) as error:
        raise _no_documents(shard, error) from None


def _read_verified(shard: Shard) -> pa.Buffer:
    try:
        data = read_buffer(shard.path)  # once: what is verified is what is read
    except FileNotFoundError:
        raise CorruptDataError(
            f"{shard.path}: listed in {MANIFEST} but missing; {REMAKE}"
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != shard.sha256:
        raise CorruptDataError(
            f"{shard.path}: corrupted, SHA-256 {found[:12]}... where {MANIFEST} says "
            f"{shard.sha256[:12]}...; {REMAKE}"
        )
    return data


def _no_documents(shard: Shard, error: Exception) -> CorruptDataError:
    return CorruptDataError(f"{shard.path}: not a shard of documents ({error}); {REMAKE}")
