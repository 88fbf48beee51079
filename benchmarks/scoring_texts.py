"""Made texts for the scoring benchmark: random words of GPT-2, in the lengths of real ones."""

from __future__ import annotations

import random

from scoring_contenders import Choice, WordPair

from pipeline.shared.formats.tokenizer import Tokenizer

_PASSAGE_TOKENS = (60, 110)  # LAMBADA's test passages have 80 on average
_CONTEXT_TOKENS = (380, 520)  # twenty sentences of a children's book
_REST_TOKENS = (6, 24)  # what follows the blank
_CHOICES = 10


def make_text(tokenizer: Tokenizer, tokens: int) -> str:
    """One long text of exactly so many tokens."""
    return _words(tokenizer, random.Random(1), tokens)


def make_passages(tokenizer: Tokenizer, count: int) -> list[WordPair]:
    """Passages and their last words."""
    draw = random.Random(2)
    return [
        WordPair(
            _words(tokenizer, draw, draw.randint(*_PASSAGE_TOKENS)).strip(),
            _words(tokenizer, draw, 1),
        )
        for _ in range(count)
    ]


def make_choices(tokenizer: Tokenizer, count: int) -> list[Choice]:
    """Contexts, and ten continuations of each that differ in their first word."""
    draw = random.Random(3)
    questions = []
    for _ in range(count):
        context = _words(tokenizer, draw, draw.randint(*_CONTEXT_TOKENS)).strip()
        rest = _words(tokenizer, draw, draw.randint(*_REST_TOKENS))
        firsts = [_words(tokenizer, draw, 1) for _ in range(_CHOICES)]
        questions.append(Choice(context, [first + rest for first in firsts]))
    return questions


def _words(tokenizer: Tokenizer, draw: random.Random, count: int) -> str:
    """Words that are one token each, spaces before them."""
    return "".join(draw.choices(_single_words(tokenizer), k=count))


_CACHE: dict[str, list[str]] = {}


def _single_words(tokenizer: Tokenizer) -> list[str]:
    if tokenizer.sha256 not in _CACHE:
        texts = (token.decode("utf-8", "replace") for token in tokenizer.ranks)
        _CACHE[tokenizer.sha256] = [
            text for text in texts if text[:1] == " " and text[1:].isalpha() and text.isascii()
        ]
    return _CACHE[tokenizer.sha256]
