"""The main text of a page: a fast extractor, and a careful one for the pages where it fails.

Of the extractors measured (benchmarks/corpus_extract.py) resiliparse is many times as fast as the
best; what it keeps too much of, `boilerplate` takes away. On one page in twenty it finds nearly
nothing, and trafilatura, asked for those alone, most of what is there.
"""

from __future__ import annotations

import re

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from pipeline.extract.boilerplate import ELEMENTS, is_boilerplate, trim_tail
from pipeline.extract.characters import decode
from pipeline.extract.html_limits import check_html, check_tree, suits_trafilatura
from pipeline.extract.rules import Page

_FEW_WORDS = 50  # of main text: fewer, and the careful extractor is asked


def extract(body: bytes, content_type: str, *, careful: bool = True) -> Page:
    """The title and main text of an HTML or plain-text body.

    Args:
        body: decoded of its Content-Encoding.
        content_type: the header, for its type and charset.
        careful: ask trafilatura where hardly any text was found.

    Raises:
        TooComplexError: the page is made to cost too much.
    """
    html = decode(body, content_type)
    if content_type.lower().startswith("text/plain"):
        return Page("", tidy(html))
    check_html(html)
    tree = HTMLTree.parse(html)
    check_tree(tree)
    title = " ".join((tree.title or "").split())
    text = _without_boilerplate(_main_text(tree))
    few = len(text.split()) < _FEW_WORDS
    if careful and few and _holds_words(tree) and suits_trafilatura(html):
        text = max(text, _without_boilerplate(_careful_text(html)), key=len)
    return Page(title, text)


def _main_text(tree: HTMLTree) -> str:
    text: str = extract_plain_text(
        tree,
        preserve_formatting=True,
        main_content=True,
        list_bullets=False,
        alt_texts=False,
        skip_elements=ELEMENTS,
    )
    return text


def _holds_words(tree: HTMLTree) -> bool:
    """Whether there is text enough on a page that some of it may be its main text."""
    return tree.body is not None and len((tree.body.text or "").split()) >= _FEW_WORDS


def _careful_text(html: str) -> str:
    import trafilatura  # takes 0.9 s and 38 MB, once a process, and only where it is needed

    return trafilatura.extract(html, fast=True, include_comments=False) or ""


def _without_boilerplate(text: str) -> str:
    lines = [line for line in _tidy_lines(text) if not is_boilerplate(line)]
    return _BLANK_LINES.sub("\n\n", "\n".join(trim_tail(lines))).strip()


def tidy(text: str) -> str:
    r"""Text without what the web's layout left in it.

    >>> tidy(" a \u00a0 b\r\n\n\n\nc\x00 ")
    'a b\n\nc'
    """
    return _BLANK_LINES.sub("\n\n", "\n".join(_tidy_lines(text))).strip()


def _tidy_lines(text: str) -> list[str]:
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return [" ".join(line.split()) for line in text.split("\n")]


_BLANK_LINES = re.compile(r"\n{3,}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\ufeff]")
