"""Pages made to cost their parsers more than they can, and a fuzz of others of their kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hostile_pages import BOMBS, make_hostile

from pipeline.extract.judge import Caps
from pipeline.extract.lone_parser import CRASHED, HUNG, LoneParser

GIVEN_UP = {CRASHED, HUNG, "parser_failed"}
GOOD = b"<html><body>" + b"<p>The clock struck thirteen and nobody was surprised at all. </p>" * 9


@pytest.fixture(scope="module")
def parser() -> Iterator[LoneParser]:
    with LoneParser(Caps(10**7, 5, max_page_s=2.0)) as parser:
        yield parser


@pytest.mark.long
def test_no_bomb_costs_more_than_its_cap_or_another_page() -> None:
    """Each within its CPU time, or given up with its reason; the page after it is read."""
    with LoneParser(Caps(10**7, 5, max_page_s=1.0)) as parser:
        for name, bomb in BOMBS.items():
            page, reason = parser.judge(bomb.encode(), "text/html", "")
            assert reason or page.text, name
        page, reason = parser.judge(GOOD, "text/html", "")
    assert reason == "" and page.text.count("thirteen") == 9


@pytest.mark.parametrize(
    "bomb", ["<a" * 100_000, "<script><!--<script" * 20_000, "<select><option>" * 50_000]
)
def test_repeated_tags_cost_no_more_than_a_page(parser: LoneParser, bomb: str) -> None:
    """These took from half a minute to two; a page has two seconds of CPU time here."""
    _, reason = parser.judge(bomb.encode() + GOOD, "text/html", "")
    assert reason not in {CRASHED, HUNG}
    page, reason = parser.judge(GOOD, "text/html", "")
    assert reason == "" and page.text.count("thirteen") == 9


def test_what_gives_up_a_page_does_not_give_up_the_next() -> None:
    deep = b"<div>" * 100_000 + b"five words in the deep"
    with LoneParser(Caps(10**7, 5, max_page_s=0.5)) as parser:
        for _ in range(2):
            assert parser.judge(deep, "text/html", "")[1] in GIVEN_UP
        assert parser.judge(GOOD, "text/html", "")[1] == ""


def test_random_markup_gives_a_page_or_a_reason(parser: LoneParser) -> None:
    for seed in range(40):
        page, reason = parser.judge(make_hostile(seed), "text/html", "")
        assert reason or page.text, seed
        page.text.encode()
