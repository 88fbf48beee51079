"""The contenders of the crawl benchmark: one fetches all pages and prints the seconds it took.

    python benchmarks/crawl_contenders.py NAME --port PORT --pages NUMBER --folder EMPTY_FOLDER

Each compresses every page's bytes with gzip's usual level and writes them to a file. figure4 runs
the crawl stage's own crawler: address guard, robots.txt, politeness, archive and fsync.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

CONNECTIONS = 32
AGENT = "figure4-benchmark/1.0 (+http://figure4.test/about)"
_PARAMS = Path(__file__).parent.parent / "params.yaml"


def figure4(port: int, pages: int, folder: Path) -> dict[str, Any]:
    """Our crawler; the pages lie on as many hosts as there are connections."""
    from pipeline.crawl.archive import Archive
    from pipeline.crawl.crawlers import CrawlerJob, crawl_all
    from pipeline.shared.formats.links import Link
    from pipeline.shared.params.file import load_params
    from pipeline.shared.running.progress import Progress

    params = load_params(_PARAMS, "tiny").params
    changes = {"max_connections": CONNECTIONS, "total_timeout_s": 60.0, "user_agent": AGENT}
    urls = [f"http://h{n % CONNECTIONS}.test/{n}.html" for n in range(pages)]
    links = [Link(url, "", 3, 0, "") for url in urls]
    archive = Archive(folder)
    archive.begin_list("benchmark")
    archive.want("links", links, lambda state, asked_utc: False)
    job = CrawlerJob(
        archive=folder,
        params=params.crawl,
        fetching=params.fetching.model_copy(update=changes),
        crawlers=1,
        server=("127.0.0.1", port),
    )
    log = logging.getLogger("figure4")
    started_s = time.perf_counter()
    with Progress("fetch", total=pages, unit="pages", log=log) as progress:
        crawl_all(job, archive, compute=params.compute, progress=progress)
    seconds = time.perf_counter() - started_s
    states = Counter(row.state for row in archive.rows(links))
    assert states["fetched"] == pages, states
    return {"seconds": seconds}


def aiohttp(port: int, pages: int, folder: Path) -> dict[str, Any]:
    """A bare loop: as many tasks as connections, nothing but fetch, gzip and write."""
    import aiohttp

    async def run() -> float:
        numbers = iter(range(pages))
        async with aiohttp.ClientSession(headers={"User-Agent": AGENT}) as session:
            with (folder / "pages.gz").open("wb") as file:

                async def work() -> None:
                    for number in numbers:
                        url = f"http://127.0.0.1:{port}/{number}.html"
                        async with session.get(url) as response:
                            assert response.status == 200
                            file.write(gzip.compress(await response.read(), 6))

                started_s = time.perf_counter()
                await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
                return time.perf_counter() - started_s

    return {"seconds": asyncio.run(run())}


def scrapy(port: int, pages: int, folder: Path) -> dict[str, Any]:
    """Scrapy, its own delays, retries and robots.txt off."""
    import scrapy
    from scrapy.crawler import CrawlerProcess

    fetched = 0

    class Pages(scrapy.Spider):  # type: ignore[misc]
        name = "pages"

        async def start(self) -> Any:
            for number in range(pages):
                yield scrapy.Request(f"http://127.0.0.1:{port}/{number}.html", dont_filter=True)

        def parse(self, response: Any) -> None:
            nonlocal fetched
            fetched += response.status == 200
            file.write(gzip.compress(response.body, 6))

    settings = {
        "LOG_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "CONCURRENT_REQUESTS": CONNECTIONS,
        "CONCURRENT_REQUESTS_PER_DOMAIN": CONNECTIONS,
        "DOWNLOAD_DELAY": 0,
        "USER_AGENT": AGENT,
    }
    process = CrawlerProcess(settings)
    with (folder / "pages.gz").open("wb") as file:
        process.crawl(Pages)
        started_s = time.perf_counter()
        process.start()
        seconds = time.perf_counter() - started_s
    assert fetched == pages, fetched
    return {"seconds": seconds}


CONTENDERS = {run.__name__: run for run in (figure4, aiohttp, scrapy)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    found = CONTENDERS[options.name](options.port, options.pages, options.folder)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
