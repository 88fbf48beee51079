"""Docstrings as blocks: what is recognised, what is left out and counted."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.sample_web.prose import TextBlock, is_prose, plain, read_blocks


def kinds(text: str) -> list[tuple[str, str, str]]:
    return [(block.kind, block.term, block.text) for block in read_blocks(text, Counter())]


def test_numpy_style_parameters_become_definitions_under_a_heading() -> None:
    text = """Return the sum of all elements.

Parameters
----------
axis : int, optional
    Axis along which the sum is computed.
keepdims : bool
    Whether the reduced axes are
    kept in the result."""
    assert kinds(text) == [
        ("paragraph", "", "Return the sum of all elements."),
        ("heading", "", "Parameters"),
        ("definition", "axis : int, optional", "Axis along which the sum is computed."),
        ("definition", "keepdims : bool", "Whether the reduced axes are kept in the result."),
    ]


def test_google_style_arguments_become_definitions_under_a_heading() -> None:
    text = """Load a model from disk.

Args:
    path (str): Where the model was saved before.
    strict: Whether keys must match."""
    assert kinds(text)[1:] == [
        ("heading", "", "Args"),
        ("definition", "path (str)", "Where the model was saved before."),
        ("definition", "strict", "Whether keys must match."),
    ]


def test_field_lists_become_definitions() -> None:
    assert kinds(":param int size: the number of rows to read\n:returns: a list of the rows") == [
        ("definition", "size", "the number of rows to read"),
        ("definition", "Returns", "a list of the rows"),
    ]


def test_bullets_become_items() -> None:
    assert kinds("* first thing to remember\n* second thing\n  to remember") == [
        ("item", "", "first thing to remember"),
        ("item", "", "second thing to remember"),
    ]


def test_short_code_stays_and_long_code_is_left_out_and_counted() -> None:
    left_out: Counter[str] = Counter()
    lines = "\n".join(f"    call({number})" for number in range(20))
    short, *rest = read_blocks(
        f"Use it like this::\n\n    one()\n    two()\n\nOr so, at length::\n\n{lines}", left_out
    )
    assert short.text == "Use it like this:"
    assert rest[0] == TextBlock("code", "one()\ntwo()")
    assert [block.kind for block in rest] == ["code", "paragraph"]
    assert left_out["code"] == 1


def test_a_note_is_prose_and_an_image_is_not() -> None:
    left_out: Counter[str] = Counter()
    text = ".. note:: Keep this in mind always.\n\n.. image:: x.png\n   :alt: a picture of it"
    assert [block.text for block in read_blocks(text, left_out)] == ["Keep this in mind always."]
    assert left_out == {"directive": 1}


def test_version_notes_become_sentences() -> None:
    assert kinds(".. versionadded:: 3.7")[0][2] == "Added in version 3.7."
    assert kinds(".. deprecated:: 1.2 Use another one.")[0][2] == (
        "Deprecated since version 1.2: Use another one."
    )


@pytest.mark.parametrize(
    "text",
    [
        "f(x, y=3) -> z[0]",
        "| a | b | c |",
        "===== ====",
        "x**2 + y**2 = r**2",
        "foo_bar baz.qux q2",
    ],
)
def test_what_is_no_prose_makes_no_block(text: str) -> None:
    assert read_blocks(text, Counter()) == []


def test_markup_is_removed_from_the_text_and_kept_in_the_source() -> None:
    (block,) = read_blocks(
        "See :meth:`~a.B.run` or ``x`` and *this* `page <http://p>`_.", Counter()
    )
    assert block.text == "See run or x and this page."
    assert block.source.startswith("See :meth:`~a.B.run`")


def test_plain_text_has_no_source_of_its_own() -> None:
    (block,) = read_blocks("Nothing special about this sentence.", Counter())
    assert block.source == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Markdown's [link](http://a.b/c) here", "Markdown's link here"), ("2 * 3 * 4", "2 * 3 * 4")],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_prose_needs_three_words_and_a_majority_of_plain_ones() -> None:
    assert is_prose("It runs well.")
    assert not is_prose("It runs.")
    assert not is_prose("a_1 b_2 c_3 word word")
