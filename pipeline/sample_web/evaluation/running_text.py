"""WikiText, Penn Treebank, enwik8, text8 and One Billion Word forms of articles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from pipeline.sample_web.articles import Article, block_text
from pipeline.sample_web.chance import shuffled
from pipeline.sample_web.evaluation.sentences import (
    article_sentences,
    known,
    prose_blocks,
    tokenise,
)

_VOCABULARY_SAMPLE = 3  # of the articles, one in so many is counted
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPELL = {str(number): f" {word} " for number, word in enumerate(_DIGITS)}


def count_words(articles: Sequence[Article]) -> Counter[str]:
    """How often tokens stand in the documentation; the vocabularies come from here."""
    counts: Counter[str] = Counter()
    for article in articles[::_VOCABULARY_SAMPLE]:
        counts.update(tokenise(article.text))
    return counts


def vocabulary(counts: Counter[str], size: int, *, lower: bool = False) -> frozenset[str]:
    """The most frequent words; ties in alphabetical order."""
    if lower:
        folded: Counter[str] = Counter()
        for word, count in counts.items():
            folded[word.lower()] += count
        counts = folded
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frozenset(word for word, _ in ranked[:size])


def wikitext(articles: Iterable[Article], words: frozenset[str]) -> str:
    """`wiki.*.tokens`: ` = Title = `, a paragraph a line, `@-@` inside words, `<unk>`."""
    lines: list[str] = []
    for article in articles:
        lines += ["", _wikitext_line(f"= {article.title} =", words), ""]
        for section in article.sections:
            if section.name and section.name != article.title:
                lines += [_wikitext_line(f"= = {section.name} = =", words), ""]
            paragraphs = [
                block for block in section.blocks if block.kind not in {"heading", "code"}
            ]
            lines += [_wikitext_line(block_text(block), words) for block in paragraphs]
    return "".join(f" {line} \n" if line else " \n" for line in lines)


def _wikitext_line(text: str, words: frozenset[str]) -> str:
    split = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", text)
    split = re.sub(r"(?<=\d),(?=\d)", " @,@ ", split)
    split = re.sub(r"(?<=\d)\.(?=\d)", " @.@ ", split)
    tokens = [
        token
        for piece in split.split()
        for token in ([piece] if piece.startswith("@") and piece.endswith("@") else tokenise(piece))
    ]
    return " ".join(known(tokens, words))


def penn_treebank(articles: Iterable[Article], words: frozenset[str]) -> str:
    """`ptb.*.txt`: a sentence a line, lower case, no punctuation, numbers as `N`, `<unk>`."""
    lines = []
    for article in articles:
        for sentence in article_sentences(article):
            tokens = [token.lower() for token in tokenise(sentence)]
            spoken = [token for token in tokens if re.search(r"[a-z0-9]", token)]
            shown = ["N" if re.fullmatch(r"[\d.,]+", token) else token for token in spoken]
            lines.append(" ".join("N" if t == "N" else next(known([t], words)) for t in shown))
    return "".join(f" {line} \n" for line in lines)


def billion_words(articles: Iterable[Article], seed: int) -> str:
    """`news.en*`: tokenised sentences in an order of chance, one a line, nothing unknown."""
    sentences = [sentence for article in articles for sentence in article_sentences(article)]
    numbered = shuffled(enumerate(sentences), lambda pair: pair[0], seed, "1bw")
    return "".join(f"{' '.join(tokenise(sentence))}\n" for _, sentence in numbered)


_DUMP_HEAD = """\
<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.3/" version="0.3" xml:lang="en">
  <siteinfo>
    <sitename>Sample</sitename>
    <base>http://sample.test/wiki/Main_Page</base>
    <generator>figure4 sample_web</generator>
    <case>first-letter</case>
  </siteinfo>
"""


def wikipedia_dump(articles: Iterable[Article]) -> bytes:
    """`enwik8`: the bytes of a MediaWiki export; like the original it ends without its root."""
    pages = [_dump_page(number, article) for number, article in enumerate(articles, start=1)]
    return (_DUMP_HEAD + "".join(pages)).encode()


def _dump_page(number: int, article: Article) -> str:
    markup = [f"'''{article.title}''' is documented in [[{article.package}]]."]
    for section in article.sections:
        if section.name and section.name != article.title:
            markup.append(f"== {section.name} ==")
        markup += [_wiki_markup(block.kind, block.term, block.text) for block in section.blocks]
    text = escape("\n\n".join(markup), quote=False).replace('"', "&quot;")
    return (
        f"  <page>\n    <title>{escape(article.title)}</title>\n    <id>{number}</id>\n"
        f"    <revision>\n      <id>{1000 + number}</id>\n"
        f"      <timestamp>2006-03-03T{number // 60 % 24:02d}:{number % 60:02d}:00Z</timestamp>\n"
        f"      <contributor>\n        <username>Sample</username>\n        <id>1</id>\n"
        f'      </contributor>\n      <text xml:space="preserve">{text}</text>\n'
        f"    </revision>\n  </page>\n"
    )


def _wiki_markup(kind: str, term: str, text: str) -> str:
    match kind:
        case "heading":
            return f"=== {text} ==="
        case "item":
            return f"*{text}"
        case "definition":
            return f";{term}\n:{text}"
        case "code":
            return "\n".join(f" {line}" for line in text.splitlines())
    return text


def text8(articles: Iterable[Article]) -> str:
    """`text8`: one line of the letters a to z and single spaces, digits spelled out."""
    texts = [block_text(block) for article in articles for block in prose_blocks(article)]
    spelled = re.sub(r"\d", lambda match: _SPELL[match[0]], " ".join(texts).lower())
    return " " + " ".join(re.sub(r"[^a-z]+", " ", spelled).split())
