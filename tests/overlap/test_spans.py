"""Copied spans against the longest common run of words by brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.overlap.spans import SoughtTexts, keep_longest
from pipeline.overlap.training_side import read_batches
from pipeline.shared.text.ngrams import ExactIndex

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=25)


def longest_common_run(text: list[str], document: list[str]) -> tuple[int, int]:
    """Its number of words and its first place in the text."""
    best = (0, 0)
    for start in range(len(text)):
        for other in range(len(document)):
            length = 0
            while (
                start + length < len(text)
                and other + length < len(document)
                and text[start + length] == document[other + length]
            ):
                length += 1
            best = max(best, (length, -start))
    return best[0], -best[1]


@given(
    st.lists(WORDS, min_size=1, max_size=4),
    st.lists(WORDS, min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_each_text_gets_the_longest_run_that_any_document_shares(
    texts: list[list[str]], documents: list[list[str]], n: int
) -> None:
    index = ExactIndex([*texts, ["c", "c"]], n)  # others are asked for beside the sought
    sought = SoughtTexts.of(texts, index)
    batches = read_batches([" ".join(words) for words in documents], index, sought)
    spans = keep_longest([batch.spans for batch in batches])
    found = {
        text: (words, start, document)
        for text, words, start, document in zip(*(c.tolist() for c in spans), strict=True)
    }
    expected = {}
    for number, text in enumerate(texts):
        runs = [longest_common_run(text, document) for document in documents]
        longest = max(length for length, _ in runs)
        if longest >= n:
            document = [length for length, _ in runs].index(longest)
            expected[number] = (longest, runs[document][1], document)
    assert found == expected


def test_a_run_does_not_reach_from_one_document_or_text_into_the_next() -> None:
    words = [f"w{number}" for number in range(40)]
    index = ExactIndex([words[:20], words[20:]], 3)
    sought = SoughtTexts.of([words[:20], words[20:]], index)
    documents = [" ".join(words[5:15]), " ".join(words[15:30])]
    (batch,) = read_batches(documents, index, sought)
    assert [column.tolist() for column in batch.spans] == [[0, 1], [10, 10], [5, 0], [0, 1]]


def test_of_two_shards_the_longer_span_counts_and_at_a_tie_the_first_documents() -> None:
    index = ExactIndex([["a", "b", "c", "d"]], 2)
    sought = SoughtTexts.of([["a", "b", "c", "d"]], index)
    spans = [
        next(read_batches([document], index, sought)).spans
        for document in ("x a b", "b c d", "a b c")
    ]
    moved = [own._replace(document=own.document + n) for n, own in enumerate(spans)]
    longest = keep_longest(moved)
    assert [int(column[0]) for column in longest] == [0, 3, 1, 1]
    assert len(keep_longest([])[0]) == 0
    assert isinstance(longest.words, np.ndarray)
