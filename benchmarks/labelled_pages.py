"""Web pages whose main text is known, and how near a text comes to it.

A folder of labelled pages holds `pages_index.jsonl.zst`, an object a page: `archive` (a
`.tar.zst` beside it), `member`, `gt_kind` and the truth of that kind:

- `article_body`, `readability_expected_text`: `ground_truth`, the whole main text;
- `with_without_segments`: `with` and `without`, phrases that must and must not be in it;
- `article_text_prefix`: `ground_truth`, how it begins.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import zstandard


class LabelledPage(NamedTuple):
    """A page and its record in the index."""

    body: bytes
    record: dict[str, Any]


class Agreement(NamedTuple):
    """Parts of one: how much of the text is true, and how much of the truth is there."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def read_labelled_pages(folder: Path) -> list[LabelledPage]:
    """The pages that have a ground truth, in the order of their archives."""
    records: dict[str, dict[str, Any]] = defaultdict(dict)
    for line in _unpacked(folder / "pages_index.jsonl.zst"):
        record = json.loads(line)
        if record["gt_kind"]:
            records[Path(record["archive"]).name][record["member"]] = record
    pages = []
    for archive, wanted in records.items():
        with tarfile.open(fileobj=_unpacked(folder / archive)) as members:
            for member in members:
                file = members.extractfile(member) if member.name in wanted else None
                if file is not None:
                    pages.append(LabelledPage(file.read(), wanted[member.name]))
    return pages


def _unpacked(path: Path) -> io.BytesIO:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        return io.BytesIO(reader.read())


def agree_by_shingles(pairs: Iterable[tuple[str, str]]) -> Agreement:
    r"""Of (truth, text) pairs: mean precision and mean recall over pages, by 4-gram shingles.

    The article-extraction-benchmark's definition: words are `\w+`, shingles are counted as often
    as they occur, a page with no text in it has a precision of 0, and F1 is that of the means.

    >>> agree_by_shingles([("a b c d e", "a b c d x")])
    Agreement(precision=0.5, recall=0.5)
    """
    precisions, recalls = [], []
    for truth, text in pairs:
        true, found = _shingles(truth), _shingles(text)
        both = (true & found).total()
        precisions.append(both / found.total() if found else 0.0)
        recalls.append(both / true.total())
    return Agreement(sum(precisions) / len(precisions), sum(recalls) / len(recalls))


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[n : n + 4]) for n in range(max(bool(words), len(words) - 3)))


def agree_by_segments(pairs: Iterable[tuple[dict[str, Any], str]]) -> Agreement:
    """Of (record, text) pairs: precision and recall over all segments, as trafilatura's own test.

    A `with` segment in the text is a true positive, a `without` segment in it a false one; spaces
    and line ends count as one space.
    """
    true_positives = false_positives = false_negatives = 0
    for record, untidy in pairs:
        text = " ".join(untidy.split())
        for segment in record.get("with") or []:
            found = " ".join(segment.split()) in text
            true_positives, false_negatives = true_positives + found, false_negatives + (not found)
        for segment in record.get("without") or []:
            false_positives += " ".join(segment.split()) in text
    found = true_positives + false_positives
    return Agreement(
        true_positives / max(1, found), true_positives / max(1, true_positives + false_negatives)
    )
