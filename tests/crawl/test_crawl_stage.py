"""The stage as users run it: a process against a real server, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_site import make_site
from stage_runs import StageRuns, read_bytes
from warcio.archiveiterator import ArchiveIterator

from pipeline.documents import Removed, read_documents

CHANGES: dict[str, Any] = {"total_timeout_s": 1.5}  # for the slow page


class Site:
    """A small web and the whole crawl of it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.fates = make_site(folder)
        self.out = self.runs("whole", workers=2).run()

    def runs(self, name: str, *, workers: int = 1, **changes: Any) -> StageRuns:
        """The same crawl in a folder of its own; by default with one worker, unlike `out`."""
        inputs = {"links": self.folder / "links", "site": self.folder / "site"}
        runs = StageRuns("crawl", self.project, self.folder / name, inputs)
        runs.set_params(crawl=CHANGES | changes, compute={"workers": workers})
        return runs


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(project, tmp_path_factory.mktemp("crawl"))


def fates(out: Path) -> dict[str, str]:
    """What became of each URL, by the published shards."""
    found = {document.url: "document" for document in read_documents(out / "documents")}
    for removed in read_documents(out / "rejected", kind=Removed):
        assert isinstance(removed, Removed) and removed.url not in found
        found[removed.url] = removed.reason
    return found


def without_warc(out: Path) -> dict[str, bytes]:
    """All that must be the same byte by byte; WARC records bear their real dates."""
    return {name: data for name, data in read_bytes(out).items() if not name.startswith("warc/")}


