"""The main text of a page: trafilatura's, unless another extractor disagrees and a third with it.

Which extractor reads a page best shows only beside others: what one loses (the article of which it
kept the author's biography) or drags along (a menu of 800 lines), two of three do not. The two
rules of ours, with their three parameters, were judged on sites that did not help to choose them
(docs/extraction.md, benchmarks/corpus_extract.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from resiliparse.parse.html import HTMLTree

from pipeline.extract.characters import decode
from pipeline.extract.extractors import (
    by_readability,
    by_resiliparse,
    by_trafilatura,
    parse_for_trafilatura,
)
from pipeline.extract.rules import Page

_AGREED = 0.7  # F1 of the 4-grams of two texts: less, and a third extractor is asked
_SHINGLE_WORDS = 4
_TITLE_WORDS = 2  # fewer may be a word that the text begins with


def extract(body: bytes, content_type: str, *, consensus: bool = True) -> Page:
    """The title and main text of an HTML or plain-text body.

    Args:
        body: decoded of its Content-Encoding.
        content_type: the header, for its type and charset.
        consensus: ask trafilatura, and readability where it and resiliparse disagree; else
            resiliparse alone.
    """
    html = decode(body, content_type)
    if content_type.lower().startswith("text/plain"):
        return Page("", tidy(html))
    tree = HTMLTree.parse(html)
    titles = find_titles(tree)
    quick = without_title(by_resiliparse(tree), titles)
    page = parse_for_trafilatura(html) if consensus else None
    if page is None:
        return Page(titles[0], quick)
    text = without_title(by_trafilatura(page), titles)
    if agreement(text, quick) < _AGREED:
        text = most_agreed([text, quick, without_title(by_readability(page), titles)])
    return Page(titles[0], text)


def agreement(one: str, other: str) -> float:
    """F1 of two texts' 4-grams of words, each counted as often as it occurs.

    >>> agreement("a b c d e", "a b c d x")
    0.5
    """
    first, second = _shingles(one), _shingles(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def most_agreed(texts: Sequence[str]) -> str:
    """The text that agrees best with the others; of equal ones the first.

    >>> most_agreed(["a b c d x y", "a b c d e f", "z a b c d e f"])
    'a b c d e f'
    """
    sums = [sum(agreement(text, other) for other in texts) for text in texts]
    return texts[sums.index(max(sums))]


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    if len(words) < _SHINGLE_WORDS:
        return Counter([tuple(words)] if words else [])
    return Counter(zip(*(words[n:] for n in range(_SHINGLE_WORDS)), strict=False))


def find_titles(tree: HTMLTree) -> list[str]:
    """What a page calls itself: its title, that for other sites, its headings of the first rank."""
    found = [tree.title or ""]
    if tree.head is not None and (meta := tree.head.query_selector('meta[property="og:title"]')):
        found.append(meta.getattr("content") or "")
    if tree.body is not None:
        found += [heading.text or "" for heading in tree.body.get_elements_by_tag_name("h1")]
    return [" ".join(title.split()) for title in found]


def without_title(text: str, titles: Sequence[str]) -> str:
    """A tidy text that does not begin with the page's title, which is kept apart from it."""
    text = tidy(text)
    first, _, rest = text.partition("\n")
    words = _words_of(first)
    if words.count(" ") + 1 >= _TITLE_WORDS and any(words in _words_of(title) for title in titles):
        return rest.strip()
    return text


def _words_of(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def tidy(text: str) -> str:
    r"""Text without what the web's layout left in it.

    >>> tidy(" a \u00a0 b\r\n\n\n\nc\x00 ")
    'a b\n\nc'
    """
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


_WORD = re.compile(r"\w+")
_BLANK_LINES = re.compile(r"\n{3,}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\ufeff]")
