"""LAMBADA's last words and the Children's Book Test's missing ones, from articles' sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import generator
from pipeline.sample_web.evaluation.sentences import article_sentences, is_word, tokenise
from pipeline.sample_web.material import word_list

_LAMBADA_WORDS = 45  # at least, before the last sentence; the published mean is 75
_LAMBADA_LAST = re.compile(r"^(.*\s)([A-Za-z]{4,})[.!?]$", re.DOTALL)
_CBT_CONTEXT = 20
_CBT_CANDIDATES = 10
_DETERMINERS = frozenset(word_list("determiners"))
_NOT_NOUNS = frozenset(word_list("not_nouns"))


class Cloze(NamedTuple):
    """A question and the text it was made of."""

    published: str
    """As it stands in the file."""
    passage: str
    """The natural text, whole."""


def lambada(articles: Iterable[Article]) -> Iterator[Cloze]:
    """Passages of several sentences whose last word stands in them before.

    The published line ends with that word: no full stop.
    """
    for article in articles:
        passage: list[str] = []
        for sentence in article_sentences(article):
            before = " ".join(passage)
            last = _LAMBADA_LAST.match(sentence)
            if last and len(before.split()) >= _LAMBADA_WORDS and _mentions(before, last[2]):
                text = f"{before} {last[1]}{last[2]}"
                yield Cloze(json.dumps({"text": text}) + "\n", text)
                passage = []
            else:
                passage = [*passage, sentence][-5:]


def _mentions(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text) is not None


def childrens_books(articles: Iterable[Article], kind: str, seed: int) -> Iterator[Cloze]:
    """21 numbered sentences, a word of the last one missing, ten candidates from before.

    Common nouns (`CN`) are words that follow a determiner, names (`NE`) words with a capital
    inside a sentence: rules of thumb where the published set used a parser.
    """
    for article in articles:
        sentences = [tokenise(sentence) for sentence in article_sentences(article)]
        stop = len(sentences) - _CBT_CONTEXT
        for start in range(max(0, stop)):
            window = sentences[start : start + _CBT_CONTEXT + 1]
            cloze = _question(window, kind, seed, f"{article.name} {start}")
            if cloze:
                yield cloze


def _question(window: list[list[str]], kind: str, seed: int, name: str) -> Cloze | None:
    context, query = window[:-1], window[-1]
    words = {word for tokens in context for word in _words_of_kind(tokens, kind)}
    answers = sorted(words.intersection(_words_of_kind(query, kind)))
    if not answers:
        return None
    random = generator(seed, "cbt", kind, name)
    answer = random.choice(answers)
    others = _other_candidates(context, words - {answer}, kind, random)
    if len(others) < _CBT_CANDIDATES - 1:
        return None
    candidates = random.sample([answer, *others], _CBT_CANDIDATES)
    lines = [f"{number} {' '.join(tokens)}" for number, tokens in enumerate(context, start=1)]
    asked = list(query)
    asked[query.index(answer)] = "XXXXX"
    lines.append(f"{_CBT_CONTEXT + 1} {' '.join(asked)}\t{answer}\t\t{'|'.join(candidates)}")
    passage = "\n".join(" ".join(tokens) for tokens in window[-4:])
    return Cloze("\n".join(lines) + "\n\n", passage)


def _other_candidates(
    context: list[list[str]], words: set[str], kind: str, random: Random
) -> list[str]:
    """Nine of the same kind; where names are too few, common nouns fill up, as published."""
    wanted = _CBT_CANDIDATES - 1
    others = random.sample(sorted(words), min(wanted, len(words)))
    if kind == "NE" and len(others) < wanted:
        nouns = {word for tokens in context for word in _words_of_kind(tokens, "CN")} - words
        others += random.sample(sorted(nouns), min(wanted - len(others), len(nouns)))
    return others


def _words_of_kind(tokens: Sequence[str], kind: str) -> list[str]:
    if kind == "NE":
        return [t for t in tokens[1:] if is_word(t) and t[0].isupper() and len(t) > 1]
    return [
        token
        for before, token in pairwise(tokens)
        if before.lower() in _DETERMINERS
        and is_word(token)
        and token.islower()
        and len(token) > 2
        and token not in _NOT_NOUNS
    ]