def responses(out: Path) -> Counter[str]:
    """Number of WARC response records by URL; every record must be whole."""
    urls: Counter[str] = Counter()
    for path in sorted((out / "warc").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                record.content_stream().read()
                if record.rec_type == "response":
                    urls[record.rec_headers.get_header("WARC-Target-URI")] += 1
    return urls


def committed(work: Path) -> int:
    """Links with a final state, as another process sees them; -1 before there are any links."""
    queries = {
        "frontier.sqlite": "SELECT count(*) FROM links WHERE state != 'pending'",
        "crawlers/*/results.sqlite": "SELECT count(*) FROM results WHERE state != 'moved'",
    }
    counts = [
        _ask(path, query) for pattern, query in queries.items() for path in work.glob(pattern)
    ]
    return sum(counts) if counts and min(counts) >= 0 else -1


def _ask(path: Path, query: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return -1


def test_every_url_becomes_a_document_or_is_rejected_with_its_reason(site: Site) -> None:
    assert fates(site.out) == site.fates


def test_documents_stand_in_the_order_of_their_links_with_where_they_came_from(site: Site) -> None:
    documents = list(read_documents(site.out / "documents"))
    assert [d.score for d in documents] == sorted(d.score for d in documents)
    one = next(d for d in documents if d.url == "http://site1.test/page/7")
    assert one.title == "Page 7" and one.subreddit == "test" and one.created_utc > 1_500_000_000
    assert one.text.startswith("Number 7: ") and "Home" not in one.text


def test_metrics_count_every_link_at_each_step(site: Site) -> None:
    metrics = json.loads((site.out / "metrics.json").read_text())
    num = len(site.fates)
    assert metrics["links"] == {"submissions": num, "kept": num}
    assert sum(metrics["fetch"]["by_state"].values()) == num
    assert metrics["extract"]["by_reason"] == Counter(site.fates.values())
    assert metrics["fetch"]["by_state"]["http_503"] == 1
    assert (
        metrics["fetch"]["attempts"] == num + 3
    )  # 503, the cut and the slow page were tried again
    assert metrics["fetch"]["last_attempt"]["pages_per_s"] > 0


def test_warc_files_are_whole_and_hold_each_fetched_page_once(site: Site) -> None:
    found = responses(site.out)
    pages = [url for url, fate in site.fates.items() if fate in {"document", "too_short"}]
    moved = "http://site3.test/moved"
    assert all(found[url] >= 1 for url in pages if url != moved)
    assert found["http://site4.test/page/4"] == 2  # its own link, and the one that moved there
    check = subprocess.run(
        [sys.executable, "-m", "warcio.cli", "check", *sorted((site.out / "warc").iterdir())],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert check.returncode == 0, check.stdout + check.stderr


def _committed(number: int) -> Callable[[Path], bool]:
    return lambda work: committed(work) >= number


def _extracted(number: int) -> Callable[[Path], bool]:
    return lambda work: len(list(work.glob("extracted/*.json"))) >= number


KILLS: list[Callable[[Path], bool]] = [
    lambda work: (work / "frontier.sqlite").exists(),
    _committed(0),
    _committed(1),
    _committed(150),
    _extracted(1),
]


def test_killed_anywhere_again_and_again_the_same_command_gives_the_same_documents(
    site: Site,
) -> None:
    runs = site.runs("killed")
    done = [0]
    for moment in KILLS:
        runs.kill_when(moment)
        done += [max(0, *map(committed, runs.work_folders()))]
        assert done[-1] >= done[-2], "a link lost its final state"
    out = runs.run()
    assert without_warc(out) == without_warc(site.out)
    assert responses(out) == responses(site.out)  # none fetched into WARC twice, none lost
    assert json.loads((out / "metrics.json").read_text())["attempts"] > 3


def test_several_crawlers_killed_and_fewer_after_give_the_same_documents(site: Site) -> None:
    runs = site.runs("several")
    runs.set_params(crawl=CHANGES, compute={"workers": 2, "crawlers": 3})
    runs.kill_when(_committed(100))
    runs.set_params(crawl=CHANGES, compute={"workers": 1, "crawlers": 2})
    out = runs.run()
    assert without_warc(out) == without_warc(site.out)
    assert responses(out) == responses(site.out)


@pytest.mark.parametrize("crawlers", [1, 2])
def test_sigterm_commits_what_is_fetched_and_exits_143(site: Site, crawlers: int) -> None:
    runs = site.runs(f"terminated-{crawlers}")
    runs.set_params(crawl=CHANGES, compute={"workers": 1, "crawlers": crawlers})
    process = subprocess.Popen(
        runs.command(), cwd=site.project, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline_s = time.monotonic() + 30
    while not any(map(_committed(20), runs.work_folders())):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors and "goes on from here" in errors
    assert not (runs.folder / "out").exists()
    assert without_warc(runs.run()) == without_warc(site.out)  # with one worker instead of two


def test_a_full_disk_is_one_clear_error_and_the_crawl_goes_on_after(site: Site) -> None:
    runs = site.runs("full")
    work = runs.folder / "work"
    work.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(work)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    try:
        for size in ("100k", "400k"):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(work)], check=True)
            failed = runs.fail()
            assert failed.returncode == 1
            assert "Traceback" not in failed.stderr, failed.stderr
            assert "free some space and run the same command again" in failed.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", str(work)], check=True)
        assert without_warc(runs.run()) == without_warc(site.out)
        assert responses(runs.folder / "out") == responses(site.out)
    finally:
        subprocess.run(["umount", "-l", str(work)], check=True)


def test_a_crawl_of_the_open_web_needs_a_contact(site: Site) -> None:
    runs = site.runs("nameless", source="reddit", location=str(site.folder), user_agent="bot/1.0")
    failed = runs.fail()
    assert "crawl.user_agent" in failed.stderr and "must name the crawler" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_truncated_dump_names_the_file_and_leaves_nothing_published(site: Site) -> None:
    links = site.folder / "truncated"
    links.mkdir()
    whole = (site.folder / "links" / "RS_2017-11.zst").read_bytes()
    (links / "RS_2017-11.zst").write_bytes(whole[:-100])
    runs = StageRuns(
        "crawl", site.project, site.folder / "cut", {"links": links, "site": site.folder / "site"}
    )
    runs.set_params()
    failed = runs.fail()
    assert "RS_2017-11.zst: truncated or damaged archive" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (runs.folder / "out").exists()


def test_dumps_without_a_link_to_follow_give_empty_shards(site: Site) -> None:
    runs = site.runs("none", min_score=10**6)
    out = runs.run()
    assert fates(out) == {}
    assert json.loads((out / "metrics.json").read_text())["extract"]["documents"] == 0
