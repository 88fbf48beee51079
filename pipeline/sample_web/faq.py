"""Questions with answers at the end of some pages, as many a page on the web ends in them.

The paper holds that text on the web shows tasks being done, and that a model learns them from it
without being told. Documentation alone shows none: a small model that never saw `A:` answer a
question says nothing after it. The questions follow from the page itself, by the rules that make
the sample evaluation sets from articles that are not on the web.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import chance
from pipeline.sample_web.evaluation.questions import Asked, article_questions, distinct
from pipeline.sample_web.prose import Block
from pipeline.sample_web.reading import Section

_PAGES_FRACTION = 0.75
_MOST_QUESTIONS = 12
_LEAST_QUESTIONS = 2


def with_questions(article: Article, seed: int) -> Article:
    """The article, now and then with the questions that it answers."""
    if chance(seed, "questions", article.name) >= _PAGES_FRACTION:
        return article
    asked = [
        found
        for section in article.sections
        for found in article_questions(section.name or article.title, section.blocks)
    ]
    chosen = distinct(asked)[:_MOST_QUESTIONS]
    if len(chosen) < _LEAST_QUESTIONS:
        return article
    text = "\n".join(_lines(found) for found in chosen)
    blocks = [Block("heading", "Questions and answers"), Block("code", text)]
    return replace(article, sections=[*article.sections, Section("", "", blocks)])


def _lines(asked: Asked) -> str:
    """The answer alone is marked: a small model takes `Q:` and `A:` for one another."""
    return f"{asked.question}\nA: {asked.answers[0]}"
