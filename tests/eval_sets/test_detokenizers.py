"""De-tokenizers: natural text out, the exact original back."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.eval_sets.detokenizers import (
    CHILDRENS_BOOKS,
    ONE_BILLION_WORD,
    PENN_TREEBANK,
    WIKITEXT,
    Detokenizer,
)

ALL = [WIKITEXT, PENN_TREEBANK, ONE_BILLION_WORD, CHILDRENS_BOOKS]
NATURAL = [
    (
        WIKITEXT,
        " a well @-@ known 1 @,@ 000 @.@ 5 km / hour . \n",
        "a well-known 1,000.5 km/hour.\n",
    ),
    (WIKITEXT, ' He said " Teddy \'s here " ( at 5 : 30 ) . \n', None),
    (WIKITEXT, " = = Career = = \n \n", "= = Career = =\n\n"),
    (
        WIKITEXT,
        " Mr. Smith of the U.S. left . It ended . \n",
        "Mr. Smith of the U.S. left. It ended.\n",
    ),
    (WIKITEXT, " for $ 5 [ sic ] ; <unk> ! \n", "for $5 [sic]; <unk>!\n"),
    (PENN_TREEBANK, " it was n't the investors ' $ N \n", "it wasn't the investors' $N\n"),
    (PENN_TREEBANK, " capital cities\\/abc 's N N % \n", "capital cities/abc's N N%\n"),
    (ONE_BILLION_WORD, '" Fine , " she said ( twice ) .\n', '"Fine," she said (twice).\n'),
    (
        ONE_BILLION_WORD,
        "It 's Wal-Mart 's , don 't you see ?\n",
        "It's Wal-Mart's, don't you see?\n",
    ),
    (CHILDRENS_BOOKS, "`` Do n't ! '' said the king .\n", '"Don\'t!" said the king.\n'),
    (
        CHILDRENS_BOOKS,
        "` Promise me , ' said she -LRB- or he -RRB- .\n",
        "'Promise me,' said she (or he).\n",
    ),
]
_TOKENS = """
a It n't 's 't ' '' `` ` " ( ) [ ] -LRB- -RRB- , . ; : ! ? % $ @-@ @,@ @.@ 12 3.5 U.S. Mr.
<unk> N s' dogs - -- / \\/ ... = don end
"""
TOKENS = st.sampled_from(_TOKENS.split())


@pytest.mark.parametrize(("detokenizer", "raw", "natural"), NATURAL)
def test_artefacts_are_removed_and_come_back(
    detokenizer: Detokenizer, raw: str, natural: str | None
) -> None:
    result = detokenizer.detokenize(raw)
    if natural is not None:
        assert result.text == natural
    assert not result.edits
    assert detokenizer.restore(result) == raw


def test_quotes_and_brackets_close_up() -> None:
    raw = ' He said " Teddy \'s here " ( at noon ) . \n'
    assert WIKITEXT.detokenize(raw).text == 'He said "Teddy\'s here" (at noon).\n'


def test_a_place_that_cannot_be_put_back_is_left_as_it_was() -> None:
    raw = " it ended in U.S . and a long line of other words , as it were . \n"
    result = WIKITEXT.detokenize(raw)
    assert "U.S ." in result.text, "joined, it would come back as `U.S.`"
    assert "as it were.\n" in result.text, "one odd place must not spoil the rest of the line"
    assert WIKITEXT.restore(result) == raw


@pytest.mark.parametrize("detokenizer", ALL, ids=lambda d: d.name)
@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_at_all_comes_back(detokenizer: Detokenizer, text: str) -> None:
    assert detokenizer.restore(detokenizer.detokenize(text)) == text


@pytest.mark.parametrize("detokenizer", ALL, ids=lambda d: d.name)
@settings(deadline=None)
@given(tokens=st.lists(TOKENS, max_size=12))
def test_any_sequence_of_tokens_comes_back(detokenizer: Detokenizer, tokens: list[str]) -> None:
    raw = " ".join(tokens)
    raw = f" {raw} \n" if detokenizer.framed else f"{raw}\n"
    assert detokenizer.restore(detokenizer.detokenize(raw)) == raw


@pytest.mark.parametrize("detokenizer", ALL, ids=lambda d: d.name)
@settings(deadline=None)
@given(first=st.lists(TOKENS, max_size=6), second=st.lists(TOKENS, max_size=6))
def test_different_lines_without_edits_stay_different(
    detokenizer: Detokenizer, first: list[str], second: list[str]
) -> None:
    results = [detokenizer.detokenize(" ".join(tokens) + "\n") for tokens in (first, second)]
    if first != second and not any(result.edits for result in results):
        assert results[0].text != results[1].text


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("detokenizer", "name", "most_edits"),
    [
        (WIKITEXT, "wikitext2/wiki.test.tokens", 3),
        (WIKITEXT, "wikitext103/wiki.test.tokens", 11),
        (PENN_TREEBANK, "ptb/ptb.test.txt", 0),
        (ONE_BILLION_WORD, "1bw/news.en.heldout-00000-of-00050", 57),
        (CHILDRENS_BOOKS, "cbt/cbt_valid.txt", 14),
    ],
)
def test_every_line_of_the_real_file_comes_back(
    shared_data: Path, detokenizer: Detokenizer, name: str, most_edits: int
) -> None:
    with lzma.open(shared_data / "eval" / f"{name}.xz") as file:
        raw = file.read().decode()
    result = detokenizer.detokenize(raw)
    assert detokenizer.restore(result) == raw
    assert len(result.edits) <= most_edits, "lines that the rules alone cannot restore"
    untouched = sum(
        line == natural and " " in line.strip()
        for line, natural in zip(raw.split("\n"), result.text.split("\n"), strict=True)
    )
    assert untouched <= 0.02 * raw.count("\n"), "most lines have artefacts, which must go"
