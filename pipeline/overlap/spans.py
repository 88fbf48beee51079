"""The longest run of words that a text copies from one training document, exactly.

An n-gram that both hold is a pair of places: in the document and in the text. Places that follow
one another on both sides are one copied run, n - 1 words longer than its number of pairs. The index
holds the few texts that are asked for and the training text streams past it, so memory does not
grow with the training text. A run of fewer than n words has no n-gram and is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.files import open_atomic
from pipeline.shared.text.ngrams import ExactIndex

Numbers = npt.NDArray[np.int64]


class Spans(NamedTuple):
    """Passages that texts copy; four arrays of one length."""

    text: Numbers
    """Which text."""
    words: Numbers
    """Their number."""
    start: Numbers
    """Word of the text that the passage begins with."""
    document: Numbers
    """Which document it is copied from."""


class SoughtTexts:
    """Where each n-gram of an index stands in the texts whose copied spans are sought."""

    def __init__(self, begins: Numbers, offsets: Numbers, positions: Numbers) -> None:
        self.begins = begins
        """Where each text begins, among the words of all: [texts]."""
        self.offsets = offsets
        """positions[offsets[p] : offsets[p + 1]] are those of the index's n-gram p."""
        self.positions = positions
        """[n-grams of the texts]"""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], index: ExactIndex) -> SoughtTexts:
        """Look the n-grams of each text up; `index` holds the texts, among others."""
        # A word of room after each text, so that no run reaches from one into the next.
        begins = np.cumsum([0, *(len(words) + 1 for words in texts)], dtype=np.int64)[:-1]
        places: list[Numbers] = [np.empty(0, np.int64)]
        positions: list[Numbers] = [np.empty(0, np.int64)]
        for begin, words in zip(begins, texts, strict=True):
            found = index.find(index.hasher.hash_ngrams(words))
            places.append(found)
            positions.append(begin + np.arange(len(found)))
        joined = np.concatenate(places)
        order = np.argsort(joined, kind="stable")
        offsets = np.searchsorted(joined[order], np.arange(len(index) + 1))
        return cls(begins, offsets.astype(np.int64), np.concatenate(positions)[order])

    def save(self, path: Path) -> None:
        """Write it for `load`, in this process or another."""
        with open_atomic(path) as file:
            np.savez(file, begins=self.begins, offsets=self.offsets, positions=self.positions)

    @classmethod
    def load(cls, path: Path) -> SoughtTexts:
        """What `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["begins"], arrays["offsets"], arrays["positions"])

    def longest_spans(
        self, places: Numbers, starts: Numbers, document_begins: Numbers, num_words: int
    ) -> Spans:
        """The longest span that each text shares with any of some documents.

        `places` and `starts` are the n-grams of the index that the documents hold and the words,
        among those of all documents, at which they begin; document d begins at
        document_begins[d]. Texts without a span are left out. Of equally long spans, the first
        document's, and there the first of the text.
        """
        counts = self.offsets[places + 1] - self.offsets[places]
        total = int(counts.sum())
        # here: where in the documents, with a word of room after each; there: where in the texts
        documents = np.searchsorted(document_begins, starts, side="right") - 1
        here = np.repeat(starts + documents, counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        there = self.positions[np.repeat(self.offsets[places], counts) + within]
        order = np.lexsort((here, here - there))
        here, there = here[order], there[order]
        goes_on = np.zeros(total, np.bool_)
        goes_on[1:] = (np.diff(here) == 1) & (np.diff(there) == 1)
        firsts = np.flatnonzero(~goes_on)
        lengths = np.diff(np.append(firsts, total))
        texts = np.searchsorted(self.begins, there[firsts], side="right") - 1
        begins = document_begins + np.arange(len(document_begins))
        return keep_longest([
            Spans(
                text=texts,
                words=lengths + num_words - 1,
                start=there[firsts] - self.begins[texts],
                document=np.searchsorted(begins, here[firsts], side="right") - 1,
            )
        ])


def keep_longest(found: Sequence[Spans]) -> Spans:
    """One span a text: the longest, then the first document's, then the first of the text."""
    if not found:
        return Spans(*(np.empty(0, np.int64) for _ in Spans._fields))
    spans = Spans(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    order = np.lexsort((spans.start, spans.document, -spans.words, spans.text))
    spans = Spans(*(column[order] for column in spans))
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = spans.text[1:] != spans.text[:-1]
    return Spans(*(column[is_first] for column in spans))
