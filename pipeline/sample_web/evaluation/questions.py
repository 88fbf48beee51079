"""Questions about documentation: conversations as CoQA's, single ones as NQ-open's.

They follow from rules on what docstrings say in set ways: which error is raised, since which
version something exists, of what type a parameter is, what a function does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.sample_web.articles import Article
from pipeline.sample_web.evaluation.sentences import prose_blocks, split_sentences
from pipeline.sample_web.prose import TextBlock

_STORY_WORDS = 260  # about CoQA's mean of 271
_MOST_TURNS = 12
_LEAST_TURNS = 3
_TYPE = re.compile(r"[\w.\[\]]+(?: [\w.\[\]]+){0,3}")  # at most four words, no set of values
_RAISES = re.compile(r"\b[Rr]aises?\s+(?:an? )?([A-Z]\w*(?:Error|Exception|Warning))\b")
_VERSION = re.compile(r"\b(Added|Changed|Deprecated since|New) (?:in )?version (\d+(?:\.\d+)+)")
_RETURNS = re.compile(r"^Returns? (?P<what>(?:the |an? |True |a list )[^.,;:]{3,60})")


class AskedQuestion(NamedTuple):
    """A question with its answers, the main one first."""

    question: str
    answers: list[str]


def article_questions(name: str, blocks: Iterable[TextBlock]) -> Iterator[AskedQuestion]:
    """The questions that a thing's documentation answers in a set phrase."""
    for block in blocks:
        text = block.running_text
        if found := _RAISES.search(text):
            yield AskedQuestion(f"Which exception does {name} raise?", [found[1], f"a {found[1]}"])
        if found := _VERSION.search(text):
            verb = {"Changed": "changed", "Deprecated since": "deprecated"}.get(found[1], "added")
            yield AskedQuestion(
                f"In which version was {name} {verb}?", [found[2], f"version {found[2]}"]
            )
        if found := _RETURNS.match(block.text):
            what = found["what"].strip()
            yield AskedQuestion(
                f"What does {name} return?", [what, re.sub(r"^(the|an?) ", "", what)]
            )
        term, kind = _parameter(block)
        if term and kind:
            yield AskedQuestion(
                f"What type is the parameter {term} of {name}?", [kind, f"{kind} type"]
            )
            if "optional" in block.term or "default" in block.term:
                yield AskedQuestion(f"Is {term} optional?", ["yes", "yes, it is"])


def _parameter(block: TextBlock) -> tuple[str, str]:
    """Name and type of a documented parameter: `axis : int, optional` or `axis (int)`."""
    found = re.match(r"(\w+)(?: : | ?\()([^,()]+?)(?:,.*|\).*)?$", block.term)
    if not found or not _TYPE.fullmatch(found[2].strip()):
        return "", ""
    return found[1], found[2].strip()


def conversations(articles: Iterable[Article]) -> Iterator[dict[str, Any]]:
    """Stories of `coqa-dev-v1.0.json`, each an article's beginning, with four answers a turn."""
    for number, article in enumerate(articles):
        blocks = _story_blocks(article)
        turns = [
            AskedQuestion("What is described here?", [article.title, f"It is {article.title}"])
        ]
        turns += _distinct(article_questions(article.title, blocks))
        first = next((block.text for block in blocks if block.kind == "paragraph"), "")
        summary = split_sentences(first)[0] if first else ""
        if 3 <= len(summary.split()) <= 25:
            turns.insert(
                1, AskedQuestion("What is said about it first?", [summary, summary.rstrip(".")])
            )
        if len(turns) >= _LEAST_TURNS:
            yield _conversation(number, article, blocks, turns[:_MOST_TURNS])


def _story_blocks(article: Article) -> list[TextBlock]:
    blocks: list[TextBlock] = []
    size = 0
    for block in prose_blocks(article):
        if size >= _STORY_WORDS:
            break
        blocks.append(block)
        size += len(block.text.split())
    return blocks


def _distinct(questions: Iterable[AskedQuestion]) -> list[AskedQuestion]:
    """The first of each question: a second one would have another answer."""
    return list({asked.question: asked for asked in reversed(list(questions))}.values())[::-1]


def _conversation(
    number: int, article: Article, blocks: list[TextBlock], turns: list[AskedQuestion]
) -> dict[str, Any]:
    answers = [
        [{"input_text": form, "turn_id": turn} for turn, form in enumerate(forms, start=1)]
        for forms in zip(*(_four_forms(asked.answers) for asked in turns), strict=True)
    ]
    return {
        "source": article.package,
        "id": f"sample{number:06d}",
        "filename": article.name,
        "story": "\n".join(block.running_text for block in blocks),
        "questions": [
            {"input_text": asked.question, "turn_id": turn}
            for turn, asked in enumerate(turns, start=1)
        ],
        "answers": answers[0],
        "additional_answers": {str(index): answers[index + 1] for index in range(3)},
        "name": article.name,
    }


def _four_forms(answers: list[str]) -> list[str]:
    main, other = answers
    return [main, other, main.rstrip("."), main.lower()]


def open_questions(articles: Iterable[Article]) -> Iterator[dict[str, Any]]:
    """Lines of `NQ-open.dev.jsonl`: lower-case questions without a question mark."""
    for article in articles:
        for section in article.sections:
            name = f"{article.package} {section.name or article.title}"
            for asked in _distinct(article_questions(name, section.blocks)):
                if "optional" in asked.question:
                    continue
                answers = list(dict.fromkeys(asked.answers))
                yield {"question": asked.question.rstrip("?").lower(), "answer": answers}
