"""Which evaluation examples condemn a document, on both sides of every threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.dedup.eval_index import Condemned, EvalIndex
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.examples import Example, write_examples

N = 8
LONG = [f"long{number}" for number in range(40)]
NINE = [f"nine{number}" for number in range(9)]  # two 8-grams
SHORT = ["four", "words", "make", "half"]
TINY = ["thank", "you", "all"]
FILL = ["filler"] * 5


@pytest.fixture
def index(tmp_path: Path) -> EvalIndex:
    texts = {"long": LONG, "nine": NINE, "short": SHORT, "tiny": TINY}
    examples = [Example(id=id_, text=" ".join(words)) for id_, words in texts.items()]
    write_examples(tmp_path / "b_set.parquet", examples[:2])
    write_examples(tmp_path / "a_set.parquet", examples[2:])
    return EvalIndex(tmp_path, N)


def condemn(
    index: EvalIndex, words: list[str], common: list[list[str]] | None = None
) -> list[Condemned]:
    """What condemns a text, if the n-grams of the texts `common` are commonplace."""
    commonplace = np.zeros(len(index.ngrams), np.bool_)
    for text in common or []:
        commonplace[index.ngrams.match(text).places] = True
    return index.condemn(np.column_stack(index.ngrams.match(words)), commonplace, min_matches=3)


def names(index: EvalIndex, found: list[Condemned]) -> list[tuple[str, str]]:
    return [index.names[each.example] for each in found]


def test_three_ngrams_condemn_and_two_do_not(index: EvalIndex) -> None:
    assert condemn(index, [*FILL, *LONG[3:12], *FILL]) == []  # 9 words: two 8-grams
    found = condemn(index, [*FILL, *LONG[3:13], *FILL])
    assert names(index, found) == [("b_set", "long")]
    assert found[0].num_matches == 3


def test_the_same_ngram_three_times_counts_once(index: EvalIndex) -> None:
    assert condemn(index, [*LONG[:8], *FILL, *LONG[:8], *FILL, *LONG[:8]]) == []


def test_the_longest_passage_is_named(index: EvalIndex) -> None:
    words = [*LONG[:9], *FILL, *LONG[5:17], *FILL, *LONG[20:28]]
    (found,) = condemn(index, words)
    assert [words[start:end] for start, end in found.passages] == [
        LONG[5:17],
        LONG[:9],
        LONG[20:28],
    ]


def test_a_short_example_with_all_its_ngrams_condemns(index: EvalIndex) -> None:
    assert names(index, condemn(index, [*FILL, *NINE, *FILL])) == [("b_set", "nine")]
    assert condemn(index, [*FILL, *NINE[:8], *FILL]) == []


def test_an_example_of_half_an_ngram_counts_as_a_whole(index: EvalIndex) -> None:
    found = condemn(index, [*FILL, *SHORT, *FILL])
    assert names(index, found) == [("a_set", "short")]
    assert found[0].passages == [(5, 9)]
    assert condemn(index, [*FILL, *SHORT[:3], *FILL]) == []


def test_a_still_shorter_example_condemns_nothing_and_is_counted(index: EvalIndex) -> None:
    assert condemn(index, [*FILL, *TINY, *FILL]) == []
    assert index.num_too_short == 1


def test_commonplace_ngrams_do_not_condemn_by_themselves(index: EvalIndex) -> None:
    assert condemn(index, LONG[3:13], common=[LONG[3:13]]) == []
    assert condemn(index, LONG[3:13], common=[LONG[3:11]]) == []  # two rare ones are left
    assert len(condemn(index, LONG[3:14], common=[LONG[3:11]])) == 1
    assert condemn(index, SHORT, common=[SHORT]) == []
    assert condemn(index, NINE, common=[NINE]) == []
    assert len(condemn(index, NINE, common=[NINE[:8]])) == 1  # the whole example, one of it rare


def test_the_strongest_example_comes_first(index: EvalIndex) -> None:
    found = condemn(index, [*NINE, *FILL, *LONG, *FILL, *SHORT])
    expected = [("b_set", "long"), ("b_set", "nine"), ("a_set", "short")]
    assert names(index, found) == expected


def test_examples_that_share_a_text_all_condemn(tmp_path: Path) -> None:
    for name in ("wikitext2", "wikitext103"):
        write_examples(tmp_path / f"{name}.parquet", [Example(id="1", text=" ".join(LONG))])
    index = EvalIndex(tmp_path, N)
    assert names(index, condemn(index, LONG)) == [("wikitext103", "1"), ("wikitext2", "1")]


def test_case_and_punctuation_hide_nothing(tmp_path: Path) -> None:
    text = "Now, is the WINTER of our discontent made glorious summer by this sun of York?"
    write_examples(tmp_path / "set.parquet", [Example(id="1", text=text)])
    index = EvalIndex(tmp_path, N)
    words = "now is the winter of our discontent made glorious summer by this sun of york"
    assert len(condemn(index, words.split())) == 1


def test_a_folder_without_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"holds no <set>\.parquet"):
        EvalIndex(tmp_path, N)
