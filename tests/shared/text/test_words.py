"""Words of a whole buffer are hashed as one by one, and different words differently."""

from __future__ import annotations

import sys
import unicodedata
from itertools import permutations

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shared.text.words import _IGNORABLE, hash_texts, hash_words, split_words


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


@pytest.mark.parametrize("hidden", ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"])
def test_what_is_not_seen_parts_no_word(hidden: str) -> None:
    seen = "The lighthouse keeper wrote a café letter."
    text = f"{hidden}The light{hidden}house {hidden}keeper{hidden} wrote a caf{hidden}é letter."
    assert split_words(text) == split_words(seen)
    assert hash_texts([text]).words.tolist() == hash_texts([seen]).words.tolist()


def test_what_is_not_seen_is_what_unicode_says() -> None:
    characters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000]
    found = set(_IGNORABLE.findall("|".join(characters)))
    assert found == set(regex.findall(r"\p{Default_Ignorable_Code_Point}", "".join(characters)))


def test_a_word_of_any_length_is_hashed_by_the_same_polynomial() -> None:
    word = "abcdefghijklm" * 20_000
    assert hash_texts([f"x {word} {word}y {word}"]).words[[1, 3]].tolist() == (
        hash_words([word, word]).tolist()
    )
    assert len({int(hash_words([word[:n]])[0]) for n in (32767, 32768, 32769, 65536, 65537)}) == 5


def test_marks_without_end_cost_no_more_than_letters() -> None:
    """Sorting all of them, as Unicode's normal forms do, would take an hour."""
    for pair in ("\u0301\u0323", "\u0f73", "\uff9e\u0301"):
        words = hash_texts([f"before a{pair * 300_000} after"]).words
        assert words[[0, -1]].tolist() == hash_words(["before", "after"]).tolist()


def test_thirty_marks_are_words_as_unicode_has_them() -> None:
    text = "a" + "\u0323\u0301" * 15
    expected = unicodedata.normalize("NFKC", text)
    assert split_words(text) == ["".join(c for c in expected if c.isalnum())]
