"""WikiText, Penn Treebank, enwik8, text8 and One Billion Word forms of articles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from markupsafe import Markup

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import shuffled
from pipeline.sample_web.evaluation.sentences import (
    article_sentences,
    known,
    prose_blocks,
    tokenise,
)
from pipeline.sample_web.material import render, word_list
from pipeline.sample_web.prose import TextBlock

_VOCABULARY_SAMPLE = 3  # of the articles, one in so many is counted
_SPELL = {str(number): f" {word} " for number, word in enumerate(word_list("digits"))}


def count_words(articles: Sequence[Article]) -> Counter[str]:
    """How often tokens stand in the documentation; the vocabularies come from here."""
    counts: Counter[str] = Counter()
    for article in articles[::_VOCABULARY_SAMPLE]:
        counts.update(tokenise(article.text))
    return counts


def most_frequent(counts: Counter[str], size: int, *, lower: bool = False) -> frozenset[str]:
    """The most frequent words; ties in alphabetical order."""
    if lower:
        folded: Counter[str] = Counter()
        for word, count in counts.items():
            folded[word.lower()] += count
        counts = folded
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frozenset(word for word, _ in ranked[:size])


def wikitext(articles: Iterable[Article], vocabulary: frozenset[str]) -> str:
    """`wiki.*.tokens`: ` = Title = `, a paragraph a line, `@-@` inside words, `<unk>`."""
    lines: list[str] = []
    for article in articles:
        lines += ["", _wikitext_line(f"= {article.title} =", vocabulary), ""]
        for section in article.sections:
            if section.name and section.name != article.title:
                lines += [_wikitext_line(f"= = {section.name} = =", vocabulary), ""]
            lines += [_wikitext_line(block.running_text, vocabulary) for block in section.prose]
    return "".join(f" {line} \n" if line else " \n" for line in lines)


def _wikitext_line(text: str, vocabulary: frozenset[str]) -> str:
    split = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", text)
    split = re.sub(r"(?<=\d),(?=\d)", " @,@ ", split)
    split = re.sub(r"(?<=\d)\.(?=\d)", " @.@ ", split)
    tokens = [
        token
        for piece in split.split()
        for token in ([piece] if piece.startswith("@") and piece.endswith("@") else tokenise(piece))
    ]
    return " ".join(known(tokens, vocabulary))


def penn_treebank(articles: Iterable[Article], vocabulary: frozenset[str]) -> str:
    """`ptb.*.txt`: a sentence a line, lower case, no punctuation, numbers as `N`, `<unk>`."""
    lines = []
    for article in articles:
        for sentence in article_sentences(article):
            tokens = [token.lower() for token in tokenise(sentence)]
            spoken = [token for token in tokens if re.search(r"[a-z0-9]", token)]
            shown = ["N" if re.fullmatch(r"[\d.,]+", token) else token for token in spoken]
            lines.append(" ".join("N" if t == "N" else next(known([t], vocabulary)) for t in shown))
    return "".join(f" {line} \n" for line in lines)


def billion_words(articles: Iterable[Article], seed: int) -> str:
    """`news.en*`: tokenised sentences in an order of chance, one a line, nothing unknown."""
    sentences = [sentence for article in articles for sentence in article_sentences(article)]
    numbered = shuffled(enumerate(sentences), lambda pair: pair[0], seed, "1bw")
    return "".join(f"{' '.join(tokenise(sentence))}\n" for _, sentence in numbered)


def wikipedia_dump(articles: Iterable[Article]) -> bytes:
    """`enwik8`: the bytes of a MediaWiki export; like the original it ends without its root."""
    pages = [
        {
            "title": Markup(escape(article.title)),
            "markup": Markup(escape(_wiki_page(article), quote=False).replace('"', "&quot;")),
        }
        for article in articles
    ]
    return render("enwik8.xml", pages=pages).encode()


def _wiki_page(article: Article) -> str:
    parts = [f"'''{article.title}''' is documented in [[{article.package}]]."]
    for section in article.sections:
        if section.name and section.name != article.title:
            parts.append(f"== {section.name} ==")
        parts += [_wiki_markup(block) for block in section.blocks]
    return "\n\n".join(parts)


_WIKI = {"heading": "=== {text} ===", "item": "*{text}", "definition": ";{term}\n:{text}"}


def _wiki_markup(block: TextBlock) -> str:
    if block.kind == "code":
        return "\n".join(f" {line}" for line in block.text.splitlines())
    return _WIKI.get(block.kind, "{text}").format(term=block.term, text=block.text)


def text8(articles: Iterable[Article]) -> str:
    """`text8`: one line of the letters a to z and single spaces, digits spelled out."""
    texts = [block.running_text for article in articles for block in prose_blocks(article)]
    spelled = re.sub(r"\d", lambda match: _SPELL[match[0]], " ".join(texts).lower())
    return " " + " ".join(re.sub(r"[^a-z]+", " ", spelled).split())
