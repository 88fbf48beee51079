"""The stage as users run it: a process against a real server, killed and started again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crawling import num_committed
from small_site import make_site
from stage_runs import StageRuns
from warcio.archiveiterator import ArchiveIterator

from pipeline.crawl.run import archive_of
from pipeline.shared.files import read_json
from pipeline.shared.formats.fates import FETCHED, Fate
from pipeline.shared.formats.row_shards import list_row_shards, read_row_shard, write_row_manifest
from pipeline.shared.params.file import load_params
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage

pytestmark = pytest.mark.long

FETCHING: dict[str, Any] = {"total_timeout_s": 1.5}  # for the slow page
EXTRACTED = {"too_short", "empty", "not_text"}  # fates that extraction finds


class Site:
    """A small web and the whole crawl of it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        made = make_site(folder)
        self.states = {u: FETCHED if f in EXTRACTED | {"document"} else f for u, f in made.items()}
        self.out = self.runs("whole", workers=2).run()

    def runs(self, name: str, *, workers: int = 1, crawlers: int = 1) -> StageRuns:
        """The same crawl in a folder and an archive of its own."""
        inputs = {"links": self.folder / "links", "site": self.folder / "site"}
        runs = StageRuns("crawl", self.project, self.folder / name, inputs)
        set_params(runs, workers=workers, crawlers=crawlers)
        return runs


def set_params(runs: StageRuns, *, workers: int = 1, crawlers: int = 1) -> None:
    runs.set_params(
        crawl={"archive": str(runs.folder / "archive")},
        fetching=FETCHING,
        compute={"workers": workers, "crawlers": crawlers},
    )


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(project, tmp_path_factory.mktemp("crawl"))


def fates(out: Path) -> dict[str, Fate]:
    """What became of each URL, in order."""
    shards = list_row_shards(out / "pages")
    found = [fate for shard in shards for fate in read_row_shard(shard, Fate)]
    assert len({fate.url for fate in found}) == len(found)
    return {fate.url: fate for fate in found}


def same_fates(out: Path) -> list[tuple[Any, ...]]:
    """All that must be the same; a page's time and place are those of its own fetch."""
    return [fate[:6] for fate in fates(out).values()]


def warc_files(out: Path) -> list[Path]:
    """The archive's files that hold the study's pages."""
    return [out.parent / "archive" / name for name in sorted({f.warc for f in fates(out).values()})
            if name]  # fmt: skip


def responses(out: Path) -> Counter[str]:
    """Number of WARC response records by URL; every record must be whole."""
    urls: Counter[str] = Counter()
    for path in warc_files(out):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                record.content_stream().read()
                if record.rec_type == "response":
                    urls[record.rec_headers.get_header("WARC-Target-URI")] += 1
    return urls


def committed(runs: StageRuns) -> int:
    """Pages with a final state; -1 before there are any."""
    return num_committed(runs.folder / "archive")


def test_every_link_gets_its_state_in_the_order_of_the_links(site: Site) -> None:
    found = fates(site.out)
    assert {url: fate.state for url, fate in found.items()} == site.states
    assert [fate.score for fate in found.values()] == list(range(3, 3 + len(found)))
    assert all(bool(fate.warc) == (fate.state == FETCHED) for fate in found.values())


def test_metrics_count_every_link(site: Site) -> None:
    fetch = read_json(site.out / "metrics.json")["fetch"]
    num = len(site.states)
    assert fetch["by_state"] == Counter(site.states.values())
    assert (fetch["pages"], fetch["had_before"]) == (num, 0)
    assert fetch["attempts"] == num + 3  # 503, the cut and the slow page were tried again
    assert fetch["last_attempt"]["pages_per_s"] > 0


