"""The texts whose overlap is asked for: examples, test documents, completions, samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.documents import read_documents
from pipeline.examples import read_examples
from pipeline.ngrams import split_words
from pipeline.params import SIZES
from pipeline.results import read_scores

TEST_SPLIT = "webtext_test"
REAL = "real completions"


class Text(NamedTuple):
    """One text, by the group it is counted in."""

    group: str
    """An evaluation set, or a kind of Figure 5's completions."""
    id: str
    words: list[str]


def example_texts(folder: Path) -> Iterator[Text]:
    """Every example of every evaluation set in a folder of `<set>.parquet`."""
    for path in sorted(folder.glob("*.parquet")):
        for example in read_examples(path):
            yield Text(path.stem, example.id, split_words(example.text))


def scored_document_texts(results: Path, documents: Path) -> Iterator[Text]:
    """The documents of the test split that every size was scored on."""
    wanted = set(read_scores(results / SIZES[0], TEST_SPLIT)["id"])
    for document in read_documents(documents):
        if document.id in wanted:
            yield Text(TEST_SPLIT, document.id, split_words(document.text))


def completion_texts(results: Path) -> Iterator[Text]:
    """Figure 5's real completions of test documents, and each size's samples in their place."""
    for size in SIZES:
        frame = pd.read_parquet(results / size / "samples.parquet")
        for row in frame.itertuples():
            if size == SIZES[0]:
                yield Text(REAL, str(row.id), split_words(str(row.completion)))
            yield Text(f"samples of {size}", str(row.id), split_words(str(row.sample)))
