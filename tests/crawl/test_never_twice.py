"""What was had is not asked for again until a user says so, as a server counts it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import pytest
from counted_crawl import Crawl, urls_of
from hostile_server import answer

from pipeline.crawl.archive import opened
from pipeline.shared.errors import EXIT_RETRY, EXIT_TERMINATED
from pipeline.shared.files import read_json
from pipeline.shared.formats.fates import FETCHED


def test_a_second_month_asks_for_its_new_links_alone_and_fewer_links_for_none(
    crawl: Crawl,
) -> None:
    first, second = urls_of(1), urls_of(2, 20)
    crawl.want(first)
    assert crawl.end() == Counter(first)
    (published,) = crawl.files()
    before = published.read_bytes()
    crawl.want([*first, *second])
    assert crawl.end() == Counter(second)
    assert f"{crawl.archive()}: 20 pages are to be asked for" in crawl.log()
    assert list(crawl.fates()) == [*first, *second]
    assert crawl.responses() == Counter([*first, *second])
    assert published.read_bytes() == before  # what a study holds is never written again
    metrics = read_json(crawl.folder / "out" / "metrics.json")["fetch"]
    assert (metrics["pages"], metrics["had_before"], metrics["attempts"]) == (80, 60, 80)
    crawl.want(second)
    assert crawl.end() == Counter()
    assert list(crawl.fates()) == second
    assert [path.name for path in crawl.files()] == ["crawl-000-00001.warc.gz"]


def _terminate(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == EXIT_TERMINATED


def _kill(process: BaseProcess) -> None:
    process.kill()


@pytest.mark.parametrize("stop", [_terminate, _kill])
def test_a_crawl_stopped_anywhere_goes_on_with_other_connections_and_fetches_nothing_twice(
    crawl: Crawl, stop: Callable[[BaseProcess], None]
) -> None:
    urls = urls_of(1, 400)
    crawl.want(urls)
    finished: set[str] = set()
    for number, connections in ((50, 2), (150, 3)):
        crawl.set_params(
            fetching={"max_connections": connections, "per_host_delay_s": 0.02 * connections}
        )
        now = crawl.stop_after(number, stop)
        assert finished < now and len(now) < len(urls), "a page was lost, or it was too late"
        finished = now
    crawl.set_params(fetching={"max_connections": 4, "user_agent": "other/1.0 (+http://o.test)"})
    asked = crawl.end()
    assert not finished & set(asked)
    assert set(urls) - finished == set(asked)
    assert {fate.state for fate in crawl.fates().values()} == {FETCHED}
    assert crawl.responses() == Counter(urls)  # each once in WARC, none lost


def test_only_what_a_user_names_is_asked_for_again(crawl: Crawl) -> None:
    fetched, missing, failing = (f"http://h.test/{name}" for name in ("page", "missing", "error"))
    gone = "http://gone.test/page"
    urls = [fetched, missing, failing, gone]
    crawl.want(urls)
    crawl.set_params(fetching={"max_attempts": 1})
    assert crawl.end() == Counter(urls)
    assert crawl.end() == Counter(), "the same command asked again"
    crawl.set_params(fetching={"max_attempts": 1}, server_error=0.0)
    assert crawl.end() == Counter([failing])
    crawl.set_params(fetching={"max_attempts": 1}, server_error=1.0, no_page=1.0, done=1.0)
    assert crawl.end() == Counter(), "asked again before its days were over"
    crawl.server.special["h.test", "/page"] = answer(b"<p>Another page</p>")
    crawl.server.special["gone.test", "/page"] = answer(b"", "410 Gone")
    before = crawl.fates()
    crawl.set_params(fetching={"max_attempts": 1}, done=0.0)
    assert crawl.end() == Counter([fetched, gone])
    after = crawl.fates()
    assert (after[fetched].warc, after[fetched].offset) != (before[fetched].warc, 0)
    assert after[fetched].length != before[fetched].length
    assert after[gone][5] == FETCHED and after[gone][7:] == before[gone][7:]  # it stays


def test_two_crawls_of_one_archive_at_once_are_one_clear_error(crawl: Crawl) -> None:
    crawl.want(urls_of(1, 4))
    crawl.end()
    with opened(crawl.archive()):
        crawl.end(EXIT_RETRY)
    log = crawl.log()
    assert f"{crawl.archive()}: another live process" in log and "works on this archive" in log
    assert "Traceback" not in log


def test_an_archive_without_its_list_is_one_clear_error_and_keeps_its_pages(crawl: Crawl) -> None:
    crawl.want(urls_of(1, 4))
    crawl.end()
    (crawl.archive() / "archive.sqlite").unlink()
    crawl.end(1)
    log = crawl.log()
    assert "archive.sqlite: missing" in log and "Traceback" not in log
    assert list((crawl.archive() / "warc").iterdir())
