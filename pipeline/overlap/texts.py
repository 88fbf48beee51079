"""The texts whose overlap is asked for: examples, test documents, completions, samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.shared.arrow_memory import read_frame
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.documents import read_documents
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.scores.results import read_result, read_scores
from pipeline.shared.text.words import split_words

TEST_SPLIT = "webtext_test"
_SAMPLE_COLUMNS = ["id", "completion", "sample"]


class Text(NamedTuple):
    """One text of an evaluation set."""

    set: str
    id: str
    words: list[str]


class Completion(NamedTuple):
    """How a context of the test split goes on."""

    kind: str
    """`real`, or `sample` of a model."""
    size: str
    """The model's; empty for the real one."""
    id: str
    """Of the test document whose context it goes on from."""
    words: list[str]


def example_texts(folder: Path) -> Iterator[Text]:
    """Every example of every evaluation set in a folder of `<set>.parquet`."""
    for path in sorted(folder.glob("*.parquet")):
        for example in read_examples(path):
            yield Text(path.stem, example.id, split_words(example.text))


def scored_document_texts(results: Mapping[str, Path], documents: Path) -> Iterator[Text]:
    """The documents of the test split that every size was scored on; none where it was left out."""
    folder = next(iter(results.values()))
    if read_result(folder / f"{TEST_SPLIT}.json").not_run:
        return
    wanted = set(read_scores(folder, TEST_SPLIT)["id"])
    for document in read_documents(documents):
        if document.id in wanted:
            yield Text(TEST_SPLIT, document.id, split_words(document.text))


def completions(results: Mapping[str, Path]) -> Iterator[Completion]:
    """Figure 5's real completions of test documents, and each size's samples in their place.

    Raises:
        CorruptDataError: a size's samples are missing, damaged, or of other contexts.
    """
    first, ids = next(iter(results)), list[str]()
    for size, folder in results.items():
        path = folder / "samples.parquet"
        try:
            frame = read_frame(path, _SAMPLE_COLUMNS)
        except (OSError, ValueError) as error:
            raise CorruptDataError(
                f"{path}: no samples ({error}); run dvc repro evaluate@{size}"
            ) from None
        if size == first:
            ids = frame["id"].tolist()
            yield from _read(frame, "completion", "real", "")
        elif frame["id"].tolist() != ids:
            raise CorruptDataError(
                f"{path}: its contexts are not those of {first}; run dvc repro evaluate@{size}"
            )
        yield from _read(frame, "sample", "sample", size)


def _read(frame: pd.DataFrame, column: str, kind: str, size: str) -> Iterator[Completion]:
    for id_, text in zip(frame["id"], frame[column], strict=True):
        yield Completion(kind, size, id_, split_words(text))
