"""Which article stands where on the built-in web, and in which role.

Most are pages of their own. The others are there for a stage to find: copies exact and near, pages
that Wikipedia's text gives away, pages kept off by robots.txt, pages reached only by links that
the crawler must leave out, and pages in which a held-out passage was planted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import chance, generator, pick, shuffled
from pipeline.sample_web.copies import near_duplicate, plant, similarity
from pipeline.sample_web.foreign import STORIES
from pipeline.sample_web.oddities import (
    CRAWL_DELAY_HOST,
    DISALLOWED,
    ROBOTS_ERROR_HOST,
    STORIES_DOMAIN,
)
from pipeline.sample_web.pages import PagePart, SitePage
from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocSection

# Of the pages: one in so many plays the role instead of being an original.
_ROLES = {
    "wikipedia": 400,
    "wikipedia_mirror": 120,
    "disallowed": 200,
    "crawl_delay": 1500,
    "robots_error": 800,
    "too_short": 250,
}
_LINK_ROLES = {
    "low_score": 100,
    "over_18": 300,
    "blocked_subreddit": 300,
    "after_cut_off": 300,
}
_ONE_COPY_IN = {"exact_duplicate": 40, "near_duplicate": 33}
_LEAST_COPIED = 2000  # characters: an edit of a shorter page weighs too much
_ENCODINGS = ("iso-8859-1", "windows-1252")
_BLOGS = tuple(
    f"{name}.test"
    for name in (
        *("blog.lighthouse", "blog.copperkettle", "notes.northfield", "weblog.tinsmith"),
        *("www.dailybyte", "www.thecourier", "news.harbour", "magazine.orchard"),
    )
)
_NEWS = frozenset(_BLOGS[4:])


def plan_pages(
    articles: Sequence[Article], passages: Sequence[PagePart], seed: int
) -> list[SitePage]:
    """Every page with an article: each article once, then copies, then foreign pages."""
    order = shuffled(articles, lambda article: article.name, seed, "roles")
    roles = _roles(len(order), len(passages))
    pages: list[SitePage] = []
    waiting = list(passages)
    for article, role in zip(order, roles, strict=True):
        if role == "planted":
            pages.append(_planted(article, waiting.pop(), seed))
        else:
            pages.append(_page(article, role, seed))
    originals = [page for page in pages if page.kind == "original" and not page.link]
    pages = [_encoded(page, seed) for page in pages]
    return [*pages, *_copies(originals, seed), *_foreign(seed)]


def _roles(num_articles: int, num_planted: int) -> list[str]:
    """One role an article, rare ones first; the order of articles is random already."""
    roles = ["planted"] * num_planted
    for name, one_in in (_ROLES | _LINK_ROLES).items():
        roles += [name] * max(1, num_articles // one_in)
    return (roles + ["original"] * num_articles)[:num_articles]


def _page(article: Article, role: str, seed: int) -> SitePage:
    host, template = _place(article, seed)
    path = f"/{_slug(article.name)}.html"
    link = role if role in _LINK_ROLES else ""
    match role:
        case "wikipedia" | "wikipedia_mirror":
            host = "en.wikipedia.test" if role == "wikipedia" else "www.freewiki-mirror.test"
            return SitePage(host, f"/wiki/{_slug(article.name)}", article, role, "wiki")
        case "disallowed":
            return SitePage(host, DISALLOWED + path.lstrip("/"), article, role, template)
        case "crawl_delay":
            return SitePage(CRAWL_DELAY_HOST, path, article, "original", template)
        case "robots_error":
            return SitePage(ROBOTS_ERROR_HOST, path, article, "disallowed", template)
        case "too_short":
            return SitePage(host, path, _shortened(article), role, template)
    return SitePage(host, path, article, "original", template, link=link)


def _place(article: Article, seed: int) -> tuple[str, str]:
    """The host and the template of an article's page."""
    if chance(seed, "blog", article.name) < 0.6:
        host = pick(_BLOGS, seed, "host", article.name)
        return host, "news" if host in _NEWS else "blog"
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
    host, template = _place(article, seed)
    return SitePage(
        host,
        f"/{_slug(article.name)}.html",
        plant(article, passage.text, generator(seed, "plant", article.name)),
        "planted",
        template,
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
    for kind, one_in in _ONE_COPY_IN.items():
        long = [page for page in originals if len(page.article.text) >= _LEAST_COPIED]
        chosen = shuffled(long, lambda page: page.url, seed, kind)
        for page in chosen[: max(1, len(originals) // one_in)]:
            others = [host for host in _BLOGS if host != page.host]
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
                "news" if host in _NEWS else "blog",
                of=page.url,
                similarity=similarity(page.article.text, article.text),
            )


def _foreign(seed: int) -> Iterator[SitePage]:
    """Pages that are not English, written for this web."""
    for language, stories in STORIES.items():
        for title, *paragraphs in stories:
            blocks = [TextBlock("paragraph", text) for text in paragraphs]
            article = Article(f"{language}.{title}", language, title, [DocSection("", "", blocks)])
            host = f"{language}{STORIES_DOMAIN}"
            yield SitePage(
                host, f"/{quote(title)}", article, "non_english",
                pick(("blog", "news"), seed, title), language=language,
            )  # fmt: skip
