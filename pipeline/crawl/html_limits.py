"""Refuse pages that are made to cost an HTML parser or a walk of its tree more than they can.

Two costs grow with the square of a page: the walk of a deep tree, and the parser's duty to open
every unclosed <font>, <b>, ... again in each paragraph, by which 80 kB become 3 GB.
"""

from __future__ import annotations

import re

from resiliparse.parse.html import HTMLTree

MAX_DEPTH = 200  # of elements; real pages stay below 64, browsers stop at 512
MAX_REOPENED = 1_000_000  # elements, about 400 MB
_MOST_EQUAL = 3  # the parser keeps no more of equal ones ("Noah's Ark clause")
_DEEPER = ">".join(["*"] * (MAX_DEPTH + 1))
# The standard's formatting elements; not <a> and <nobr>, which end their own predecessors.
_FORMATTING = re.compile(
    r"<(/?)(b|big|code|em|font|i|s|small|strike|strong|tt|u)\b([^>]{0,200})", re.IGNORECASE
)


class TooComplexError(Exception):
    """The page costs more than any page worth reading."""


def check_html(html: str) -> None:
    """Bound what parsing can make of a page: unclosed formatting elements times all elements.

    Raises:
        TooComplexError: the product exceeds `MAX_REOPENED`.
    """
    if _most_open(html) * html.count("<") > MAX_REOPENED:
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


def check_tree(tree: HTMLTree) -> None:
    """Bound the depth of a parsed page.

    Raises:
        TooComplexError: elements are nested deeper than `MAX_DEPTH`.
    """
    document = tree.document
    if document is not None and document.query_selector(_DEEPER) is not None:
        raise TooComplexError(f"elements are nested more than {MAX_DEPTH} deep")
