"""Token shards and their manifest: the sole owner of that format.

A split (`train/`, `valid/`, `test/`) holds pairs `00000.bin` (uint16, little-endian, no header:
`numpy.memmap` reads it) and `00000.documents.parquet` (id, start, length of each document), and
last `_manifest.json`. Each document is followed by <|endoftext|>, which its length counts.

A head of a split, copied for a machine that needs no more, keeps the manifest of the whole, by
which everybody knows the split; what the head itself holds is listed in `_head.json` beside it.
"""

from __future__ import annotations

import hashlib
import shutil
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic, read_json, sha256_file, write_json
from pipeline.shared.running.listing import MANIFEST

Tokens = npt.NDArray[np.uint16]
DTYPE = np.dtype("<u2")
HEAD = "_head.json"
_SHARD_TOKENS = 100_000_000  # 200 MB a shard
_BATCH_TOKENS = 1_000_000


class TokenDocument(NamedTuple):
    """A document's tokens, its closing <|endoftext|> included."""

    id: str
    tokens: Tokens


def write_token_shards(
    folder: Path, documents: Iterable[TokenDocument], *, tokenizer_sha256: str
) -> dict[str, int]:
    """Write a split; returns its counts of tokens and documents."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Any]] = []
    waiting = iter(documents)
    while shard := _write_pair(folder, len(shards), waiting):
        shards.append(shard)
    totals = {key: sum(shard[key] for shard in shards) for key in ("tokens", "documents")}
    head = {"dtype": "uint16", "tokenizer_sha256": tokenizer_sha256}
    write_json(folder / MANIFEST, head | totals | {"shards": shards})
    return totals


def _write_pair(
    folder: Path, number: int, documents: Iterator[TokenDocument]
) -> dict[str, Any] | None:
    """Write documents until the shard is full; None if there are none, but for an empty split."""
    ids: list[str] = []
    lengths = array("q")
    path = folder / f"{number:05d}.bin"
    digest = hashlib.sha256()
    first = next(documents, None)
    if first is None and number:
        return None
    with open_atomic(path) as file:
        for batch in _of_one_shard(chain([first] if first else [], documents)):
            content = np.concatenate([document.tokens for document in batch], dtype=DTYPE).data
            file.write(content)
            digest.update(content)
            ids += [document.id for document in batch]
            lengths.extend([len(document.tokens) for document in batch])
    index = folder / f"{number:05d}.documents.parquet"
    _write_index(index, ids, np.array(lengths, np.int64))
    return {
        "name": path.name,
        "tokens": sum(lengths),
        "documents": len(ids),
        "sha256": digest.hexdigest(),
        "index_sha256": sha256_file(index),
    }


def _of_one_shard(documents: Iterable[TokenDocument]) -> Iterator[list[TokenDocument]]:
    """Documents until a shard is full, many at a time: writing each alone costs more than it."""
    batch: list[TokenDocument] = []
    in_shard = in_batch = 0
    for document in documents:
        batch.append(document)
        in_batch += len(document.tokens)
        full = in_shard + in_batch >= _SHARD_TOKENS
        if full or in_batch >= _BATCH_TOKENS:
            yield batch
            in_shard, in_batch, batch = in_shard + in_batch, 0, []
        if full:
            return
    if batch:
        yield batch


def _write_index(path: Path, ids: list[str], lengths: npt.NDArray[np.int64]) -> None:
    table = pa.table({
        "id": pa.array(ids, pa.string()),
        "start": pa.array(np.cumsum(lengths) - lengths, pa.int64()),
        "length": pa.array(lengths, pa.int64()),
    })
    with open_atomic(path) as file:
        pq.write_table(table, file, compression="zstd")


def write_head(head: TokenSplit, folder: Path) -> None:
    """Copy what `TokenSplit.head` gave into a folder that passes for the whole split."""
    write_token_shards(folder, head.documents(), tokenizer_sha256=head.tokenizer_sha256)
    (folder / MANIFEST).rename(folder / HEAD)
    shutil.copyfile(head.folder / MANIFEST, folder / MANIFEST)


@dataclass(frozen=True)
class TokenSplit:
    """A split, or its first documents, opened for reading by memory maps: no size is too large."""

    folder: Path
    tokenizer_sha256: str
    num_tokens: int
    num_documents: int
    shards: list[Tokens]
    """One memory map a shard, [tokens] uint16."""

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """Pickle as its folder: another process maps the files itself."""
        reopen = partial(open_split, verify=False, most_tokens=self.num_tokens)
        return reopen, (self.folder,)

    def head(self, most_tokens: int) -> TokenSplit:
        """The longest run of whole documents from the start that has at most `most_tokens`.

        The order of a split is that of its documents' hashes, so this is a draw by hash in which
        a larger number holds all that a smaller one does.
        """
        if most_tokens >= self.num_tokens:
            return self
        shards: list[Tokens] = []
        tokens = documents = 0
        for number, shard in enumerate(self.shards):
            ends = np.cumsum(self._index(number, ["length"])["length"].to_numpy())
            whole = int(np.searchsorted(ends, most_tokens - tokens, side="right"))
            fitting = int(ends[whole - 1]) if whole else 0
            shards.append(shard[:fitting])
            tokens, documents = tokens + fitting, documents + whole
            if whole < len(ends):
                break
        return replace(self, num_tokens=tokens, num_documents=documents, shards=shards)

    def window(self, start: int, length: int) -> Tokens:
        """`length` tokens from position `start` of the concatenated shards, as a copy."""
        pieces: list[Tokens] = []
        for shard in self.shards:
            if start < len(shard) and length > 0:
                piece = shard[start : start + length]
                pieces.append(piece)
                length -= len(piece)
                start = 0
            else:
                start -= len(shard)
        if length > 0:
            raise IndexError(f"{self.folder}: window ends {length} tokens after the split")
        return np.concatenate(pieces)

    def documents(self) -> Iterator[TokenDocument]:
        """All documents in order."""
        left = self.num_documents
        for number, shard in enumerate(self.shards):
            index = self._index(number).slice(0, left)
            left -= len(index)
            columns = (index[name].to_pylist() for name in ("id", "start", "length"))
            for id_, start, length in zip(*columns, strict=True):
                yield TokenDocument(id_, np.asarray(shard[start : start + length]))

    def ids(self) -> Iterator[str]:
        """The ids of all documents, in order, without their tokens."""
        left = self.num_documents
        for number in range(len(self.shards)):
            index = self._index(number, ["id"]).slice(0, left)
            left -= len(index)
            yield from index["id"].to_pylist()

    def _index(self, shard: int, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(self.folder / f"{shard:05d}.documents.parquet", columns=columns)


def open_split(folder: Path, *, verify: bool = True, most_tokens: int | None = None) -> TokenSplit:
    """Open a split, or its head; `verify` reads every byte once to compare hashes.

    Raises:
        CorruptDataError: a shard is missing, short, or its bytes are not those listed.
    """
    listing = HEAD if (folder / HEAD).is_file() else MANIFEST
    manifest = read_json(folder / listing)
    maps = []
    for number, shard in enumerate(manifest["shards"]):
        path, index = folder / shard["name"], folder / f"{number:05d}.documents.parquet"
        for file, key in ((path, "sha256"), (index, "index_sha256")):
            if not file.is_file():
                raise CorruptDataError(f"{file}: listed in {listing} but missing; {REMAKE}")
            if verify and sha256_file(file) != shard[key]:
                raise CorruptDataError(
                    f"{file}: corrupted, its SHA-256 is not the one in {listing}; {REMAKE}"
                )
        if path.stat().st_size != shard["tokens"] * DTYPE.itemsize:
            raise CorruptDataError(
                f"{path}: {path.stat().st_size} bytes where {listing} says "
                f"{shard['tokens']} tokens of {DTYPE.itemsize} bytes; {REMAKE}"
            )
        empty = shard["tokens"] == 0  # a zero-length file cannot be mapped
        maps.append(np.empty(0, DTYPE) if empty else np.memmap(path, DTYPE, mode="r"))
    split = TokenSplit(
        folder, manifest["tokenizer_sha256"], manifest["tokens"], manifest["documents"], maps
    )
    return split if most_tokens is None else split.head(most_tokens)
