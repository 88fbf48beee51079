"""CNN/Daily Mail's form: articles with highlights.

The highlights are the one-line summaries that open the docstrings; the article is the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.sample_web.articles import Article
from pipeline.sample_web.evaluation.sentences import split_sentences

_HIGHLIGHTS = 3
_LEAST_HIGHLIGHTS = 2
_LEAST_ARTICLE_WORDS = 100
_HIGHLIGHT_WORDS = range(4, 26)


def summaries(articles: Iterable[Article]) -> Iterator[dict[str, Any]]:
    """Lines of `cnn_dailymail_test.jsonl`."""
    for article in articles:
        highlights: list[str] = []
        rest: list[str] = []
        for section in article.sections:
            prose = section.prose
            lead = prose[0].text if prose else ""
            is_summary = (
                len(highlights) < _HIGHLIGHTS
                and len(lead.split()) in _HIGHLIGHT_WORDS
                and len(split_sentences(lead)) == 1
            )
            if is_summary:
                highlights.append(lead)
            rest += [block.running_text for block in prose[is_summary:]]
        text = " ".join(rest)
        if len(highlights) >= _LEAST_HIGHLIGHTS and len(text.split()) >= _LEAST_ARTICLE_WORDS:
            digest = hashlib.sha1(article.name.encode(), usedforsecurity=False).hexdigest()
            yield {"id": digest, "article": text, "highlights": "\n".join(highlights)}
