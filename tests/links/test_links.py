"""Which submissions give a link, counted rule by rule, from dumps in every form."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json
import logging
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.links.choose import LinkRules, collect_links
from pipeline.links.link_list import LinkList
from pipeline.links.submissions import BadLine, find_dumps, read_submissions
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.running.progress import Progress

LOG = logging.getLogger("test")
RULES = LinkRules(
    3, int(dt.datetime(2018, 1, 1, tzinfo=dt.UTC).timestamp()), frozenset({"gonewild"})
)
GOOD: dict[str, Any] = {
    "url": "http://example.com/a",
    "score": 3,
    "created_utc": RULES.cut_off_utc - 1,
    "over_18": False,
    "is_self": False,
    "subreddit": "programming",
    "domain": "example.com",
}


def dump(folder: Path, *records: dict[str, Any] | str, name: str = "RS_2017-12") -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def collect(
    folder: Path, rules: LinkRules = RULES, *, database: Path | None = None
) -> tuple[Counter[str], list[str]]:
    found = LinkList(database or folder.parent / f"{folder.name}.sqlite")
    try:
        with Progress("links", total=None, unit="links", log=LOG) as progress:
            counts = collect_links([folder], rules, found, progress, LOG)
        assert found.num_links() == counts["kept"]
        return counts, [link.url for link in found.read(1, found.num_links())]
    finally:
        found.close()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, "kept"),
        ({"score": 2}, "low_score"),
        ({"created_utc": RULES.cut_off_utc}, "after_cut_off"),
        ({"created_utc": str(RULES.cut_off_utc - 1)}, "kept"),
        ({"over_18": True}, "over_18"),
        ({"is_self": True}, "self_post"),
        ({"is_self": None, "domain": "self.programming"}, "kept"),
        ({"subreddit": "GoneWild"}, "blocked_subreddit"),
        ({"url": "ftp://example.com/a"}, "unusable_url"),
        ({"url": ""}, "unusable_url"),
        ({"url": "https://np.reddit.com/r/a/comments/1"}, "reddit"),
        ({"url": "http://notreddit.com/a"}, "kept"),
        ({"url": "https://de.m.wikipedia.org/wiki/Uhr"}, "wikipedia"),
        ({"url": "http://www.youtube.com/watch?v=1"}, "media_host"),
        ({"url": "http://example.com/a.JPG?w=100"}, "media_file"),
        ({"url": "http://example.com/jpg"}, "kept"),
        ({"url": "http://example.com/a.html"}, "kept"),
    ],
)
def test_each_rule_decides_at_its_threshold(
    tmp_path: Path, change: dict[str, Any], rule: str
) -> None:
    counts, _ = collect(dump(tmp_path / "dumps", GOOD | change))
    assert counts == {"submissions": 1, rule: 1}


def test_a_submission_without_is_self_is_told_by_its_domain(tmp_path: Path) -> None:
    record = {name: value for name, value in GOOD.items() if name != "is_self"}
    counts, _ = collect(dump(tmp_path / "dumps", record, record | {"domain": "self.programming"}))
    assert counts == {"submissions": 2, "kept": 1, "self_post": 1}


def test_a_page_is_kept_once_however_it_is_spelt_and_its_first_link_stays(tmp_path: Path) -> None:
    forms = ("http://Example.com/a?utm_source=x", "https://example.com/a", "http://example.com/a#b")
    folder = dump(tmp_path / "dumps", *(GOOD | {"url": form} for form in forms))
    dump(folder, GOOD, name="RS_2017-13")
    counts, urls = collect(folder)
    assert counts == {"submissions": 4, "kept": 1, "duplicate_url": 3}
    assert urls == ["http://example.com/a"]


@pytest.mark.parametrize("name", ["gid", "msid", "ref"])
def test_pages_that_a_parameter_tells_apart_stay_two_links(tmp_path: Path, name: str) -> None:
    urls = [f"http://forum.example.org/show.php?{name}={n}&utm_source=x" for n in (1001, 1002)]
    counts, kept = collect(dump(tmp_path / "dumps", *(GOOD | {"url": url} for url in urls)))
    assert counts == {"submissions": 2, "kept": 2}
    assert kept == [url.partition("&")[0] for url in urls]


def test_bad_lines_are_counted_and_their_places_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        *('{"url": "http://exam', "[]", "17", '{"score": "many", "created_utc": 1}', "[" * 100_000),
        *('{"score": 3, "created_utc": 1e999}', '{"score": 1e30, "created_utc": 1}'),
        '{"score": 3, "created_utc": 1, "url": "http://example.com/\\ud83d"}',
    ]
    folder = dump(tmp_path / "dumps", GOOD, *bad, "", GOOD | {"url": "http://b.com/"})
    with caplog.at_level(logging.WARNING, logger="test"):
        counts, _ = collect(folder)
    assert counts == {"submissions": 10, "kept": 2, "corrupt_line": 8}
    assert "RS_2017-12: line 2 left out" in caplog.text


@pytest.mark.parametrize("suffix", [".zst", ".xz", ".bz2", ".gz", ""])
def test_every_compression_gives_the_same_links(tmp_path: Path, suffix: str) -> None:
    text = "".join(
        json.dumps(GOOD | {"url": f"http://example.com/{n}"}) + "\n" for n in range(2000)
    ).encode()
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / f"RS_2017-12{suffix}").write_bytes(_compress(text, suffix))
    counts, urls = collect(folder)
    assert counts == {"submissions": 2000, "kept": 2000}
    assert urls[:2] == ["http://example.com/0", "http://example.com/1"]


@pytest.mark.parametrize("suffix", [".zst", ".xz", ".bz2", ".gz"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_a_truncated_dump_is_one_clear_error(tmp_path: Path, suffix: str, part: float) -> None:
    text = "".join(
        json.dumps(GOOD | {"url": f"http://example.com/{n * n}"}) + "\n" for n in range(2000)
    ).encode()
    folder = tmp_path / "dumps"
    folder.mkdir()
    data = _compress(text, suffix)
    (folder / f"RS_2017-12{suffix}").write_bytes(data[: int(part * len(data))])
    with pytest.raises(CorruptDataError, match=rf"RS_2017-12\{suffix}: truncated.*fetch it again"):
        collect(folder)


@pytest.mark.parametrize("suffix", [".zst", ".xz", ".bz2", ".gz"])
def test_a_damaged_dump_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / f"RS_2017-12{suffix}").write_bytes(b"this is no archive, whatever its name says")
    with pytest.raises(CorruptDataError, match="truncated or damaged"):
        collect(folder)


def test_a_dump_of_several_frames_with_a_long_window_is_read_whole(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    frames = [
        zstandard.ZstdCompressor(compression_params=parameters).compress(
            json.dumps(GOOD | {"url": f"http://example.com/{n}"}).encode() + b"\n"
        )
        for n in range(3)
    ]
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / "RS_2017-12.zst").write_bytes(b"".join(frames))
    assert collect(folder)[0] == {"submissions": 3, "kept": 3}


def test_a_failed_dump_leaves_no_trace_and_the_others_stay_read(tmp_path: Path) -> None:
    folder = dump(tmp_path / "dumps", GOOD, name="RS_2017-11")
    whole = _compress(json.dumps(GOOD | {"url": "http://b.com/"}).encode() + b"\n", ".zst")
    (folder / "RS_2017-12.zst").write_bytes(whole[:-5])
    with pytest.raises(CorruptDataError):
        collect(folder)
    (folder / "RS_2017-11").write_text("not read a second time")
    (folder / "RS_2017-12.zst").write_bytes(whole)
    assert collect(folder)[0] == {"submissions": 2, "kept": 2}


def test_a_folder_without_dumps_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        find_dumps([tmp_path / "nowhere"])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"RS_YYYY-MM\.zst"):
        find_dumps([tmp_path])


@pytest.mark.shared_data
def test_real_dumps_give_links_with_counts_by_rule(shared_data: Path, tmp_path: Path) -> None:
    rules = RULES._replace(blocked_subreddits=frozenset())
    folder = shared_data / "crawl_sample" / "reddit"
    counts, urls = collect(folder, rules, database=tmp_path / "f.sqlite")
    assert counts == {
        "submissions": 80_828,
        "kept": 21_023,
        "media_host": 39_225,
        "self_post": 9_032,
        "low_score": 6_260,
        "media_file": 2_538,
        "reddit": 1_556,
        "over_18": 640,
        "wikipedia": 402,
        "duplicate_url": 141,
        "unusable_url": 11,
    }
    assert len(set(urls)) == len(urls)
    assert counts.total() == 2 * counts["submissions"]  # each has one verdict


def _compress(data: bytes, suffix: str) -> bytes:
    match suffix:
        case ".zst":
            return zstandard.ZstdCompressor().compress(data)
        case ".xz":
            return lzma.compress(data)
        case ".bz2":
            return bz2.compress(data)
        case ".gz":
            return gzip.compress(data, mtime=0)
    return data


def test_a_line_that_is_no_submission_says_what_is_wrong(tmp_path: Path) -> None:
    folder = dump(tmp_path / "dumps", '{"score": 3}')
    (line,) = read_submissions(folder / "RS_2017-12")
    assert isinstance(line, BadLine) and line.number == 1 and "created_utc" in line.problem
