"""The stage as users run it, on what the crawl stage published of a small web."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_site import make_site
from stage_runs import StageRuns, read_bytes

from pipeline.shared.files import read_json
from pipeline.shared.formats.documents import Removed, read_documents
from pipeline.shared.formats.fates import Fate
from pipeline.shared.formats.row_shards import (
    list_row_shards,
    read_row_shard,
    write_row_manifest,
    write_row_shard,
)

pytestmark = pytest.mark.long


class Site:
    """A small web, crawled once, and its extraction."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.fates = make_site(folder)
        inputs = {"links": folder / "links", "site": folder / "site"}
        crawl = StageRuns("crawl", project, folder / "crawl", inputs)
        self.archive = {"archive": str(folder / "archive")}
        crawl.set_params(crawl=self.archive, fetching={"total_timeout_s": 1.5})
        self.crawled = crawl.run()
        # From here on a page could not be fetched, whoever tried.
        for path in (folder / "archive").rglob("archive.sqlite"):
            path.unlink()
        shutil.rmtree(folder / "site")
        self.out = self.runs("whole", workers=2).run()

    def runs(
        self, name: str, *, workers: int = 1, project: Path | None = None, **changes: Any
    ) -> StageRuns:
        """The extraction in a folder of its own; by default with one worker, unlike `out`."""
        inputs = {"pages": self.crawled / "pages"}
        runs = StageRuns("extract", project or self.project, self.folder / name, inputs)
        runs.set_params(crawl=self.archive, extract=changes, compute={"workers": workers})
        return runs


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(project, tmp_path_factory.mktemp("extract"))


def fates(out: Path) -> dict[str, str]:
    """What became of each URL, by the published shards."""
    found = {document.url: "document" for document in read_documents(out / "documents")}
    for removed in read_documents(out / "rejected", kind=Removed):
        assert isinstance(removed, Removed) and removed.url not in found
        found[removed.url] = removed.reason
    return found


def test_every_url_becomes_a_document_or_is_rejected_with_its_reason(site: Site) -> None:
    assert fates(site.out) == site.fates


def test_documents_stand_in_the_order_of_their_links_with_where_they_came_from(site: Site) -> None:
    documents = list(read_documents(site.out / "documents"))
    assert [d.score for d in documents] == sorted(d.score for d in documents)
    one = next(d for d in documents if d.url == "http://site1.test/page/7")
    assert one.title == "Page 7" and one.subreddit == "test" and one.created_utc > 1_500_000_000
    assert one.text.startswith("Number 7: ") and "Home" not in one.text


def test_metrics_count_every_page_by_what_became_of_it(site: Site) -> None:
    counts = read_json(site.out / "metrics.json")["extract"]
    assert counts["by_reason"] == Counter(site.fates.values())
    assert counts["documents"] == Counter(site.fates.values())["document"]


def test_killed_anywhere_the_same_command_gives_the_same_bytes(site: Site) -> None:
    runs = site.runs("killed")
    for number in (0, 1, 2):
        runs.kill_when(lambda work, number=number: len(runs.remembered()) >= number)  # type: ignore[misc]
    assert read_bytes(runs.run()) == read_bytes(site.out)


def test_another_shortest_document_is_a_matter_of_extraction_alone(site: Site) -> None:
    runs = site.runs("shorter")
    runs.run()
    runs.set_params(crawl=site.archive, extract={"min_document_words": 5}, compute={"workers": 1})
    expected = site.fates | {"http://site1.test/short": "document"}
    assert fates(runs.run()) == expected
    runs.set_params(
        crawl=site.archive, extract={"rules_off": ["too_short"]}, compute={"workers": 1}
    )
    assert fates(runs.run()) == expected


def test_an_edited_rule_extracts_again_from_the_same_pages(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(site.project / "pipeline", copy / "pipeline")
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(site.project / name, copy)
    runs = site.runs("edited", project=copy)
    runs.folder.mkdir(exist_ok=True)

    def run() -> dict[str, str]:
        command = runs.command()
        subprocess.run(command, cwd=copy, check=True, capture_output=True, env=_environment(copy))
        return fates(runs.folder / "out")

    assert run() == site.fates
    rules = copy / "pipeline" / "extract" / "rules.py"
    rule = '"too_short": lambda text: len(text.words) < text.min_words'
    edited = rules.read_text().replace(rule, '"too_long": lambda text: len(text.words) > 100')
    assert edited != rules.read_text()
    rules.write_text(edited)
    long = {url for url, fate in site.fates.items() if fate == "document"}
    short = {"http://site1.test/short": "document"}
    assert run() == site.fates | dict.fromkeys(long, "too_long") | short


def _environment(copy: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(copy)}


def test_a_month_more_extracts_its_own_shards_alone(site: Site, tmp_path: Path) -> None:
    all_shards = list_row_shards(site.crawled / "pages")
    shutil.copytree(site.crawled / "pages", tmp_path / "pages")
    write_row_manifest(tmp_path / "pages", all_shards[:1])
    runs = StageRuns("extract", site.project, tmp_path / "run", {"pages": tmp_path / "pages"})
    runs.set_params(crawl=site.archive, compute={"workers": 1})
    runs.run()
    (first,) = runs.remembered()
    made = (first / "note.json").stat().st_mtime_ns
    write_row_manifest(tmp_path / "pages", all_shards)
    out = runs.run()
    assert read_bytes(out) == read_bytes(site.out)
    assert (first / "note.json").stat().st_mtime_ns == made
    assert len(runs.remembered()) == len(all_shards) == 2
    # What no run uses any more goes.
    write_row_manifest(tmp_path / "pages", all_shards[1:])
    runs.run()
    (left,) = runs.remembered()
    assert left != first


def test_a_place_without_a_page_is_one_clear_error(site: Site, tmp_path: Path) -> None:
    shards = list_row_shards(site.crawled / "pages")
    rows = [fate for fate in read_row_shard(shards[0], Fate) if fate.warc]
    moved = rows[0]._replace(offset=rows[0].offset + 1)
    write_row_manifest(
        tmp_path / "pages", [write_row_shard(tmp_path / "pages" / "0.parquet", [moved], Fate)]
    )
    runs = StageRuns("extract", site.project, tmp_path / "run", {"pages": tmp_path / "pages"})
    runs.set_params(crawl=site.archive)
    failed = runs.fail()
    assert f"no record at byte {moved.offset}" in failed.stderr
    assert "bring this file of the archive" in failed.stderr and "Traceback" not in failed.stderr