def test_warc_files_are_whole_and_hold_each_fetched_page_once(site: Site) -> None:
    found = responses(site.out)
    pages = [url for url, state in site.states.items() if state == FETCHED]
    moved = "http://site3.test/moved"
    assert all(found[url] >= 1 for url in pages if url != moved)
    assert found["http://site4.test/page/4"] == 2  # its own link, and the one that moved there
    check = subprocess.run(
        [sys.executable, "-m", "warcio.cli", "check", *warc_files(site.out)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert check.returncode == 0, check.stdout + check.stderr


def _committed(number: int) -> Callable[[StageRuns], bool]:
    return lambda runs: committed(runs) >= number


KILLS: list[Callable[[StageRuns], bool]] = [
    lambda runs: any(runs.folder.glob("archive/*/archive.sqlite")),
    _committed(0),
    _committed(1),
    _committed(150),
    lambda runs: any(runs.folder.glob("work/tiny/crawl/*/out/pages/*")),
]


def test_killed_anywhere_again_and_again_the_same_command_gives_the_same_pages(
    site: Site,
) -> None:
    runs = site.runs("killed")
    done = [0]
    for moment in KILLS:
        runs.kill_when(lambda work, moment=moment: moment(runs))  # type: ignore[misc]
        done += [max(0, committed(runs))]
        assert done[-1] >= done[-2], "a link lost its final state"
    out = runs.run()
    assert same_fates(out) == same_fates(site.out)
    assert responses(out) == responses(site.out)  # none fetched into WARC twice, none lost
    assert read_json(out / "metrics.json")["attempts"] > 3


@pytest.mark.long
def test_several_crawlers_killed_and_fewer_after_give_the_same_pages(site: Site) -> None:
    runs = site.runs("several", workers=2, crawlers=3)
    runs.kill_when(lambda work: committed(runs) >= 100)
    set_params(runs, crawlers=2)
    out = runs.run()
    assert same_fates(out) == same_fates(site.out)
    assert responses(out) == responses(site.out)


@pytest.mark.parametrize("crawlers", [1, 2])
def test_sigterm_commits_what_is_fetched_and_exits_143(site: Site, crawlers: int) -> None:
    runs = site.runs(f"terminated-{crawlers}", crawlers=crawlers)
    process = subprocess.Popen(
        runs.command(), cwd=site.project, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline_s = time.monotonic() + 60
    while committed(runs) < 20:
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors and "goes on from here" in errors
    assert not (runs.folder / "out").exists()
    assert same_fates(runs.run()) == same_fates(site.out)


def test_a_full_disk_is_one_clear_error_and_the_crawl_goes_on_after(site: Site) -> None:
    runs = site.runs("full")
    files = (site.folder / "whole" / "archive").rglob("*")
    whole = sum(path.stat().st_size for path in files if path.is_file())
    archive = runs.folder / "archive"
    archive.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={whole // 8}", "tmpfs", str(archive)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    try:
        for size in (whole // 8, whole // 2):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(archive)], check=True)
            failed = runs.fail()
            assert failed.returncode == 1
            assert "Traceback" not in failed.stderr, failed.stderr
            assert "free some space and run the same command again" in failed.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", str(archive)], check=True)
        assert same_fates(runs.run()) == same_fates(site.out)
        assert responses(runs.folder / "out") == responses(site.out)
    finally:
        subprocess.run(["umount", "-l", str(archive)], check=True)


def test_a_crawl_of_the_open_web_needs_a_contact(site: Site) -> None:
    runs = site.runs("nameless")
    runs.set_params(links={"source": "reddit"}, fetching={"user_agent": "bot/1.0"})
    failed = runs.fail()
    assert "fetching.user_agent" in failed.stderr and "must name the crawler" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("source", ["sample_web", "none"])
def test_no_link_to_follow_gives_empty_shards(site: Site, tmp_path: Path, source: str) -> None:
    write_row_manifest(tmp_path / "links", [])
    inputs = {"links": tmp_path / "links", "site": site.folder / "site"}
    runs = StageRuns("crawl", site.project, tmp_path / "run", inputs)
    runs.set_params(
        crawl={"archive": str(tmp_path / "archive")},
        links={"source": source},
        extract={"source": "corpus" if source == "none" else "crawl"},
    )
    out = runs.run()
    assert fates(out) == {}
    assert (tmp_path / "archive").exists() == (source == "sample_web")


def test_another_version_of_the_built_in_web_is_another_web(site: Site, tmp_path: Path) -> None:
    write_row_manifest(tmp_path / "links", [])
    (tmp_path / "site").mkdir()
    for version in ("one", "two"):
        (tmp_path / "site" / "page").write_text(version)
        stage = Stage(
            name="crawl", profile="tiny", size=None, inputs={"site": tmp_path / "site"},
            params=load_params(site.project / "params.yaml", "tiny").params, work=tmp_path,
            staging=tmp_path, fingerprint="", memory=Memory(tmp_path, ""), log=logging.getLogger(),
        )  # fmt: skip
        place = archive_of(stage)
        place.relative_to(Path.cwd() / "archive" / "tiny")
        (tmp_path / "places").mkdir(exist_ok=True)
        (tmp_path / "places" / place.name).touch()
    assert len(list((tmp_path / "places").iterdir())) == 2
