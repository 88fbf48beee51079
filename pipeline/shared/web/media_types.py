"""Media types as browsers read them: Content-Type by the WHATWG's Fetch and MIME Sniffing.

Servers send two values, none, junk or `*/*`. The standards say which of them counts, and that a
body whose header says nothing is told by its first bytes (`pipeline.shared.web.sniffing`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.shared.web.sniffing import HTML, PLAIN, has_html_root, is_binary, sniff

_PAGES = frozenset({HTML, "application/xhtml+xml", PLAIN})
_UNKNOWN = frozenset({"unknown/unknown", "application/unknown", "*/*"})
_XML = re.compile(r"(?:text|application)/xml|[^/]+/[^/]+\+xml")
# Kinds of text that are no page even where one begins as HTML does; of others, such as `text/htm`,
# what begins so is one.
_OTHER_TEXTS = frozenset({
    *("text/css", "text/csv", "text/javascript", "text/ecmascript", "text/x-javascript"),
    *("text/json", "text/vtt", "text/calendar", "text/vcard", "text/rtf", "text/cache-manifest"),
})
# Values that old servers send with whatever file they do not know ("Apache bug").
_APACHE = frozenset({
    *("text/plain", "text/plain; charset=ISO-8859-1", "text/plain; charset=iso-8859-1"),
    "text/plain; charset=UTF-8",
})
_SPACE = "\t\n\r "
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUES = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^",])+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)
_LOOSE_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_MOST_CHARACTERS = 4096  # of a header; longer ones are no server's


class MediaType(NamedTuple):
    """A media type and the only parameter that says something about a page."""

    essence: str
    """Type and subtype in lower case."""
    charset: str = ""

    def __str__(self) -> str:
        """As a header has it."""
        return self.essence + (f"; charset={self.charset}" if self.charset else "")


def parse_media_type(value: str) -> MediaType | None:
    """One value by "parse a MIME type" (MIME Sniffing, section 4.4); None if it is none.

    >>> parse_media_type('TEXT/html;; charset="utf-8" ;x=y')
    MediaType(essence='text/html', charset='utf-8')
    >>> parse_media_type("html"), parse_media_type("text/html charset=utf-8")
    (None, None)
    """
    name, *parameters = _split(value.strip(_SPACE))
    kind, slash, subtype = name.rstrip(_SPACE).partition("/")
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(subtype):
        return None
    return MediaType(f"{kind}/{subtype}".lower(), _charset(parameters))


def _split(value: str) -> list[str]:
    """The parts between semicolons, of which one in quotes divides nothing."""
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"?|[^";])*', value, re.DOTALL)
    return [part for part in parts if part] or [""]


def _charset(parameters: list[str]) -> str:
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if equals and name.lstrip(_SPACE).lower() == "charset":
            quoted = _QUOTED.match(value)
            value = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value.rstrip(_SPACE)
            if value:
                return value
    return ""


def extract_media_type(header: str) -> MediaType | None:
    """What Content-Type says, by Fetch's "extract a MIME type": the last value that is one.

    Args:
        header: its value, or those of several lines, joined by commas.

    >>> extract_media_type("text/html;charset=gbk, text/html, x/y;a=b, */*, junk")
    MediaType(essence='x/y', charset='')
    >>> extract_media_type("text/html;charset=gbk, text/html").charset
    'gbk'
    """
    found: MediaType | None = None
    for value in _VALUES.findall(header[:_MOST_CHARACTERS]):
        read = parse_media_type(value)
        if read is None or read.essence == "*/*":
            continue
        same = found is not None and found.essence == read.essence
        charset = read.charset or (found.charset if same and found else "")
        found = MediaType(read.essence, charset)
    return found


def may_be_page(header: str) -> bool:
    """Whether a body of this Content-Type can be a page; for some, only the body can tell."""
    found = extract_media_type(header)
    return found is None or found.essence in _PAGES | _UNKNOWN or _is_told_by_body(found.essence)


def says_page(header: str) -> bool:
    """Whether a Content-Type is that of a page, whatever the body may be."""
    found = extract_media_type(header)
    return found is not None and found.essence in _PAGES


def page_type(header: str, body: bytes) -> MediaType | None:
    """What a browser takes a body for: HTML, plain text, or None, which is no page.

    Args:
        header: Content-Type as it came.
        body: without Content-Encoding; its beginning is enough.

    >>> page_type("html", b"<!doctype html><p>x"), page_type("", b"%PDF-1.4")
    (MediaType(essence='text/html', charset=''), None)
    """
    found = extract_media_type(header)
    sniffed = sniff(body)
    if found is None or found.essence in _UNKNOWN:
        essence = sniffed
    elif found.essence in _PAGES:
        essence = PLAIN if found.essence == PLAIN else HTML
        if sniffed not in {HTML, PLAIN} and not _is_text(header, essence, sniffed, body):
            return None
    else:
        essence = HTML if _is_told_by_body(found.essence) and sniffed == HTML else found.essence
    if _XML.fullmatch(essence) and has_html_root(body):
        essence = HTML
    if essence not in {HTML, PLAIN}:
        return None
    return MediaType(essence, charset_of(header))


def charset_of(header: str) -> str:
    """The charset that Content-Type names, also where it is no media type; '' if none.

    >>> charset_of("text/html charset=koi8-r"), charset_of("text/html; charset='gbk'")
    ('koi8-r', 'gbk')
    """
    found = extract_media_type(header)
    loose = _LOOSE_CHARSET.search(header[:_MOST_CHARACTERS])  # as browsers read it
    return (found.charset.strip("'") if found else "") or (loose[1] if loose else "")


def _is_told_by_body(essence: str) -> bool:
    other_text = essence.startswith("text/") and essence not in _OTHER_TEXTS
    return other_text or _XML.fullmatch(essence) is not None


def _is_text(header: str, essence: str, sniffed: str, body: bytes) -> bool:
    """Whether what is called a page is one, though its bytes look like something else.

    Browsers believe `text/html` whatever comes. The text of a picture is of no use here, so what
    has the mark of another format is none; a few bytes that no text has, as NUL, are forgiven.
    """
    if sniffed != "application/octet-stream" and not _XML.fullmatch(sniffed):
        return False
    if essence == PLAIN and header.strip(_SPACE) in _APACHE:
        return not is_binary(body)
    return not is_binary(body, most=0.1)
