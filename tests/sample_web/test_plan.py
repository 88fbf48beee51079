"""Which page plays which role: disjoint, findable, and truly what the truth says."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import generator
from pipeline.sample_web.copies import near_duplicate, plant, similarity
from pipeline.sample_web.oddities import (
    CRAWL_DELAY_HOST,
    DISALLOWED,
    ROBOTS_ERROR_HOST,
    make_oddities,
)
from pipeline.sample_web.pages import PagePart, SitePage
from pipeline.sample_web.plan import plan_pages
from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocSection
from pipeline.shared.text.words import normalise

PASSAGE = PagePart("lambada", 7, "The held-out words that nobody may learn.\nIn two paragraphs.")


def make_article(number: int, words: int = 400) -> Article:
    text = " ".join(f"word{'abcdefgh'[n % 8]} thing{number}x{n}" for n in range(words // 2))
    blocks = [
        TextBlock("paragraph", text),
        TextBlock("paragraph", f"Naïve ending number {number}."),
    ]
    return Article(f"pkg.mod{number}", "pkg", f"mod{number}", [DocSection("", "", blocks)])


ARTICLES = [make_article(number) for number in range(900)]


@pytest.fixture(scope="module")
def pages() -> list[SitePage]:
    return plan_pages(ARTICLES, [PASSAGE], seed=1)


def of_kind(pages: list[SitePage], kind: str) -> list[SitePage]:
    return [page for page in pages if page.kind == kind]


def test_every_role_is_played(pages: list[SitePage]) -> None:
    kinds = Counter(page.kind for page in pages)
    assert set(kinds) == {
        *("original", "exact_duplicate", "near_duplicate", "planted", "non_english", "too_short"),
        *("wikipedia", "wikipedia_mirror", "disallowed"),
    }
    assert kinds["original"] > 0.8 * len(ARTICLES)
    links = {page.link for page in pages}
    assert links == {"", "low_score", "over_18", "blocked_subreddit", "after_cut_off"}


def test_urls_are_unique_and_hosts_reserved(pages: list[SitePage]) -> None:
    assert len({page.url for page in pages}) == len(pages)
    assert all(page.host.endswith(".test") and page.url.isascii() for page in pages)


def test_an_exact_duplicate_has_the_same_text_on_another_host(pages: list[SitePage]) -> None:
    by_url = {page.url: page for page in pages}
    for copy in of_kind(pages, "exact_duplicate"):
        assert copy.article.text == by_url[copy.of].article.text
        assert copy.host != by_url[copy.of].host


def test_a_near_duplicate_is_as_similar_as_the_truth_says(pages: list[SitePage]) -> None:
    by_url = {page.url: page for page in pages}
    copies = of_kind(pages, "near_duplicate")
    assert copies
    for copy in copies:
        assert copy.similarity == similarity(copy.article.text, by_url[copy.of].article.text)
        assert 0.8 < copy.similarity < 0.98


def test_a_planted_page_holds_its_passage_and_its_own_text(pages: list[SitePage]) -> None:
    (page,) = of_kind(pages, "planted")
    assert (page.set, page.example, page.passage) == PASSAGE
    assert normalise(PASSAGE.text) in normalise(page.article.text)
    assert page.article.text.count("thing") > 100


def test_the_plan_depends_on_names_and_seed_not_on_order(pages: list[SitePage]) -> None:
    assert plan_pages(ARTICLES[::-1], [PASSAGE], seed=1) == pages
    assert plan_pages(ARTICLES, [PASSAGE], seed=2) != pages


def test_old_encodings_hold_their_text(pages: list[SitePage]) -> None:
    old = [page for page in pages if page.encoding != "utf-8"]
    assert old
    for page in old:
        page.article.text.encode(page.encoding)


def test_disallowed_pages_are_those_robots_forbids(pages: list[SitePage]) -> None:
    hosts = sorted({page.host for page in pages})
    urls = [page.url for page in of_kind(pages, "original")]
    rows = [oddity.row for oddity in make_oddities(hosts, urls, "text")]
    robots = {row.host: row for row in rows if row.path == "/robots.txt"}
    for page in of_kind(pages, "disallowed"):
        if page.host == ROBOTS_ERROR_HOST:
            assert robots[page.host].status == 500
        else:
            assert page.path.startswith(DISALLOWED)
            assert f"Disallow: {DISALLOWED}".encode() in robots[page.host].body
    assert b"Crawl-delay: 1" in robots[CRAWL_DELAY_HOST].body


@pytest.mark.parametrize("wished", [0.86, 0.9, 0.95])
def test_near_duplicates_come_near_the_wished_similarity(wished: float) -> None:
    article = make_article(1, words=1000)
    copy = near_duplicate(article, wished, generator(1, "x"))
    assert similarity(article.text, copy.text) == pytest.approx(wished, abs=0.03)


def test_planting_leaves_the_original_as_it_was() -> None:
    article = make_article(1)
    before = article.text
    planted = plant(article, "New words.", generator(1, "x"))
    assert article.text == before
    assert len(list(planted.blocks())) == len(list(article.blocks())) + 1
