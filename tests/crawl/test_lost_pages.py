"""Pages of the archive that are lost: nothing is fetched unasked, then what is lost and no more."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from counted_crawl import Crawl, urls_of
from crawling import states
from hostile_server import answer
from stage_runs import StageRuns

from pipeline.crawl import lost
from pipeline.extract.warc_response import read_response
from pipeline.shared.formats.fates import FETCHED, Fate

GONE = "http://gone.test/page"
"""A page that was had, and that its host no longer has."""
FIRST = [*urls_of(1, 10), GONE]

Damage = Callable[[Path, Fate], None]


def missing(path: Path, page: Fate) -> None:
    path.unlink()


def cut_off(path: Path, page: Fate) -> None:
    os.truncate(path, page.offset + page.length // 2)


def damaged(path: Path, page: Fate) -> None:
    data = bytearray(path.read_bytes())
    data[page.offset + page.length // 2] ^= 0xFF
    path.write_bytes(data)


def extract(crawl: Crawl, project: Path) -> StageRuns:
    """The next stage, on what the crawl published."""
    pages = {"pages": crawl.folder / "out" / "pages"}
    runs = StageRuns("extract", project, crawl.folder / "extracted", pages)
    runs.set_params(crawl={"archive": str(crawl.folder / "archive")}, compute={"workers": 1})
    return runs


def run_lost(crawl: Crawl, *options: str) -> int:
    return lost.main([str(crawl.archive()), *options])


def crawl_two_months(crawl: Crawl) -> Path:
    """Crawl one month, then another one; returns the first month's WARC file."""
    crawl.want(FIRST)
    crawl.end()
    (path,) = crawl.files()
    crawl.want([*FIRST, *urls_of(2, 10)])
    crawl.end()
    assert len(crawl.files()) == 2
    crawl.server.special["gone.test", "/page"] = answer(b"", "410 Gone")
    return path


@pytest.mark.parametrize("damage", [missing, cut_off, damaged])
def test_what_is_lost_is_fetched_anew_once_a_user_says_so_and_nothing_else(
    crawl: Crawl, project: Path, capsys: pytest.CaptureFixture[str], damage: Damage
) -> None:
    path = crawl_two_months(crawl)
    before, states_before = crawl.fates(), states(crawl.archive())
    at = before[GONE].offset
    lost_pages: dict[Damage, set[str]] = {
        missing: set(FIRST),
        cut_off: {url for url in FIRST if before[url].offset >= at},
        damaged: {GONE},
    }
    expected = lost_pages[damage]
    damage(path, before[GONE])

    # Nothing is asked for; who stumbles over the loss says where the remedy stands.
    assert crawl.end(0 if damage is damaged else 1) == Counter()
    said = extract(crawl, project).fail().stderr if damage is damaged else crawl.log()
    assert f"{path}: " in said and "docs/archive.md" in said and "Traceback" not in said
    assert run_lost(crawl) == 1
    counted = f"{len(expected)} of {len(FIRST)} pages cannot be read"
    assert f"{path}: " in (told := capsys.readouterr().out) and counted in told
    assert states(crawl.archive()) == states_before

    assert run_lost(crawl, "--fetch-anew") == 0
    assert f"given up, pages: {len(expected)}, in WARC files: 1;" in capsys.readouterr().out
    assert crawl.end() == Counter(expected)
    after = crawl.fates()
    assert {url for url, fate in after.items() if fate.state != FETCHED} == {GONE}
    assert after[GONE].state == "http_410"
    for url in set(before) - expected:
        assert after[url] == before[url]
    for url in set(after) - {GONE}:
        page = after[url]
        place = (page.offset, page.length)
        assert read_response(crawl.folder / "archive" / page.warc, *place).url == url
    if damage is damaged:
        extract(crawl, project).run()
    assert run_lost(crawl) == 0


def test_a_file_that_is_put_back_after_all_is_left_as_it_is(crawl: Crawl) -> None:
    path = crawl_two_months(crawl)
    before, data = crawl.fates(), path.read_bytes()
    path.unlink()
    assert run_lost(crawl, "--fetch-anew") == 0
    crawl.end()
    path.write_bytes(data)
    crawl.want([*FIRST, *urls_of(3, 10)])
    assert crawl.end() == Counter(urls_of(3, 10))
    assert path.read_bytes() == data
    place = before[FIRST[0]]  # an older table of a study may still name it
    assert read_response(path, place.offset, place.length).url == FIRST[0]


def test_pages_of_an_unfinished_crawl_that_are_lost_are_fetched_by_the_same_crawl(
    crawl: Crawl,
) -> None:
    urls = urls_of(1, 400)
    crawl.want(urls)
    crawl.set_params(fetching={"max_connections": 2, "per_host_delay_s": 0.04})
    crawl.leave_after(50, BaseProcess.kill)
    for path in (crawl.archive() / "warc").iterdir():
        path.unlink()
    assert "pending" in states(crawl.archive()).values()
    assert run_lost(crawl, "--fetch-anew") == 0
    crawl.set_params()
    assert crawl.end() == Counter(urls)
    assert crawl.responses() == Counter(urls)


def test_a_folder_that_is_no_archive_is_one_clear_error_and_gets_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lost.main([str(tmp_path)]) == 1
    assert "no archive.sqlite there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
