"""Copies of articles that are almost the same, and articles with a passage planted in them."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from pipeline.sample_web.articles import Article
from pipeline.sample_web.material import word_list
from pipeline.sample_web.prose import TextBlock
from pipeline.shared.text.ngrams import NgramHasher
from pipeline.shared.text.words import split_words

_SHINGLE_WORDS = 5
_WORD = re.compile(r"(?<![\w.])[a-z]{4,}(?![\w.(])")


def near_duplicate(article: Article, similarity: float, random: Random) -> Article:
    """The article with single words replaced, far apart, for about the wished similarity.

    A replaced word destroys the `k` shingles it stands in, so with `e` edits of `n` shingles
    the Jaccard similarity is (n - k e) / (n + k e).
    """
    num_shingles = max(1, len(split_words(article.text)) - _SHINGLE_WORDS + 1)
    edits = num_shingles * (1 - similarity) / (1 + similarity) / _SHINGLE_WORDS
    places = [
        (number, index, match.span())
        for number, section in enumerate(article.sections)
        for index, block in enumerate(section.blocks)
        if block.kind in {"paragraph", "item"}
        for match in _WORD.finditer(block.text)
    ]
    step = max(1, len(places) // max(1, round(edits)))
    chosen = places[random.randrange(step) :: step][: max(1, round(edits))]
    sections = [section._replace(blocks=list(section.blocks)) for section in article.sections]
    for number, index, (start, stop) in reversed(chosen):
        block = sections[number].blocks[index]
        text = block.text[:start] + random.choice(word_list("substitutes")) + block.text[stop:]
        sections[number].blocks[index] = block._replace(text=text, source="")
    return replace(article, sections=sections)


def similarity(first: str, second: str) -> float:
    """Jaccard similarity of two texts over their distinct 5-word shingles.

    >>> similarity("one two three four five six", "one two three four five seven")
    0.3333333333333333
    """
    hasher = NgramHasher(_SHINGLE_WORDS)
    sets = [set(hasher.hash_ngrams(split_words(text)).tolist()) for text in (first, second)]
    union = sets[0] | sets[1]
    return len(sets[0] & sets[1]) / len(union) if union else 1.0


def plant(article: Article, passage: str, random: Random) -> Article:
    """The article with the passage as paragraphs somewhere inside it."""
    sections = [section._replace(blocks=list(section.blocks)) for section in article.sections]
    blocks = random.choice(sections).blocks
    place = random.randrange(len(blocks) + 1)
    parts = [part for part in passage.split("\n") if part.strip()]
    blocks[place:place] = [TextBlock("paragraph", part.strip()) for part in parts]
    return replace(article, sections=sections)
