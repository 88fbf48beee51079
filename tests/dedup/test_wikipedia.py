"""Wikipedia is known by its host and by its marks, and a page about it is not Wikipedia."""

from __future__ import annotations

import pytest

from pipeline.dedup.wikipedia import MARKS, wikipedia_sign

ARTICLE = "The figure is a shape. " * 200


@pytest.mark.parametrize(
    "url",
    [
        "https://en.wikipedia.org/wiki/Figure",
        "http://EN.m.Wikipedia.org:80/wiki/Figure",
        "https://wikipedia.org/",
        "http://en.wikipedia.org./wiki/Figure",
        "https://commons.wikimedia.org/wiki/Figure",
    ],
)
def test_a_page_of_wikipedia_is_known_by_its_host(url: str) -> None:
    assert wikipedia_sign(url, ARTICLE) in url.lower()
    assert "wiki" in wikipedia_sign(url, ARTICLE)


@pytest.mark.parametrize("mark", MARKS)
def test_a_mirror_is_known_by_a_mark_at_either_end(mark: str) -> None:
    for text in (f"Figure\n{mark.upper()}\n{ARTICLE}", f"{ARTICLE}\n{mark} Figure"):
        assert wikipedia_sign("http://mirror.test/figure", text) == mark


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://notwikipedia.org/wiki", ARTICLE),
        ("http://wikipedia.blog.test/", ARTICLE),
        ("http://blog.test/wikipedia.org", ARTICLE),
        ("http://blog.test/", "I looked it up in Wikipedia. " + ARTICLE),
        ("http://blog.test/", f"{ARTICLE} From Wikipedia, the free encyclopedia {ARTICLE}"),
    ],
)
def test_a_page_about_wikipedia_is_not_of_it(url: str, text: str) -> None:
    assert wikipedia_sign(url, text) == ""
