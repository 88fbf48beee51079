"""What a host asks for is kept to, measured on its side."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from crawling import PATIENCE_S, fetch, fetch_all, fetch_one, open_fetcher
from hostile_server import HostileServer, answer, drip, redirect, silence

from pipeline.crawl import robots as robots_module
from pipeline.crawl.exchange import Answer
from pipeline.crawl.politeness import retry_after_s

RULES = b"User-agent: *\nDisallow: /private/\n"


def robots(body: bytes, status: str = "200 OK") -> bytes:
    return answer(body, status, kind="text/plain")


def set_robots(server: HostileServer, found: object) -> None:
    server.special["host.test", "/robots.txt"] = found  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", ""),
        ("403 Forbidden", ""),
        ("401 Unauthorized", ""),
        ("410 Gone", ""),
        ("500 Internal Server Error", "robots_unreachable"),
        ("503 Service Unavailable", "robots_unreachable"),
    ],
)
def test_a_status_of_robots_txt_means_what_rfc_9309_says(
    server: HostileServer, status: str, reason: str
) -> None:
    set_robots(server, robots(b"User-agent: *\nDisallow: /", status))
    found = fetch(server, "http://host.test/page")
    assert (found if reason else "") == reason
    assert len(server.asked("host.test", "/page")) == (0 if reason else 1)


@pytest.mark.parametrize("behaviour", [silence, drip])
def test_a_robots_txt_that_does_not_come_forbids_everything(
    server: HostileServer, behaviour: object
) -> None:
    set_robots(server, behaviour)
    assert fetch(server, "http://host.test/page") == "robots_unreachable"
    assert not server.asked("host.test", "/page")


def test_rules_for_us_go_before_rules_for_all(server: HostileServer) -> None:
    set_robots(
        server, robots(b"User-agent: *\nDisallow: /\n\nUser-agent: TestBot\nDisallow: /private/\n")
    )
    page, private = fetch_all(server, ["http://host.test/page", "http://host.test/private/page"])
    assert isinstance(page, Answer)
    assert private == "robots_disallowed"


def test_a_redirect_does_not_go_around_the_rules(server: HostileServer) -> None:
    set_robots(server, robots(RULES))
    server.special["host.test", "/way-in"] = redirect("/private/page")
    assert fetch(server, "http://host.test/way-in") == "robots_disallowed"
    assert not server.asked("host.test", "/private/page")


def test_robots_txt_is_asked_for_once_even_by_many_at_once(server: HostileServer) -> None:
    set_robots(server, robots(RULES))
    fetch_all(server, [f"http://host.test/page?{n}" for n in range(10)], at_once=True)
    assert len(server.asked("host.test", "/robots.txt")) == 1


def test_long_rules_are_read_while_slow_dns_has_all_threads(server: HostileServer) -> None:
    set_robots(server, robots(RULES + b"# filler line of text\n" * 5000))
    answered = threading.Event()

    async def run() -> Answer | str:
        lookups = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(lookups)
        lookups.submit(answered.wait)
        try:
            async with open_fetcher(server) as fetcher, asyncio.timeout(PATIENCE_S):
                return await fetch_one(fetcher, "http://host.test/private/page")
        finally:
            answered.set()

    assert asyncio.run(run()) == "robots_disallowed"


def test_rules_beyond_500_kib_do_not_count(server: HostileServer) -> None:
    filler = b"# filler line of text\n" * (500 * 1024 // 22)
    set_robots(server, robots(b"User-agent: *\n" + filler + b"\nDisallow: /page\n" + filler))
    assert isinstance(fetch(server, "http://host.test/page"), Answer)


def test_half_a_rule_at_the_500_kib_cut_does_not_count(server: HostileServer) -> None:
    head = b"User-agent: *\n#" + b"x" * (500 * 1024 - len(b"User-agent: *\n#\nDisallow: /")) + b"\n"
    set_robots(server, robots(head + b"Disallow: /elsewhere\n" * 100))
    assert isinstance(fetch(server, "http://host.test/page"), Answer)


def test_five_redirects_lead_to_rules_and_six_to_none(server: HostileServer) -> None:
    for step in range(6):
        server.special["host.test", f"/rules/{step}"] = redirect(f"/rules/{step + 1}")
    server.special["host.test", "/rules/5"] = robots(b"User-agent: *\nDisallow: /\n")
    set_robots(server, redirect("/rules/1"))
    assert fetch(server, "http://host.test/page") == "robots_disallowed"
    set_robots(server, redirect("/rules/0"))
    assert isinstance(fetch(server, "http://host.test/page"), Answer)


def test_rules_are_asked_for_again_after_a_day(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert robots_module._KEPT_S == 24 * 3600
    monkeypatch.setattr(robots_module, "_KEPT_S", 0.2)
    set_robots(server, [robots(b""), robots(RULES)])
    urls = ["http://host.test/page", "http://host.test/", "http://host.test/private/page"]
    first, _, last = fetch_all(server, urls, delay_s=0.15)
    assert isinstance(first, Answer)
    assert last == "robots_disallowed"
    assert len(server.asked("host.test", "/robots.txt")) == 2


def test_a_bomb_as_robots_txt_is_cut(server: HostileServer) -> None:
    server.special["host.test", "/robots.txt"] = redirect("http://other.test/bomb-gzip")
    assert isinstance(fetch(server, "http://host.test/page"), Answer)


def test_one_connection_and_a_pause_between_requests_to_a_host(server: HostileServer) -> None:
    urls = [f"http://host.test/page?{n}" for n in range(4)]
    fetch_all(server, urls, at_once=True, delay_s=0.15)
    times_s = [request.began_s for request in server.asked("host.test")]
    assert len(times_s) == 5  # robots.txt, too
    assert min(later - earlier for earlier, later in pairwise(times_s)) >= 0.14
    assert server.busiest["host.test"] == 1


def test_hosts_do_not_wait_for_one_another(server: HostileServer) -> None:
    began_s = time.monotonic()
    urls = [f"http://host{n}.test/page" for n in range(8)]
    fetch_all(server, urls, at_once=True, delay_s=1.0)
    assert time.monotonic() - began_s < 6  # one after another: 8 s


@pytest.mark.parametrize(("asked_s", "cap_s", "kept_s"), [(0.3, 5.0, 0.3), (60.0, 0.3, 0.3)])
def test_crawl_delay_is_kept_to_up_to_the_cap(
    server: HostileServer, asked_s: float, cap_s: float, kept_s: float
) -> None:
    set_robots(server, robots(f"User-agent: *\nCrawl-delay: {asked_s}\n".encode()))
    fetch_all(server, ["http://host.test/page", "http://host.test/"], max_wait_s=cap_s)
    first, second = (request.began_s for request in server.asked("host.test")[1:])
    assert kept_s <= second - first + 0.01 < kept_s + 0.4


@pytest.mark.parametrize("retry_after", ["3600", "Fri, 01 Jan 2100 08:00:00 GMT"])
def test_retry_after_holds_the_whole_host_up_to_the_cap(
    server: HostileServer, retry_after: str
) -> None:
    busy_answer = answer(b"", "429 Too Many Requests", Retry_After=retry_after)
    server.special["host.test", "/busy"] = busy_answer
    first, second = fetch_all(
        server, ["http://host.test/busy", "http://host.test/page"], max_wait_s=0.5
    )
    assert first == "http_429"
    assert isinstance(second, Answer)
    _, busy, page = server.asked("host.test")
    assert 0.49 <= page.began_s - busy.began_s < 1.0


def test_retry_after_is_read_in_both_forms_and_nonsense_ignored() -> None:
    now = dt.datetime(2017, 12, 1, 8, 0, 0, tzinfo=dt.UTC)
    later = email.utils.format_datetime(now + dt.timedelta(seconds=90), usegmt=True)
    assert retry_after_s("90", now) == 90.0
    assert retry_after_s(later, now) == 90.0
    assert retry_after_s("Fri, 01 Dec 2017 07:00:00 GMT", now) == 0.0
    for nonsense in ("", "soon", "-5", "1e9", "99999999999999999999 years", "²"):
        assert retry_after_s(nonsense, now) is None
