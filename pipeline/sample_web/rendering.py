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
import jinja2
from docutils import nodes
from docutils.parsers import rst
from docutils.parsers.rst import roles
from docutils.readers import standalone
from docutils.writers import html5_polyglot
from markupsafe import Markup

from pipeline.sample_web.articles import Article
from pipeline.sample_web.garbage import seldom_collected
from pipeline.sample_web.pages import SitePage
from pipeline.sample_web.prose import TextBlock, plain
from pipeline.sample_web.templates import TEMPLATES

_SPHINX_ROLES = (
    *("class", "func", "meth", "mod", "attr", "obj", "exc", "data", "const", "ref", "doc", "term"),
    *("option", "envvar", "keyword", "token", "paramref", "rc", "mpltype", "issue", "ticket"),
    *("py:class", "py:func", "py:meth", "py:mod", "py:attr", "py:obj", "py:exc", "py:data"),
)
_SETTINGS: dict[str, Any] = {
    "halt_level": 2,  # a warning of docutils means that the text is no sound reST
    "report_level": 5,
    "warning_stream": False,
    "doctitle_xform": False,
    "initial_header_level": 2,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "embed_stylesheet": False,
    "syntax_highlight": "none",
    "smart_quotes": False,
    "output_encoding": "unicode",
    "traceback": True,  # an exception is ours to answer
}
_AUTHORS = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia", "Ken", "Margaret")


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
    text = (
        _environment()
        .get_template(page.template)
        .render(
            title=page.article.title,
            body=body,
            site=page.host.removesuffix(".test"),
            url=page.url,
            path=page.path,
            lang=page.language,
            charset=page.encoding,
            neighbours=neighbours,
            author=_AUTHORS[number % len(_AUTHORS)],
            date=f"2017-{1 + number % 10:02d}-{1 + number % 28:02d}",
            tag=page.article.package,
            mirror=page.kind == "wikipedia_mirror",
        )
    )
    return Rendered(text.encode(page.encoding, "xmlcharrefreplace"), used_docutils)


@cache
def _settings() -> Any:
    """What docutils makes of `_SETTINGS`, which takes a sixth of its time for a page."""
    publisher = docutils.core.Publisher(standalone.Reader(), rst.Parser(), html5_polyglot.Writer())
    return publisher.get_settings(**_SETTINGS)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(loader=jinja2.DictLoader(TEMPLATES), autoescape=True)
    for name in _SPHINX_ROLES:
        roles.register_local_role(name, _reference)
    return environment


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
        _environment()
        try:
            source = "\n\n".join(_to_rest(block) for block in blocks)
            settings = copy.deepcopy(_settings())  # docutils writes into them
            parts = docutils.core.publish_parts(source, writer="html5", settings=settings)
            return Markup(parts["body"]), True
        except Exception:
            pass  # Not reST but Markdown, or broken: its plain text will do. A SystemMessage says
            # so as a rule, but formulas make docutils fall over its own feet in several ways.
    return Markup("\n".join(_to_html(block) for block in blocks)), False


def _to_rest(block: TextBlock) -> str:
    text = block.source or _escape_rest(block.text)
    match block.kind:
        case "heading":
            title = _escape_rest(block.text)
            return f"{title}\n{'-' * (len(title) + 1)}"
        case "item":
            return f"- {text}"
        case "definition":
            return f"{_escape_rest(block.term)}\n    {text}"
        case "code":
            return "::\n\n" + "\n".join(f"    {line}" for line in block.text.splitlines())
    return text


def _escape_rest(text: str) -> str:
    return re.sub(r"([\\*`|_:.+#-])", r"\\\1", text)


def _to_html(block: TextBlock) -> str:
    text = html.escape(block.text)
    match block.kind:
        case "heading":
            return f"<h2>{text}</h2>"
        case "item":
            return f"<ul><li>{text}</li></ul>"
        case "definition":
            return f"<dl><dt>{html.escape(block.term)}</dt><dd>{text}</dd></dl>"
        case "code":
            return f"<pre>{text}</pre>"
    return f"<p>{text}</p>"
