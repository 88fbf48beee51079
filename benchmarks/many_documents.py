"""Real documents multiplied with edits: a corpus of any size, with duplicates of every kind."""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import zstandard

from pipeline.shared.formats.documents import Document

CHANGED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.3)
"""Parts of a copy's words that are replaced: similarity of about 1, 0.9, 0.82, 0.6, 0.33, 0.05."""


def read_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each line of the `*.jsonl.zst` of a folder."""
    for path in sorted(folder.glob("*.jsonl.zst")):
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                row = json.loads(line)
                yield row["id"], row["text"]


def multiply(folder: Path, count: int, *, seed: int) -> Iterator[Document]:
    """`count` documents: the real ones, then edited copies of all of them, and again."""
    generator = random.Random(seed)
    made = 0
    for copy in itertools.count():
        for id_, text in read_texts(folder):
            if made == count:
                return
            changed = generator.choice(CHANGED) if copy else 0.0
            yield Document(
                id=f"{id_}#{copy}",
                url=f"http://corpus.test/{copy}/{made}",
                text=edit(text, changed, generator),
                created_utc=1_500_000_000 + made,
            )
            made += 1


def edit(text: str, changed: float, generator: random.Random) -> str:
    """A text with this part of its words, in places drawn at random, replaced by new ones."""
    words = text.split(" ")
    for place in generator.sample(range(len(words)), round(changed * len(words))):
        words[place] = f"w{generator.getrandbits(40):x}"
    return " ".join(words)
