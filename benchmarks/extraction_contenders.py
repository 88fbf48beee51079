"""Extractors of main text: each takes a page's bytes and gives its text.

Those that take characters and not bytes get them from figure4's decoder, whose time counts as
theirs too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.extract.characters import decode
from pipeline.extract.main_text import extract

Contender = Callable[[bytes], str]
OURS = "figure4"


def contenders() -> dict[str, Contender]:
    """All of them by name, with their packages imported."""
    return {
        OURS: partial(_figure4, consensus=True),
        "figure4, extractor: resiliparse": partial(_figure4, consensus=False),
        "trafilatura": _trafilatura(fast=False),
        "trafilatura, fast": _trafilatura(fast=True),
        "resiliparse": _resiliparse(),
        "readability-lxml": _readability(),
        "newspaper4k": _newspaper(),
        "jusText": _justext(),
        "boilerpy3": _boilerpy(),
    }


def _figure4(body: bytes, *, consensus: bool) -> str:
    return extract(body, "text/html", consensus=consensus).text


def _trafilatura(*, fast: bool) -> Contender:
    import trafilatura

    return lambda body: trafilatura.extract(body, fast=fast, include_comments=False) or ""


def _resiliparse() -> Contender:
    from resiliparse.extract.html2text import extract_plain_text

    return lambda body: str(extract_plain_text(decode(body, "text/html"), main_content=True))


def _readability() -> Contender:
    import lxml.html
    import readability

    def read(body: bytes) -> str:
        summary = readability.Document(decode(body, "text/html")).summary(html_partial=True)
        return str(lxml.html.fromstring(summary).text_content()) if summary.strip() else ""

    return read


def _newspaper() -> Contender:
    import newspaper

    config = newspaper.Config()
    config.fetch_images = False

    def read(body: bytes) -> str:
        article = newspaper.Article("http://page.test/", config=config)
        article.download(input_html=decode(body, "text/html"))
        article.parse()
        return str(article.text)

    return read


def _justext() -> Contender:
    import justext

    stop_words = justext.get_stoplist("English")

    def read(body: bytes) -> str:
        paragraphs = justext.justext(decode(body, "text/html"), stop_words)
        return "\n".join(p.text for p in paragraphs if not p.is_boilerplate)

    return read


def _boilerpy() -> Contender:
    from boilerpy3.extractors import ArticleExtractor

    extractor = ArticleExtractor(raise_on_failure=False)
    return lambda body: str(extractor.get_content(decode(body, "text/html")))
