"""Articles as HTML pages inside their sites' templates.

Documentation sites are made by docutils where their text is sound reST, as real ones are; other
sites show the plain text in paragraphs, which takes a tenth of the time.
"""

from __future__ import annotations

import copy
import html
import re
from functools import cache
from typing import Any, NamedTuple

import docutils.core
from docutils import nodes
from docutils.parsers import rst
from docutils.parsers.rst import roles
from docutils.readers import standalone
from docutils.writers import html5_polyglot
from markupsafe import Markup

from pipeline.sample_web.articles import Article
from pipeline.sample_web.garbage import seldom_collected
from pipeline.sample_web.material import read_data, render, word_list
from pipeline.sample_web.pages import SitePage
from pipeline.sample_web.prose import TextBlock, plain

_HTML = {
    "heading": "<h2>{text}</h2>",
    "paragraph": "<p>{text}</p>",
    "item": "<ul><li>{text}</li></ul>",
    "definition": "<dl><dt>{term}</dt><dd>{text}</dd></dl>",
    "code": "<pre>{text}</pre>",
}
_REST = {"item": "- {text}", "definition": "{term}\n    {text}"}


class Rendered(NamedTuple):
    """A page as it is served."""

    body: bytes
    used_docutils: bool


class Neighbour(NamedTuple):
    """A page that another one links to in its navigation."""

    title: str
    url: str


@seldom_collected()
def render_pages(jobs: list[tuple[SitePage, list[Neighbour]]]) -> list[Rendered]:
    """The HTML of some pages, in their order."""
    return [render_page(page, neighbours) for page, neighbours in jobs]


def render_page(page: SitePage, neighbours: list[Neighbour]) -> Rendered:
    """One page: its article inside its site's template, in its encoding."""
    body, used_docutils = render_article(page.article, as_rest=page.template == "docs")
    number = sum(page.article.name.encode())  # any number that stays the same
    authors = word_list("authors")
    text = render(
        f"{page.template}.html",
        title=page.article.title,
        body=body,
        site=page.host.removesuffix(".test"),
        url=page.url,
        path=page.path,
        lang=page.language,
        charset=page.encoding,
        neighbours=neighbours,
        author=authors[number % len(authors)],
        date=f"2017-{1 + number % 10:02d}-{1 + number % 28:02d}",
        tag=page.article.package,
        mirror=page.kind == "wikipedia_mirror",
    )
    return Rendered(text.encode(page.encoding, "xmlcharrefreplace"), used_docutils)


@cache
def _settings() -> Any:
    """What docutils makes of its settings, which takes a sixth of its time for a page."""
    for name in word_list("sphinx_roles"):
        roles.register_local_role(name, _reference)
    publisher = docutils.core.Publisher(standalone.Reader(), rst.Parser(), html5_polyglot.Writer())
    return publisher.get_settings(**read_data("docutils"))


def _reference(  # noqa: PLR0917 - docutils decides the arguments
    name: str,
    raw: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: Any = None,
    content: Any = (),
) -> tuple[list[Any], list[Any]]:
    """Sphinx's roles, which docutils does not know: the name as code."""
    return [nodes.literal(raw, plain(f":{name}:`{text}`"))], []


def render_article(article: Article, *, as_rest: bool) -> tuple[Markup, bool]:
    """The article's HTML, and whether docutils made it."""
    blocks = list(article.blocks())
    if as_rest:
        settings = copy.deepcopy(_settings())  # docutils writes into them
        source = "\n\n".join(_to_rest(block) for block in blocks)
        try:
            parts = docutils.core.publish_parts(source, writer="html5", settings=settings)
            return Markup(parts["body"]), True
        except Exception:
            pass  # Not reST but Markdown, or broken: its plain text will do. A SystemMessage says
            # so as a rule, but formulas make docutils fall over its own feet in several ways.
    shown = (
        _HTML[block.kind].format(term=html.escape(block.term), text=html.escape(block.text))
        for block in blocks
    )
    return Markup("\n".join(shown)), False


def _to_rest(block: TextBlock) -> str:
    if block.kind == "heading":
        title = _escape_rest(block.text)
        return f"{title}\n{'-' * (len(title) + 1)}"
    if block.kind == "code":
        return "::\n\n" + "\n".join(f"    {line}" for line in block.text.splitlines())
    text = block.source or _escape_rest(block.text)
    return _REST.get(block.kind, "{text}").format(term=_escape_rest(block.term), text=text)


def _escape_rest(text: str) -> str:
    return re.sub(r"([\\*`|_:.+#-])", r"\\\1", text)
