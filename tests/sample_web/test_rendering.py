"""Pages as a browser and an extractor see them."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace

import docutils.core
import pytest
from lxml import html
from resiliparse.extract.html2text import extract_plain_text

from pipeline.sample_web.articles import Article
from pipeline.sample_web.material import read_data
from pipeline.sample_web.pages import SitePage
from pipeline.sample_web.prose import TextBlock, read_blocks
from pipeline.sample_web.reading import DocSection
from pipeline.sample_web.rendering import (
    Neighbour,
    render_article,
    render_page,
    render_pages,
)
from pipeline.shared.text.words import normalise

TEXT = """Open a <connection> & keep it, as :class:`~net.Client` does with ``retry=3``.

Parameters
----------
host : str
    The name of the host to which the connection is made, without its port.

* The first thing to know is that *all* names are resolved again on each attempt.
* The second thing to know is that nothing is remembered after the client was closed."""


def article(text: str = TEXT) -> Article:
    blocks = read_blocks(text, Counter())
    return Article("net.Client", "net", "Client", [DocSection("Client", "Client.open", blocks)])


def page(template: str) -> SitePage:
    return SitePage("net.docs.test", "/net.Client.html", article(), "original", template)


@pytest.mark.parametrize("template", ["blog", "docs", "news", "wiki"])
def test_the_main_text_survives_in_every_template(template: str) -> None:
    body = render_page(page(template), [Neighbour("Server", "/net.Server.html")]).body.decode()
    extracted = normalise(extract_plain_text(body, main_content=False))
    for block in article().blocks():
        assert normalise(block.text) in extracted
    links = html.fromstring(body).xpath("//a[@href='/net.Server.html']/text()")
    assert len(links) == 1 if template != "docs" else links[-1] == "Server"


def test_sound_rest_is_made_by_docutils_with_its_markup() -> None:
    body, used_docutils = render_article(article(), as_rest=True)
    assert used_docutils
    assert "<em>all</em>" in body
    assert "&lt;connection&gt; &amp; keep" in body
    assert html.fromstring(body).xpath("//dt")


def test_broken_rest_is_shown_as_plain_paragraphs() -> None:
    body, used_docutils = render_article(
        article("Use ``x`` for an *unclosed emphasis and more."), as_rest=True
    )
    assert not used_docutils
    assert "<p>Use x for an *unclosed emphasis and more.</p>" in body


@pytest.mark.parametrize("formula", [r"a \\ b", r"\sqrt{a \\ b}", r"a \over b"])
def test_a_formula_that_docutils_cannot_read_is_shown_as_text(formula: str) -> None:
    source = f"The sum is taken over all of them and written as :math:`{formula}` in the books."
    body, _ = render_article(article(source), as_rest=True)
    assert "The sum is taken over all of them" in body


def test_every_kind_of_block_has_its_element() -> None:
    blocks = [
        TextBlock("heading", "H & H"),
        TextBlock("paragraph", "a < b"),
        TextBlock("item", "thing"),
        TextBlock("definition", "meaning", "term"),
        TextBlock("code", "if a < b:\n    c()"),
    ]
    body, _ = render_article(Article("n", "p", "t", [DocSection("", "", blocks)]), as_rest=False)
    assert body == (
        "<h2>H &amp; H</h2>\n<p>a &lt; b</p>\n<ul><li>thing</li></ul>\n"
        "<dl><dt>term</dt><dd>meaning</dd></dl>\n<pre>if a &lt; b:\n    c()</pre>"
    )


def test_an_old_encoding_is_declared_in_the_page_and_used() -> None:
    cafe = Article(
        "c",
        "p",
        "Café",
        [DocSection("", "", [TextBlock("paragraph", "Un café, s'il vous plaît.")])],
    )
    old = replace(page("news"), article=cafe, encoding="iso-8859-1")
    body = render_page(old, []).body
    assert b"charset=iso-8859-1" in body
    assert "Un café, s&#x27;il vous plaît." in body.decode("iso-8859-1")
    with pytest.raises(UnicodeDecodeError):
        body.decode()


def test_a_mirror_of_wikipedia_says_so_at_its_edges() -> None:
    mirror = replace(page("wiki"), kind="wikipedia_mirror")
    text = extract_plain_text(render_page(mirror, []).body.decode(), main_content=False)
    assert "From Wikipedia, the free encyclopedia" in text
    assert "uses material from the Wikipedia article" in text


def test_a_page_is_the_same_after_others_as_by_itself() -> None:
    alone = docutils.core.publish_parts(
        "One *word*.\n\n- An item.", writer="html5", settings_overrides=read_data("docutils")
    )["body"]
    blocks = [
        TextBlock("paragraph", "One word.", source="One *word*."),
        TextBlock("item", "An item."),
    ]
    own = Article("net", "net", "net", [DocSection("", "", blocks)])
    for _ in range(2):
        render_article(article("Use ``x`` for an *unclosed emphasis and more."), as_rest=True)
        assert render_article(own, as_rest=True) == (alone, True)


def test_pythons_own_search_for_garbage_goes_on_after_the_pages() -> None:
    before = gc.get_threshold()
    assert render_pages([(page("docs"), [])])
    assert gc.get_threshold() == before
