"""The main text of a page: bytes to characters, characters to text, and rules that reject.

Of the extractors measured (trafilatura, readability, goose3, boilerpy3, jusText) resiliparse is
eight times as fast as the best; what it keeps too much of, `boilerplate` takes away.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from pipeline.crawl.boilerplate import ELEMENTS, is_boilerplate
from pipeline.crawl.html_limits import check_html, check_tree

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 1024  # where the HTML standard looks for <meta charset>
_META = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_FEW_WORDS, _MANY_WORDS = 50, 200
_LEAST_LETTERS = 0.5  # of the characters that are no spaces
_MOST_BROKEN = 0.01  # replacement characters: more, and the encoding was guessed wrong
_MOST_REPEATED = 0.5  # of the lines


class Page(NamedTuple):
    """What was read from a page."""

    title: str
    text: str


def extract(body: bytes, content_type: str) -> Page:
    """The title and main text of an HTML or plain-text body.

    Args:
        body: decoded of its Content-Encoding.
        content_type: the header, for its type and charset.

    Raises:
        TooComplexError: the page is made to cost too much.
    """
    text = decode(body, content_type)
    if content_type.lower().startswith("text/plain"):
        return Page("", tidy(text))
    check_html(text)
    tree = HTMLTree.parse(text)
    check_tree(tree)
    title = " ".join((tree.title or "").split())
    main = _main_text(tree, ELEMENTS)
    if len(main.split()) < _FEW_WORDS:
        # Some sites put such a name on the element around everything.
        whole = _main_text(tree, [])
        if len(whole.split()) >= _MANY_WORDS:
            main = whole
    return Page(title, main)


def _main_text(tree: HTMLTree, left_out: list[str]) -> str:
    text = tidy(
        extract_plain_text(
            tree,
            preserve_formatting=True,
            main_content=True,
            list_bullets=False,
            alt_texts=False,
            skip_elements=left_out,
        )
    )
    return tidy("\n".join(line for line in text.split("\n") if not is_boilerplate(line)))


def decode(body: bytes, content_type: str) -> str:
    """Characters of a body, by the order of the HTML standard.

    Byte order mark, charset of the header, `<meta charset>`, then what the bytes look like.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    for name in _declared(body, content_type):
        encoding = map_encoding_to_html5(name, fallback_utf8=False) or ""
        try:
            return body.decode(encoding, "replace")
        except LookupError:
            continue
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode(detect_encoding(body, from_html_meta=False) or "utf-8", "replace")


def _declared(body: bytes, content_type: str) -> list[str]:
    in_header = _CHARSET.findall(content_type)
    in_page = [name.decode() for name in _META.findall(body[:_META_BYTES])[:1]]
    return [name for name in (*in_header, *in_page) if name]


def tidy(text: str) -> str:
    r"""Text without what the web's layout left in it.

    >>> tidy(" a \u00a0 b\r\n\n\n\nc\x00 ")
    'a b\n\nc'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[^\S\n]+", " ", _CONTROL.sub("", text))
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\ufeff]")


def looks_binary(body: bytes, content_type: str) -> bool:
    """Whether a body that was called text is none: a picture, an archive, a PDF."""
    if any(body.startswith(mark) for mark, _ in _BOMS) or "utf-16" in content_type.lower():
        return False
    return b"\0" in body[:4096] or body.startswith((b"%PDF-", b"PK\x03\x04", b"\x1f\x8b"))


def reject(page: Page, *, min_words: int) -> str:
    """The rule by which a page gives no document, or ''.

    `empty`, `bad_encoding`, `too_short`, `not_prose`, `repetitive`: each tells what it found.
    """
    text = page.text
    if not text:
        return "empty"
    if text.count("\ufffd") > _MOST_BROKEN * len(text):
        return "bad_encoding"
    if len(text.split()) < min_words:
        return "too_short"
    solid = "".join(text.split())
    if sum(map(str.isalpha, solid)) < _LEAST_LETTERS * len(solid):
        return "not_prose"
    lines = [line for line in text.split("\n") if line]
    if len(lines) >= 10 and len(set(lines)) < (1 - _MOST_REPEATED) * len(lines):
        return "repetitive"
    return ""
