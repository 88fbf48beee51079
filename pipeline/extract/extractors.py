"""The extractors of main text that are asked, each as its library has it.

None gets a rule of ours about names of classes. Which page gets whose text is `main_text`'s choice.
"""

from __future__ import annotations

import logging

import lxml.html
from lxml.etree import ErrorTypes, ParserError, tostring
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

_MOST_CHARACTERS, _MOST_TAGS = 2_000_000, 20_000
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # a line for each page it cannot read


def by_resiliparse(page: HTMLTree | str) -> str:
    """Nearly all of the main text, and much of what stands around it; ten times as fast as others.

    Args:
        page: a parsed page, or HTML.
    """
    text: str = extract_plain_text(
        page, preserve_formatting=True, main_content=True, list_bullets=False, alt_texts=False
    )
    return text


def parse_for_trafilatura(html: str) -> lxml.html.HtmlElement | None:
    """The page's tree for the two extractors below; None for a page that holds none or too much.

    On larger pages than these trafilatura takes seconds, and on deep ones the square of the depth
    (minutes at 2,000), so that the parser's own limit, 256 elements in one another, is welcome.
    """
    if len(html) > _MOST_CHARACTERS or html.count("<") > _MOST_TAGS:
        return None
    parser = lxml.html.HTMLParser(
        encoding="utf-8",
        collect_ids=False,
        default_doctype=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        page = lxml.html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except ParserError:  # no element at all
        return None
    broke_off = any(entry.type == ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log)
    return None if broke_off else page


def by_trafilatura(page: lxml.html.HtmlElement) -> str:
    """Trafilatura in its fast mode, in which it asks no other extractor."""
    import trafilatura  # 0.9 s and 38 MB, which `extract.extractor: resiliparse` does without

    return trafilatura.extract(page, fast=True, include_comments=False) or ""


def by_readability(page: lxml.html.HtmlElement) -> str:
    """Readability, as trafilatura carries it, its HTML made text as resiliparse makes it."""
    from trafilatura.external import try_readability

    found = tostring(try_readability(page), encoding="unicode", method="html")
    text: str = extract_plain_text(found, preserve_formatting=True, list_bullets=False)
    return text
