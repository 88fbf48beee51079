"""Evaluation examples and their Parquet files: the sole owner of that format.

One schema serves every set, so that dedup, evaluate and overlap read them alike: what the model
is given, what it should say, and the text that counts for overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.arrow_memory import read_buffer
from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic, read_json
from pipeline.shared.running.listing import MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example of an evaluation set."""

    id: str
    """Unique in its set and stable: what per-example scores and overlaps are joined by."""
    text: str
    """What counts for overlap and dedup: the published text, natural and whole."""
    context: str = ""
    """What the model reads first: a passage, an article, a question, a source sentence."""
    target: str = ""
    """What is scored: the running text, the last word, the rest of a sentence."""
    choices: list[str] = field(default_factory=list)
    """Alternatives to score, for CBT and Winograd."""
    answer: int = -1
    """Index of the right choice."""
    references: list[str] = field(default_factory=list)
    """Accepted answers, summaries or translations."""
    group: str = ""
    """Domain, story or article, where the set has one."""


_TYPES: dict[str, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "list[str]": pa.list_(pa.string()),
}
SCHEMA = pa.schema([pa.field(f.name, _TYPES[str(f.type)], nullable=False) for f in fields(Example)])


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write one set's file, atomically; returns the number of examples."""
    table = pa.Table.from_pylist([asdict(example) for example in examples], schema=SCHEMA)
    with open_atomic(path) as file:
        pq.write_table(table, file, compression="zstd")
    return int(table.num_rows)


def read_examples(path: Path) -> Iterator[Example]:
    """The examples of one set's file, in order, its bytes compared with the manifest beside it.

    Raises:
        CorruptDataError: it is missing, no such file or not the one that is listed.
    """
    try:
        data = read_buffer(path)  # once: what is verified is what is read
        if not _is_listed(path, data):
            raise CorruptDataError(f"{path}: damaged, not what {MANIFEST} lists; {REMAKE}")
        table = pq.read_table(pa.BufferReader(data), columns=SCHEMA.names)
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(
            f"{path}: not a file of evaluation examples ({error}); {REMAKE}"
        ) from None
    for row in table.to_pylist():
        yield Example(**row)


def _is_listed(path: Path, data: pa.Buffer) -> bool:
    """Whether a set's bytes are those of its folder's manifest, where that lists the set."""
    manifest = path.with_name(MANIFEST)
    sets = read_json(manifest)["sets"] if manifest.is_file() else {}
    found = hashlib.sha256(data).hexdigest()
    return bool(sets.get(path.stem, {}).get("sha256", found) == found)
