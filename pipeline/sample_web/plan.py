"""Which article stands where on the built-in web, and in which role.

Most are pages of their own. The others are there for a stage to find: copies exact and near, pages
that Wikipedia's text gives away, pages kept off by robots.txt, pages reached only by links that
the crawler must leave out, and pages in which a held-out passage was planted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import chance, generator, pick, shuffled
from pipeline.sample_web.copies import near_duplicate, plant, similarity
from pipeline.sample_web.material import read_data, read_stories
from pipeline.sample_web.oddities import STORIES_DOMAIN
from pipeline.sample_web.pages import PagePart, SitePage
from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocSection

_LEAST_COPIED = 2000  # characters: an edit of a shorter page weighs too much
_ENCODINGS = ("iso-8859-1", "windows-1252")
_PLAN = read_data("plan")
_ROLES: dict[str, dict[str, Any]] = _PLAN["roles"]
_SITES = {host: template for template, hosts in _PLAN["sites"].items() for host in hosts}
"""Hosts that are no documentation -> their template."""


def plan_pages(
    articles: Sequence[Article], passages: Sequence[PagePart], seed: int
) -> list[SitePage]:
    """Every page with an article: each article once, then copies, then foreign pages."""
    order = shuffled(articles, lambda article: article.name, seed, "roles")
    roles = _roles(len(order), len(passages))
    waiting = list(passages)
    pages = [
        _planted(article, waiting.pop(), seed) if role == "planted" else _page(article, role, seed)
        for article, role in zip(order, roles, strict=True)
    ]
    originals = [page for page in pages if page.kind == "original" and not page.link]
    pages = [_encoded(page, seed) for page in pages]
    return [*pages, *_copies(originals, seed), *_foreign(seed)]


def _roles(num_articles: int, num_planted: int) -> list[str]:
    """One role an article, rare ones first; the order of articles is random already."""
    roles = ["planted"] * num_planted
    for name, role in _ROLES.items():
        roles += [name] * max(1, num_articles // role["one_in"])
    return (roles + ["original"] * num_articles)[:num_articles]


def _page(article: Article, name: str, seed: int) -> SitePage:
    role = _ROLES.get(name, {})
    host, template = _place(article, seed)
    return SitePage(
        role.get("host", host),
        role.get("path", "/{slug}.html").format(slug=_slug(article.name)),
        _shortened(article) if name == "too_short" else article,
        role.get("kind", name),
        role.get("template", template),
        link=role.get("link", ""),
    )


def _place(article: Article, seed: int) -> tuple[str, str]:
    """The host and the template of an article's page."""
    if chance(seed, "blog", article.name) < 0.6:
        host = pick(list(_SITES), seed, "host", article.name)
        return host, _SITES[host]
    return f"{article.package}.docs.test", "docs"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-")


def _shortened(article: Article) -> Article:
    """Its first sentences only: fewer words than a document must have."""
    section = article.sections[0]
    block = next((b for b in section.blocks if b.kind != "heading"), section.blocks[0])
    text = " ".join(block.text.split()[:20])
    return replace(article, sections=[section._replace(blocks=[TextBlock("paragraph", text)])])


def _planted(article: Article, passage: PagePart, seed: int) -> SitePage:
    return replace(
        _page(article, "planted", seed),
        article=plant(article, passage.text, generator(seed, "plant", article.name)),
        set=passage.set,
        example=passage.example,
        passage=passage.text,
    )


def _encoded(page: SitePage, seed: int) -> SitePage:
    """The page in an old encoding, now and then, where its text is more than ASCII."""
    text = page.article.text
    if text.isascii() or page.kind != "original" or chance(seed, "encoding", page.url) > 0.2:
        return page
    for encoding in _ENCODINGS:
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            continue
        return replace(page, encoding=encoding)
    return page


def _copies(originals: list[SitePage], seed: int) -> Iterator[SitePage]:
    """Copies on other hosts in other templates."""
    for kind, one_in in _PLAN["one_copy_in"].items():
        long = [page for page in originals if len(page.article.text) >= _LEAST_COPIED]
        chosen = shuffled(long, lambda page: page.url, seed, kind)
        for page in chosen[: max(1, len(originals) // one_in)]:
            others = [host for host in _SITES if host != page.host]
            host = pick(others, seed, kind, page.url)
            article = page.article
            if kind == "near_duplicate":
                random = generator(seed, kind, page.url)
                article = near_duplicate(article, random.uniform(0.86, 0.95), random)
            yield SitePage(
                host,
                f"/{kind.partition('_')[0]}/{_slug(article.name)}.html",
                article,
                kind,
                _SITES[host],
                of=page.url,
                similarity=similarity(page.article.text, article.text),
            )


def _foreign(seed: int) -> Iterator[SitePage]:
    """Pages that are not English, written for this web."""
    for language in _PLAN["stories"]["languages"]:
        host = f"{language}{STORIES_DOMAIN}"
        for title, *paragraphs in read_stories(language):
            blocks = [TextBlock("paragraph", text) for text in paragraphs]
            article = Article(f"{language}.{title}", language, title, [DocSection("", "", blocks)])
            template = pick(("blog", "news"), seed, title)
            path = f"/{quote(title)}"
            yield SitePage(host, path, article, "non_english", template, language=language)
