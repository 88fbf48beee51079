"""Sentences and tokens in the manner of the Penn Treebank, as the published sets have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pipeline.sample_web.articles import Article
from pipeline.sample_web.prose import TextBlock

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Fig|Eq|No|al|approx|resp|Dr|St|[A-Z]))\.$")
_TOKEN = re.compile(
    r"<unk>"
    r"|\d+(?:[.,]\d+)*(?![\w.])"
    r"|[A-Za-z]+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b"
    r"|\w+(?:[-._/]\w+)*"
    r"|\.{3}|--|\S"
)
_LEAST_SENTENCE_WORDS = 5


def split_sentences(text: str) -> list[str]:
    """The sentences of running text.

    >>> split_sentences("It returns None, e.g. for 3. Else it raises. Is that so?")
    ['It returns None, e.g. for 3.', 'Else it raises.', 'Is that so?']
    """
    sentences: list[str] = []
    start = 0
    for match in _END.finditer(text):
        if _ABBREVIATION.search(text[start : match.start()]):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def prose_blocks(article: Article) -> Iterator[TextBlock]:
    """Its paragraphs, items and definitions."""
    return (block for block in article.blocks() if block.is_text)


def article_sentences(article: Article) -> list[str]:
    """The whole sentences of an article, in order."""
    return [
        sentence
        for block in prose_blocks(article)
        for sentence in split_sentences(block.text)
        if len(sentence.split()) >= _LEAST_SENTENCE_WORDS and sentence[-1] in ".!?"
    ]


def tokenise(text: str) -> list[str]:
    """Words and punctuation marks apart, contractions split.

    >>> tokenise("It doesn't read 1,024 bytes (see os.path).")
    ['It', 'does', "n't", 'read', '1,024', 'bytes', '(', 'see', 'os.path', ')', '.']
    """
    return _TOKEN.findall(text)


def is_word(token: str) -> bool:
    """Whether a token is a word of letters only."""
    return token.isalpha() and token.isascii()


def known(tokens: Iterable[str], vocabulary: frozenset[str]) -> Iterator[str]:
    """The tokens, words outside the vocabulary as `<unk>`."""
    return (token if not token[0].isalnum() or token in vocabulary else "<unk>" for token in tokens)
