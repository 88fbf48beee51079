"""Passages are cut out with their margin, and nothing else goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.cut import Passage, Piece, cut_text
from pipeline.shared.text.words import split_words

TEXT = "Zero one two three four five six seven, eight - nine."


@pytest.mark.parametrize(
    ("passages", "margin", "left", "cut"),
    [
        ([(4, 6)], 0, "Zero one two three\n\nsix seven, eight - nine.", ["four five"]),
        ([(4, 6)], 2, "Zero one\n\neight - nine.", ["two three four five six seven,"]),
        ([(0, 2)], 3, "five six seven, eight - nine.", ["Zero one two three four"]),
        ([(8, 10)], 1, "Zero one two three four five six", ["seven, eight - nine."]),
        ([(7, 8), (1, 2)], 1, "three four five\n\n- nine.", ["Zero one two", "six seven, eight"]),
        ([(5, 7), (3, 6)], 0, "Zero one two\n\nseven, eight - nine.", ["three four five six"]),
        ([(2, 3)], 20, "", [TEXT]),
    ],
)
def test_a_passage_goes_with_its_margin(
    passages: list[tuple[int, int]], margin: int, left: str, cut: list[str]
) -> None:
    rest, pieces = cut_text(TEXT, [Passage(*passage) for passage in passages], margin)
    assert rest == left
    assert [piece.text for piece in pieces] == cut


def test_a_piece_names_the_first_passage_that_lies_in_it() -> None:
    _, pieces = cut_text(TEXT, [Passage(7, 8), Passage(2, 4), Passage(3, 5)], 0)
    assert pieces == [Piece(9, "two three four", 1), Piece(33, "seven,", 0)]


@given(st.text("ab cd\n.-_é½…\u00b4Ⅳ\u0301Σ", max_size=60), st.data(), st.integers(0, 3))
def test_what_is_left_and_what_is_cut_are_the_text(
    text: str, data: st.DataObject, margin: int
) -> None:
    words = split_words(text)
    if not words:
        return
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    rest, (piece,) = cut_text(text, [Passage(start, end)], margin)
    assert text[piece.start : piece.start + len(piece.text)] == piece.text
    before = split_words(text[: piece.start])
    after = split_words(text[piece.start + len(piece.text) :])
    assert before + split_words(piece.text) + after == words
    assert split_words(rest) == before + after
    assert len(before) <= max(start - margin, 0)
    assert len(after) <= max(len(words) - end - margin, 0)
