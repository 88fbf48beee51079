"""The evaluation sets as n-grams, and which examples a document shares too many of them with.

A document is condemned by an example if it holds `eval_min_matches` distinct n-grams of it that are
not commonplace, or all of its n-grams and one of them is not. An example of fewer than n words
counts as one n-gram, from half of n words on: fewer would turn up by chance ("thank you").
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.text.ngrams import ExactIndex, Places
from pipeline.shared.text.words import split_words


class Condemned(NamedTuple):
    """One example that condemns a document."""

    example: int
    """Its number in the index."""
    num_matches: int
    """Distinct n-grams of it in the document, commonplace ones left out."""
    passages: list[tuple[int, int]]
    """What it shares with the document, the longest first: first word, word after the last."""


class EvalIndex:
    """All examples of all evaluation sets."""

    def __init__(self, folder: Path, num_words: int) -> None:
        """Index `<set>.parquet` of a folder.

        Raises:
            CorruptDataError: a file is no evaluation set, or there is none.
        """
        self.names: list[tuple[str, str]] = []
        """Set and example id of each example."""
        self.num_too_short = 0
        texts: list[list[str]] = []
        paths = sorted(folder.glob("*.parquet"))
        if not paths:
            raise CorruptDataError(f"{folder}: holds no <set>.parquet; run eval_sets (dvc repro)")
        for path in paths:
            for example in read_examples(path):
                words = split_words(example.text)
                if len(words) < (num_words + 1) // 2:
                    self.num_too_short += 1
                    continue
                self.names.append((path.stem, example.id))
                texts.append(words)
        self.ngrams = ExactIndex(texts, num_words)
        self._link_ngrams_to_examples(texts)

    def _link_ngrams_to_examples(self, texts: list[list[str]]) -> None:
        places = [self._distinct_places(words) for words in texts]
        self.num_ngrams = np.array([len(own) for own in places], np.int64)
        """Distinct n-grams of each example."""
        flat = np.concatenate([np.empty(0, np.int64), *places])
        order = np.argsort(flat, kind="stable")
        self._examples = np.repeat(np.arange(len(texts)), self.num_ngrams)[order]
        self._starts = np.searchsorted(flat[order], np.arange(len(self.ngrams) + 1))

    def _distinct_places(self, words: list[str]) -> Places:
        return np.unique(self.ngrams.find(self.ngrams.hasher.hash_item(words)))

    def examples_of(self, place: int) -> Places:
        """The examples that hold an n-gram."""
        return self._examples[self._starts[place] : self._starts[place + 1]]

    def condemn(
        self, matches: Places, commonplace: npt.NDArray[np.bool_], min_matches: int
    ) -> list[Condemned]:
        """The examples that condemn a document, the one with most n-grams first.

        Args:
            matches: place, first word and number of words of each shared n-gram: [matches, 3].
            commonplace: which of the index's n-grams condemn none: [n-grams].
            min_matches: distinct n-grams of one example that condemn.
        """
        if not len(matches):
            return []
        owners = [self.examples_of(place) for place in matches[:, 0]]
        rows = np.repeat(np.arange(len(matches)), [len(own) for own in owners])
        examples = np.concatenate(owners)
        order = np.argsort(examples, kind="stable")
        distinct, firsts = np.unique(examples[order], return_index=True)
        found = []
        for example, own in zip(distinct, np.split(rows[order], firsts[1:]), strict=True):
            places = np.unique(matches[own, 0])
            num_rare = int((~commonplace[places]).sum())
            is_whole = len(places) == self.num_ngrams[example] and num_rare > 0
            if num_rare >= min_matches or is_whole:
                passages = _passages(matches[own], ~commonplace[matches[own, 0]])
                found.append(Condemned(int(example), num_rare, passages))
        return sorted(found, key=lambda each: (-each.num_matches, each.example))


def _passages(matches: Places, is_rare: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of words that n-grams cover without a gap, one of them rare; the longest first.

    Args:
        matches: place, first word and number of words of each shared n-gram: [matches, 3].
        is_rare: which of them are not commonplace: [matches].
    """
    runs: list[tuple[int, int, bool]] = []
    order = np.argsort(matches[:, 1], kind="stable")
    for (_, start, length), rare in zip(matches[order].tolist(), is_rare[order], strict=True):
        if runs and start <= runs[-1][1]:
            first, last, was_rare = runs.pop()
            runs.append((first, max(last, start + length), was_rare or bool(rare)))
        else:
            runs.append((start, start + length, bool(rare)))
    passages = [(start, end) for start, end, rare in runs if rare]
    return sorted(passages, key=lambda run: run[0] - run[1])
