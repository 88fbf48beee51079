"""Wikipedia, which the paper removed because other data sets are made of it: by host and by marks.

Mirrors keep the line under a Wikipedia title, or credit the article at their foot. The marks count
only there: a page that quotes them in its midst is about Wikipedia, not of it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pipeline.shared.web.hosts import is_wikipedia

MARKS = (
    "from wikipedia, the free encyclopedia",
    "this article uses material from the wikipedia article",
    "this article is licensed under the gnu free documentation license. it uses material from",
    "content from wikipedia is available under",
    'retrieved from "https://en.wikipedia.org',
    'retrieved from "http://en.wikipedia.org',
)
_EDGE_CHARACTERS = 1000


def wikipedia_sign(url: str, text: str) -> str:
    r"""What shows that a document is Wikipedia's: its host or a mark; "" if nothing does.

    >>> wikipedia_sign("https://en.m.wikipedia.org/wiki/Figure", "Text.")
    'en.m.wikipedia.org'
    >>> wikipedia_sign("http://mirror.test/x", "Figure\nFrom Wikipedia, the free encyclopedia\n")
    'from wikipedia, the free encyclopedia'
    >>> wikipedia_sign("https://notwikipedia.org/wikipedia.org", "Text.")
    ''
    >>> wikipedia_sign("http://[wikipedia/", "Text.")
    ''
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # a corpus may bring any string as its URL
        host = ""
    if is_wikipedia(host):
        return host
    edges = f"{text[:_EDGE_CHARACTERS]}\n{text[-_EDGE_CHARACTERS:]}".lower()
    return next((mark for mark in MARKS if mark in edges), "")
