"""Texts that no page of prose has: one word, one letter without end, what is not seen."""

from __future__ import annotations

import numpy as np
import pytest
from made_documents import english_passages

from pipeline.dedup.cut import Passage, cut_text
from pipeline.dedup.features import _fingerprints, _match
from pipeline.dedup.language import foreign_language
from pipeline.dedup.shingles import distinct_members, make_shingles
from pipeline.shared.text.ngrams import ExactIndex, combine
from pipeline.shared.text.words import hash_texts, hash_words, split_words


def test_a_text_shorter_than_a_shingle_is_one_shingle() -> None:
    texts = ["One", "one two", "", "one two three four", "one two three four five six"]
    shingles = make_shingles(hash_texts(texts), 5)
    assert shingles.counts.tolist() == [1, 1, 0, 1, 2]
    words = [hash_words(split_words(text)) for text in texts]
    expected = [combine(own, min(len(own), 5)).tolist() for own in words]
    assert shingles.hashes.tolist() == [hash_ for own in expected for hash_ in own]
    assert distinct_members(make_shingles(hash_texts(["one", "One!"]), 5))[1].tolist() == [1, 1]


@pytest.mark.parametrize(
    "text", ["a" * 3_000_000, " " * 3_000_000, "\u0436" * 200_000, "a " * 10**6]
)
def test_a_text_of_one_character_goes_through_all_steps(text: str) -> None:
    hashed = hash_texts([text, "The end of it."])
    shingles = make_shingles(hashed, 5)
    words = len(split_words(text))
    assert shingles.counts.tolist() == [max(words - 4, min(words, 1)), 1]
    _, counts = distinct_members(shingles)
    assert counts.tolist() == [min(words, 1), 1]
    assert len(list(_fingerprints(hashed))) == 2
    assert foreign_language(text) is not None


@pytest.mark.parametrize("hidden", ["\u00ad", "\u200b", "\ufeff"])
def test_what_is_not_seen_hides_no_n_gram_and_is_cut_with_it(hidden: str) -> None:
    passage = english_passages(1)[0]
    words = split_words(passage)
    index = ExactIndex([words], 8)
    masked = " ".join(hidden.join(word) for word in passage.split())
    found = _match(index, hash_texts([f"Before it. {masked} After it."]), first_row=0)
    assert len(np.unique(found[:, 1])) == len(words) - 7
    assert found[0].tolist()[2:] == [2, 8]
    rest, _ = cut_text(f"Before it. {masked} After it.", [Passage(2, 2 + len(words))], 0)
    assert rest == "Before it.\n\nAfter it."
