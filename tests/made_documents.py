"""Documents for tests: real English that every Python has, the help texts of its `help()`."""

from __future__ import annotations

import random
import re
from functools import cache
from pydoc_data.topics import topics

from pipeline.shared.formats.documents import Document, document_id


def english_passages(count: int, *, words: int = 60) -> list[str]:
    """Passages of `words` words each, no two of which share eight words in a row."""
    passages = _english_passages(words)
    assert count <= len(passages), f"only {len(passages)} passages of {words} words"
    return passages[:count]


@cache
def _english_passages(words: int) -> list[str]:
    all_words = " ".join(topics[name] for name in sorted(topics)).split()
    passages, seen = [], set()
    for start in range(0, len(all_words) - words, words):
        passage = " ".join(all_words[start : start + words])
        plain = re.findall(r"[a-z0-9]+", passage.lower())
        runs = {tuple(plain[place : place + 8]) for place in range(len(plain) - 7)}
        if not runs & seen:  # topics quote one another
            passages.append(passage)
            seen |= runs
    return passages


def make_document(name: str, text: str, **fields: int | str) -> Document:
    """A document whose URL is made of its name."""
    url = f"http://{name}.test/"
    return Document(**({"id": document_id(url), "url": url, "text": text} | fields))


def make_documents(count: int, *, words: int = 60) -> list[Document]:
    """Distinct documents, a second apart."""
    return [
        make_document(f"page{number}", text, created_utc=1_500_000_000 + number)
        for number, text in enumerate(english_passages(count, words=words))
    ]


def edit(text: str, num_words: int, *, seed: int = 1) -> str:
    """`text` with `num_words` words, spread evenly, replaced by new ones."""
    words = text.split()
    generator = random.Random(seed)
    for number in range(num_words):
        place = (2 * number + 1) * len(words) // (2 * num_words)
        words[place] = f"edit{generator.getrandbits(40)}"
    return " ".join(words)
