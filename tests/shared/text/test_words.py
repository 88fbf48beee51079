"""Words of a whole buffer are hashed as one by one, and different words differently."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shared.text.words import hash_texts, hash_words, split_words


@given(st.lists(st.text(), max_size=8))
def test_a_batch_of_texts_has_the_words_that_each_text_has(texts: list[str]) -> None:
    words = [split_words(text) for text in texts]
    hashed = hash_texts(texts)
    assert hashed.ends.tolist() == np.cumsum([len(own) for own in words]).tolist()
    assert hashed.words.tolist() == [n for own in words for n in hash_words(own).tolist()]


def test_a_words_hash_does_not_depend_on_where_it_stands() -> None:
    text = "word " * 20_000 + "x" * 70_000 + " word"  # over the borders of several chunks
    hashes = hash_texts([text]).words
    assert len(hashes) == 20_002
    assert set(hashes[:-2].tolist()) == {int(hashes[-1])} == {int(hash_words(["word"])[0])}


def test_words_of_the_same_letters_have_hashes_of_their_own() -> None:
    words = [
        "".join(letters) for length in range(1, 9) for letters in permutations("abcdefgh", length)
    ]
    words += ["a" * length for length in range(2, 200)]
    hashes = hash_words(words)
    assert len(words) > 100_000
    assert len(np.unique(hashes)) == len(words)
    assert len(np.unique(hashes >> np.uint64(32))) > len(words) - 10  # 1.4 by chance


def test_any_string_can_be_hashed_as_one() -> None:
    ids = ["source/path one", "source/path", " one", "", "source/path one"]
    assert len(set(hash_words(ids).tolist())) == 4
