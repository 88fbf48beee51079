"""Several crawlers at once, and a crawl that is killed, measured on the server's side."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from crawling import states, want
from dask_cluster import dask_cluster
from hostile_server import HostileServer, Request, Send, answer, redirect

from pipeline.crawl import crawlers
from pipeline.crawl.archive import CRAWLERS, WARC, Archive, slot_of
from pipeline.crawl.crawlers import CrawlerJob, Fetched, crawl_all, recover, run_crawler
from pipeline.shared.params.file import load_params
from pipeline.shared.running.progress import Progress
from pipeline.shared.web.canonical import host_of

HOSTS = [f"h{n}.test" for n in range(12)]
_PROCESSES = multiprocessing.get_context("forkserver")


def make_job(
    project: Path, folder: Path, server: HostileServer, *, num_crawlers: int
) -> CrawlerJob:
    params = load_params(project / "params.yaml", "tiny").params
    (folder / CRAWLERS).mkdir(exist_ok=True)
    return CrawlerJob(
        archive=folder,
        params=params.crawl,
        fetching=params.fetching.model_copy(update={"total_timeout_s": 5.0}),
        crawlers=num_crawlers,
        server=("127.0.0.1", server.port),
    )


def fill(job: CrawlerJob, urls: list[str]) -> None:
    """Want these pages, and begin a round for them."""
    archive = Archive(job.archive)
    want(archive, urls)
    archive.begin_round()
    archive.close()


def crawl_job(project: Path, job: CrawlerJob, **changes: object) -> Fetched:
    compute = load_params(project / "params.yaml", "tiny").params.compute
    compute = compute.model_copy(update=changes)
    archive = Archive(job.archive)
    try:
        with Progress("t", total=None, unit="u", log=logging.getLogger("test")) as progress:
            return crawl_all(job, archive, compute=compute, progress=progress)
    finally:
        archive.close()


def test_hosts_are_split_and_redirects_handed_over_to_their_host_s_crawler(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    crawler_of = {host: slot_of(host) % 3 for host in HOSTS}
    assert set(crawler_of.values()) == {0, 1, 2}
    # From host to host around the circle: through other crawlers and back.
    urls = [f"http://{host}/page?{n}" for host in HOSTS for n in range(8)]
    for here, there in zip(HOSTS, HOSTS[1:] + HOSTS[:1], strict=True):
        server.special[here, "/go"] = redirect(f"http://{there}/gone-on")
        server.special[here, "/gone-on"] = answer()
        server.special[here, "/round"] = redirect(f"http://{there}/round")  # without end
        server.special[here, "/wiki"] = redirect("https://en.wikipedia.org/wiki/Clock")
        urls += [f"http://{here}/{path}" for path in ("go", "round", "wiki", "missing")]
    fates = {"go": "fetched", "round": "too_many_redirects", "wiki": "wikipedia",
             "missing": "http_404"}  # fmt: skip
    expected = {url: fates.get(url.rpartition("/")[2], "fetched") for url in urls}
    for num_crawlers in (3, 1):
        folder = tmp_path / str(num_crawlers)
        folder.mkdir()
        job = make_job(project, folder, server, num_crawlers=num_crawlers)
        fill(job, urls)
        fetched = crawl_job(project, job)
        assert states(job.archive) == expected
        assert (fetched.rounds > 1) == (num_crawlers > 1)
        names = {path.name[:9] for path in (job.archive / WARC).iterdir()}
        assert names == {f"crawl-{n:03d}" for n in range(num_crawlers)}
        assert max(server.busiest.values()) == 1, "two crawlers asked a host at once"
        pages = Counter(r.path for r in server.requests if "page?" in r.path)
        assert set(pages.values()) == {len(HOSTS)}
        server.requests.clear()


def test_crawlers_on_a_cluster_s_workers_fetch_every_page(
    server: HostileServer, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = [f"http://{host}/page?{n}" for host in HOSTS for n in range(20)]
    for here, there in zip(HOSTS, HOSTS[1:] + HOSTS[:1], strict=True):
        server.special[here, "/go"] = redirect(f"http://{there}/page")
        urls.append(f"http://{here}/go")
    job = make_job(project, Path(), server, num_crawlers=2)
    fill(job, urls)
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster:
        fetched = crawl_job(project, job, executor="dask", scheduler=cluster.address)
    assert fetched.complete and fetched.rounds > 1
    assert set(states(job.archive).values()) == {"fetched"}
    assert {path.name[:9] for path in (job.archive / WARC).iterdir()} == {"crawl-000", "crawl-001"}
    assert max(server.busiest.values()) == 1


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


def test_what_was_finished_before_a_kill_is_never_asked_for_again(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    urls = [f"http://{host}/page?{n}" for host in HOSTS[:4] for n in range(150)]
    job = make_job(project, tmp_path, server, num_crawlers=1)
    fill(job, urls)
    asked_again = 0
    for kill_at in (60, 200, 400):
        process = _PROCESSES.Process(target=run_crawler, args=(job, 0))
        process.start()
        deadline_s = time.monotonic() + 30
        while len(server.requests) < kill_at:
            assert process.is_alive() and time.monotonic() < deadline_s
            time.sleep(0.001)
        _kill(process)
        before = len(server.requests)
        archive = Archive(job.archive)
        recover(archive)
        archive.begin_round()
        archive.close()
        finished = {url for url, state in states(job.archive).items() if state != "pending"}
        for request in server.requests[:before]:
            asked_again += f"http://{request.host}{request.path}" not in finished
        server.special.update({
            (host_of(url), url.partition(".test")[2]): answer(b"", "410 Gone") for url in finished
        })  # fmt: skip
    crawl_job(project, job)
    assert set(states(job.archive).values()) == {"fetched"}, "a finished link was asked for again"
    asked = Counter(f"http://{r.host}{r.path}" for r in server.requests if "page?" in r.path)
    assert set(asked) == set(urls)
    assert asked.total() - len(urls) <= asked_again


def test_no_page_waits_for_a_connection_on_its_own_time(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    at_work = most_at_work = 0

    async def slow(request: Request, send: Send) -> None:
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        await asyncio.sleep(1.0)
        at_work -= 1
        await send(answer())

    urls = [f"http://{host}/slow" for host in HOSTS[:6]]
    for host in HOSTS:
        server.special[host, "/slow"] = slow
    job = make_job(project, tmp_path, server, num_crawlers=1)
    changes = {"max_connections": 2, "per_host_delay_s": 0.01, "total_timeout_s": 2.5,
               "max_attempts": 1}  # fmt: skip
    job = job._replace(fetching=job.fetching.model_copy(update=changes))
    fill(job, urls)
    crawl_job(project, job)
    assert states(job.archive) == dict.fromkeys(urls, "fetched")
    assert most_at_work == 2


def test_no_page_waits_for_the_lookup_of_other_names_on_its_own_time(
    server: HostileServer, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, *args: object, **more: object) -> list[object]:
        time.sleep(2.0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    urls = [f"http://name{n}.example.org/" for n in range(100)]
    job = make_job(project, tmp_path, server, num_crawlers=1)
    changes = {"max_connections": 100, "total_timeout_s": 3.5, "max_attempts": 1}
    job = job._replace(server=None, fetching=job.fetching.model_copy(update=changes))
    fill(job, urls)
    crawl_job(project, job)
    assert states(job.archive) == dict.fromkeys(urls, "private_address")  # and not a time-out


def test_a_crawler_whose_starter_is_gone_ends_by_itself(
    server: HostileServer, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawlers, "_ALONE_AFTER_S", -1.0)
    job = make_job(project, tmp_path, server, num_crawlers=1)
    job = job._replace(fetching=job.fetching.model_copy(update={"per_host_delay_s": 0.5}))
    fill(job, [f"http://h0.test/page?{n}" for n in range(50)])
    fetched = run_crawler(job, 0)
    assert not fetched.complete and fetched.pages < 5
