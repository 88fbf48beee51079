"""Overlap counted by hashes equals overlap counted by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.overlap.bloom import BloomFilter, shape_filter
from pipeline.shared.text.ngrams import ExactIndex, NgramHasher, combine
from pipeline.shared.text.words import hash_words, mix, normalise, split_words

SMALL_WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40)


def ngrams_by_hand(words: list[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("Hello, WORLD!", "hello world"),
        ("snake_case isn't one-word", "snake case isn t one word"),
        ("tabs\tand\n\nlines", "tabs and lines"),
        ("Ünïcode: ΑΒΓ, 東京 и Москва", "ünïcode αβγ 東京 и москва"),
        ("cafe\u0301", "café"),  # the accent as a character of its own
        ("\ufb01ne print", "fine print"),  # a ligature
        ("", ""),
        ("... --- ...", ""),
    ],
)
def test_normalised_text_is_lower_case_words_and_single_spaces(text: str, normalised: str) -> None:
    assert normalise(text) == normalised


@given(st.text(st.characters(max_codepoint=127)))
def test_the_fast_way_for_ascii_finds_the_same_words(text: str) -> None:
    assert split_words(text) == split_words(text + " é")[:-1]


@given(st.text())
def test_normalising_twice_changes_nothing_in_ascii(text: str) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()
    assert normalise(normalise(ascii_text)) == normalise(ascii_text)


def test_hashes_are_the_same_in_every_process() -> None:
    code = (
        "from pipeline.shared.text.ngrams import NgramHasher;"
        "print(NgramHasher(3).hash_ngrams('to be or not to be'.split()).tolist())"
    )
    root = Path(__file__).parents[3]
    runs = [subprocess.check_output([sys.executable, "-c", code], cwd=root) for _ in range(2)]
    here = NgramHasher(3).hash_ngrams(["to", "be", "or", "not", "to", "be"]).tolist()
    assert runs[0] == runs[1]
    assert runs[0].decode().strip() == str(here)
    assert here[0] == 8_138_369_239_322_816_568  # changes only with the definition of overlap


@given(SMALL_WORDS, st.integers(1, 9))
def test_two_ngrams_share_a_hash_exactly_if_they_are_the_same(words: list[str], n: int) -> None:
    hashes = NgramHasher(n).hash_ngrams(words).tolist()
    by_hand = ngrams_by_hand(words, n)
    assert len(hashes) == len(by_hand)
    assert len(set(hashes)) == len(set(by_hand))
    assert len(set(zip(hashes, by_hand, strict=True))) == len(set(by_hand))


def test_order_of_words_counts() -> None:
    hasher = NgramHasher(3)
    hashes = {int(hasher.hash_ngrams(list(order))[0]) for order in ("abc", "acb", "bac", "cba")}
    assert len(hashes) == 4


def test_a_short_item_is_hashed_as_a_whole_and_equals_no_longer_ngram() -> None:
    hasher = NgramHasher(8)
    short = hasher.hash_item(["one", "two", "three"])
    assert len(short) == 1
    assert len(hasher.hash_ngrams(["one", "two", "three"])) == 0
    assert short[0] == combine(hash_words(["one", "two", "three"]), 3)[0]
    assert len(hasher.hash_item([])) == 0


def test_mixing_is_a_bijection_with_no_bit_left_idle() -> None:
    values = mix(np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(values)) == 100_000
    ones = [int(((values >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(64)]
    assert min(ones) > 49_000 and max(ones) < 51_000


@given(st.lists(SMALL_WORDS, max_size=6), SMALL_WORDS, st.integers(1, 6))
def test_the_exact_index_finds_what_a_count_by_hand_finds(
    items: list[list[str]], text: list[str], n: int
) -> None:
    wanted = {gram for item in items if item for gram in ngrams_by_hand(item, min(n, len(item)))}
    index = ExactIndex(items, n)
    matches = index.match(text)
    found = [
        tuple(text[start : start + length])
        for start, length in zip(matches.starts, matches.lengths, strict=True)
    ]
    lengths = sorted({len(gram) for gram in wanted})
    assert len(index) == len(wanted)
    assert found == [g for m in lengths for g in ngrams_by_hand(text, m) if g in wanted]
    assert len({*zip(matches.places.tolist(), found, strict=True)}) == len(set(found))


def test_an_empty_index_matches_nothing() -> None:
    assert len(ExactIndex([], 8).match(["any", "words", "at", "all"]).places) == 0
    assert ExactIndex([["a"]], 8).find(np.empty(0, np.uint64)).tolist() == []


def test_both_ways_of_counting_agree_with_a_count_by_hand() -> None:
    generator = np.random.default_rng(5)
    vocabulary = [f"w{number}" for number in range(30)]

    def text() -> list[str]:
        return [vocabulary[i] for i in generator.integers(0, 30, 400)]

    train, test = [text() for _ in range(20)], text()
    train[3][100:150] = test[200:250]
    hasher = NgramHasher(8)
    bloom = BloomFilter(shape_filter(20 * 400, 1e-8))
    index, found = ExactIndex([test], 8), set()
    for words in train:
        bloom.add(np.sort(hasher.hash_ngrams(words)))
        found.update(index.match(words).places.tolist())
    test_hashes = hasher.hash_ngrams(test)
    by_hand = {gram for words in train for gram in ngrams_by_hand(words, 8)}
    expected = [gram in by_hand for gram in ngrams_by_hand(test, 8)]
    assert bloom.contains(test_hashes).tolist() == expected
    assert [place in found for place in index.find(test_hashes).tolist()] == expected
    assert sum(expected) >= 43
