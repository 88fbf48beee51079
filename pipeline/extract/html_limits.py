"""Refuse pages that are made to cost an HTML parser or a walk of its tree more than they can.

Three costs grow with the square of a page: the walk of a deep tree, the parser's duty to open
every unclosed <font>, <b>, ... again in each paragraph, by which 80 kB become 3 GB, and its search
for each attribute among those before it, by which 10 MB take an hour.
"""

from __future__ import annotations

import re

from resiliparse.parse.html import HTMLTree

MAX_DEPTH = 200  # of elements; real pages stay below 64, browsers stop at 512
MAX_TAGS = 1_000_000  # about 700 MB
MAX_REOPENED = 1_000_000  # elements, about 400 MB
_MOST_CAREFUL_CHARACTERS, _MOST_CAREFUL_TAGS = 2_000_000, 20_000
_MOST_EQUAL = 3  # the parser keeps no more of equal ones ("Noah's Ark clause")
_DEEPER = ">".join(["*"] * (MAX_DEPTH + 1))
# The standard's formatting elements; not <a> and <nobr>, which end their own predecessors.
_FORMATTING = re.compile(
    r"<(/?)(b|big|code|em|font|i|s|small|strike|strong|tt|u)\b([^>]{0,200})", re.IGNORECASE
)


_OPENED = re.compile(r"<(?=[bcefistu])(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)\b", re.I)

_MOST_PIECES = 4000  # of one tag: attributes and the spaces before them
_SMALL_PAGE = 100_000  # characters, which cannot hold more than a second's worth of attributes
# As the standard reads a tag: a quote begins a value only after "=".
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)"""
_MANY_ATTRIBUTES = re.compile(
    rf"<[a-z][^\s/>]*+(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+{_VALUE}?+)?+){{{_MOST_PIECES}}}",
    re.IGNORECASE,
)


class TooComplexError(Exception):
    """The page costs more than any page worth reading."""


def check_html(html: str) -> None:
    """Bound what parsing can make of a page: attributes, and unclosed elements times all elements.

    Raises:
        TooComplexError: more than `MAX_TAGS` tags, thousands of attributes of one, or more
            elements to reopen than `MAX_REOPENED`.
    """
    if len(html) > _SMALL_PAGE and _MANY_ATTRIBUTES.search(html):
        raise TooComplexError("too many attributes")
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise TooComplexError("too many tags")
    if len(_OPENED.findall(html)) * tags <= MAX_REOPENED:  # three times as fast as the count below
        return
    if _most_open(html) * tags > MAX_REOPENED:
        raise TooComplexError("too many unclosed formatting elements")


def _most_open(html: str) -> int:
    """Most formatting elements that are open at once, as the parser keeps count of them."""
    open_: dict[str, list[str]] = {}  # by name: the attributes of each
    now = most = 0
    for closing, name, attributes in _FORMATTING.findall(html):
        same = open_.setdefault(name.lower(), [])
        if closing:
            if same:
                same.pop()
                now -= 1
        elif same[-_MOST_EQUAL:].count(attributes) < _MOST_EQUAL:
            same.append(attributes)
            now += 1
            most = max(most, now)
    return most


def suits_trafilatura(html: str) -> bool:
    """Whether a page is small enough for trafilatura, which slows down faster than resiliparse."""
    return len(html) <= _MOST_CAREFUL_CHARACTERS and html.count("<") <= _MOST_CAREFUL_TAGS


def check_tree(tree: HTMLTree) -> None:
    """Bound the depth of a parsed page.

    Raises:
        TooComplexError: elements are nested deeper than `MAX_DEPTH`.
    """
    document = tree.document
    if document is not None and document.query_selector(_DEEPER) is not None:
        raise TooComplexError(f"elements are nested more than {MAX_DEPTH} deep")
