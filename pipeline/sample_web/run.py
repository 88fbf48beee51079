"""The stage: read documentation, hold some out, plan the pages, render and write them."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sample_web.articles import Article, make_articles
from pipeline.sample_web.chance import Thing, chance
from pipeline.sample_web.evaluation.files import choose_planted, make_eval_files
from pipeline.sample_web.garbage import seldom_collected
from pipeline.sample_web.links import write_links
from pipeline.sample_web.manifest import write_manifest
from pipeline.sample_web.oddities import OddPage, make_oddities
from pipeline.sample_web.pages import TRUTH_FILE, TRUTH_SCHEMA, SitePage, Truth
from pipeline.sample_web.plan import plan_pages
from pipeline.sample_web.reading import read_sources
from pipeline.sample_web.rendering import Neighbour, render_pages
from pipeline.sample_web.sources import find_sources, unlike_pinned, versions
from pipeline.shared.files import open_atomic, remove_path
from pipeline.shared.running.executor import map_shards
from pipeline.shared.running.stage import Stage
from pipeline.shared.web.server import SITE_FILE, SITE_SCHEMA

_FILES_A_CHUNK = 60
_PAGES_A_CHUNK = 150
_ARTICLES_OF_PAGES = 0.92  # the rest of max_pages is for copies and oddities
_NEIGHBOURS = 8
_ARTICLES_FILE = "articles.pickle"  # our own, written and read by the same code on one machine
_UNDECLARED = "text/html"  # an old encoding stands in the page only, as on many an old site
_EMPTY = "empty: sample_web.enabled is false in this profile"


@seldom_collected()
def run(stage: Stage) -> dict[str, Any]:
    """Write site/, links/ and eval/; see `python -m pipeline.sample_web --help`."""
    params, seed = stage.params.sample_web, stage.params.seeds.corpus
    site, dumps, asked = (_fresh(stage.staging / name) for name in ("site", "links", "eval"))
    if not params.enabled:
        for folder in (site, dumps, asked):
            write_manifest(folder, statement=_EMPTY)
        return {"enabled": False}
    found = versions()
    for difference in unlike_pinned(found, stage.inputs["constraints"]):
        stage.log.warning("%s: the web will differ from the one of other machines", difference)
    articles, left_out = _read_articles(stage, found)
    held_out = [a for a in articles if chance(seed, "held out", a.key) < params.held_out_fraction]
    hidden = {article.name for article in held_out}
    evaluation = make_eval_files(held_out, articles, seed)
    evaluation.write(asked)
    planted = choose_planted(evaluation.passages, params.planted_fraction, seed)
    pages = plan_pages([a for a in articles if a.name not in hidden], planted, seed)
    titles = {page.url: page.article.title for page in pages}
    rows, truths, num_docutils = _make_rows(stage, pages)
    links, foreign = write_links(dumps, truths, titles, seed)
    write_manifest(dumps)
    _write_table(site / SITE_FILE, SITE_SCHEMA, rows)
    _write_table(site / TRUTH_FILE, TRUTH_SCHEMA, [*truths, *foreign])
    write_manifest(site)
    return {
        "enabled": True,
        "urls_by_kind": _sorted(truth.kind for truth in truths),
        "pages_by_docutils": num_docutils,
        "page_text_bytes": _text_bytes(page.article for page in pages),
        "site_bytes": sum(len(row.body) for row in rows),
        "held_out_articles": len(held_out),
        "held_out_text_bytes": _text_bytes(held_out),
        "articles_by_package": dict(Counter(article.package for article in articles)),
        "links_by_kind": dict(sorted(links.items())),
        "evaluation_examples": dict(sorted(evaluation.examples.items())),
        "planted_by_set": _sorted(passage.set for passage in planted),
        "left_out": left_out,
        "versions": found,
    }


def _sorted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _text_bytes(articles: Iterable[Article]) -> int:
    return sum(len(article.text.encode()) for article in articles)


def _read_articles(stage: Stage, found: dict[str, str]) -> tuple[list[Article], dict[str, int]]:
    """The articles, from an earlier attempt if it read the same versions."""
    saved = stage.work / _ARTICLES_FILE
    if saved.is_file():
        state = pickle.loads(saved.read_bytes())
        if state["versions"] == found:
            return state["articles"], state["left_out"]
        stage.log.warning("installed versions changed since the last attempt; starting afresh")
    params = stage.params.sample_web
    chunks = _chunks(find_sources(), _FILES_A_CHUNK)
    left_out: Counter[str] = Counter()
    with stage.progress("documentation", total=params.max_text_bytes, unit="B") as progress:
        articles = make_articles(
            map_shards(read_sources, chunks, compute=stage.params.compute),
            max_text_bytes=params.max_text_bytes,
            max_articles=int(_ARTICLES_OF_PAGES * params.max_pages),
            left_out=left_out,
            progress=progress,
        )
    state = {"versions": found, "articles": articles, "left_out": dict(sorted(left_out.items()))}
    with open_atomic(saved) as file:
        pickle.dump(state, file)
    return articles, state["left_out"]


def _chunks(items: list[Thing], size: int) -> list[list[Thing]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _make_rows(stage: Stage, pages: Sequence[SitePage]) -> tuple[list[OddPage], list[Truth], int]:
    """Every URL of the web with its answer, the truth about it, and how many docutils made."""
    chunks = _chunks(_with_neighbours(pages), _PAGES_A_CHUNK)
    rows: list[OddPage] = []
    num_docutils = 0
    with stage.progress("pages", total=len(pages), unit="pages") as progress:
        rendered = map_shards(render_pages, chunks, compute=stage.params.compute)
        for chunk, bodies in zip(chunks, rendered, strict=True):
            for (page, _), (body, used_docutils) in zip(chunk, bodies, strict=True):
                kind = "text/html; charset=utf-8" if page.encoding == "utf-8" else _UNDECLARED
                rows.append(OddPage(page.host, page.path, 200, kind, "", body, ""))
                num_docutils += used_docutils
            progress.update(len(chunk))
    truths = [page.truth() for page in pages]
    ordinary = [page for page in pages if page.kind == "original" and not page.link]
    text = escape(" ".join(ordinary[0].article.text.split()))
    hosts = sorted({page.host for page in pages})
    for oddity in make_oddities(hosts, [page.url for page in ordinary], text):
        rows.append(oddity.row)
        truths += [oddity.truth] if oddity.truth else []
    return rows, truths, num_docutils


def _with_neighbours(pages: Sequence[SitePage]) -> list[tuple[SitePage, list[Neighbour]]]:
    """Each page with the pages of its host that its navigation links to: those that follow it."""
    of_host: dict[str, list[Neighbour]] = defaultdict(list)
    for page in pages:
        of_host[page.host].append(Neighbour(page.article.title, page.path))
    jobs = []
    places: Counter[str] = Counter()
    for page in pages:
        others, place = of_host[page.host], places[page.host]
        places[page.host] += 1
        jobs.append((page, [*others[place + 1 :], *others[:place]][:_NEIGHBOURS]))
    return jobs


def _fresh(folder: Path) -> Path:
    """An empty folder: a killed attempt may have left files."""
    remove_path(folder)
    folder.mkdir(parents=True)
    return folder


def _write_table(path: Path, schema: pa.Schema, lines: Iterable[OddPage | Truth]) -> None:
    table = pa.Table.from_pylist([line._asdict() for line in sorted(lines)], schema=schema)
    with open_atomic(path) as file:
        pq.write_table(table, file, compression="zstd")
