"""Reddit submissions in Pushshift's form: newline-delimited JSON, zstd with a long window.

Most lead to the built-in web. The others are what a collector must leave out: too little karma,
self posts, media hosts, Reddit itself, Wikipedia, adult or blocked subreddits, links made after the
cut-off, the same page under another URL, a line that is no JSON.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import zstandard

from pipeline.sample_web.chance import chance, pick
from pipeline.sample_web.material import read_data
from pipeline.sample_web.pages import Truth
from pipeline.shared.files import open_atomic

FILES = ("RS_2017-11.zst", "RS_2017-12.zst")
_WINDOW_LOG = 27  # 128 MiB: Pushshift's dumps need a decoder that allows it, and so do these
_STARTS = tuple(int(dt.datetime(2017, month, 1, tzinfo=dt.UTC).timestamp()) for month in (11, 12))
_AFTER = int(dt.datetime(2018, 1, 3, tzinfo=dt.UTC).timestamp())
_MONTH_S = 30 * 24 * 3600
_REPEATED = 0.12  # of the pages have a second submission


def _data(name: str) -> Any:
    return read_data("links")[name]


def write_links(
    folder: Path, truths: Sequence[Truth], titles: dict[str, str], seed: int
) -> tuple[Counter[str], list[Truth]]:
    """Write both months; returns counts by kind and the truth about URLs off the built-in web."""
    folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    foreign = [
        Truth(url, kind, link=kind) for kind, urls in _data("foreign").items() for url in urls
    ]
    lines: tuple[list[tuple[float, str]], ...] = ([], [])
    for kind, record in _records([*truths, *foreign], titles, seed):
        counts[kind] += 1
        month = int(record["created_utc"] >= _STARTS[1])
        order = record["created_utc"] + chance(seed, record["id"])
        lines[month].append((order, json.dumps(record, ensure_ascii=False)))
    for name, month_lines in zip(FILES, lines, strict=True):
        month_lines.sort()
        _write_dump(folder / name, [line for _, line in month_lines], counts)
    return counts, foreign


def _write_dump(path: Path, lines: list[str], counts: Counter[str]) -> None:
    """A dump with two lines that a broken writer left behind."""
    middle = len(lines) // 2
    broken = [lines[0][: len(lines[0]) // 2], '{"id": "zzzzz", "url": ']
    counts["corrupt_line"] += len(broken)
    content = "\n".join([*lines[:middle], *broken, *lines[middle:]]) + "\n"
    parameters = zstandard.ZstdCompressionParameters.from_level(
        9, window_log=_WINDOW_LOG, enable_ldm=True
    )
    with open_atomic(path) as file:
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        with compressor.stream_writer(file, closefd=False) as writer:
            writer.write(content.encode())


def _records(
    truths: Sequence[Truth], titles: dict[str, str], seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Submissions with what each is: `good`, or the reason to leave it out."""
    number = 40_000_000  # of a submission, in base 36 Reddit's id
    for truth in truths:
        number += 1
        title = titles.get(truth.url, "Look at this")
        kind = truth.link or "good"
        yield kind, _submission(number, truth.url, title, kind, seed)
        if kind == "good" and chance(seed, "again", truth.url) < _REPEATED:
            number += 1
            again = pick(("tracking", "low_score", "fragment"), seed, "how", truth.url)
            other = _other_form(truth.url, again, seed)
            yield f"again_{again}", _submission(number, other, title, again, seed)
    for index in range(30):
        number += 1
        yield "self_post", _submission(number, "", f"A question about part {index}", "self", seed)


def _other_form(url: str, again: str, seed: int) -> str:
    if again == "tracking":
        return f"{url}{'&' if '?' in url else '?'}{pick(_data('tracking'), seed, 'tracking', url)}"
    return f"{url}#comments" if again == "fragment" else url


def _submission(number: int, url: str, title: str, kind: str, seed: int) -> dict[str, Any]:
    name = _id(number)
    random = chance(seed, "score", name)
    subreddit = pick(_data("subreddits"), seed, "subreddit", name)
    score = int(random * 3) if kind == "low_score" else 3 + int(random**6 * 5000)
    created = pick(_STARTS, seed, "month", name) + int(chance(seed, "time", name) * (_MONTH_S - 1))
    if kind == "after_cut_off":
        created = _AFTER + int(random * 3600)
    if kind == "blocked_subreddit":
        subreddit = "gonewild"
    is_self = kind == "self"
    permalink = f"/r/{subreddit}/comments/{name}/{'_'.join(title.lower().split()[:6])}/"
    return {
        "id": name,
        "author": pick(_data("authors"), seed, "author", name),
        "created_utc": created,
        "domain": f"self.{subreddit}" if is_self else urlsplit(url).hostname or "",
        "is_self": is_self,
        "num_comments": int(chance(seed, "comments", name) * 40),
        "over_18": kind == "over_18",
        "permalink": permalink,
        "retrieved_on": created + 3600 * 24,
        "score": score,
        "selftext": "Does anybody know how this works?" if is_self else "",
        "stickied": False,
        "subreddit": subreddit,
        "subreddit_id": f"t5_{_id(2_000_000 + len(subreddit))}",
        "title": title,
        "url": f"https://www.reddit.com{permalink}" if is_self else url,
    }


def _id(number: int) -> str:
    return np.base_repr(number, 36).lower()
