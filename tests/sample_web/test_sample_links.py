"""The submission dumps: Pushshift's form, and each record what its kind says."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.sample_web.links import FILES, write_links
from pipeline.sample_web.pages import Truth

TRUTHS = [
    *(Truth(f"http://a.test/{number}", "original") for number in range(300)),
    *(Truth(f"http://b.test/{number}", "original", link="low_score") for number in range(20)),
    Truth("http://c.test/adult", "original", link="over_18"),
    Truth("http://c.test/blocked", "original", link="blocked_subreddit"),
    Truth("http://c.test/late", "original", link="after_cut_off"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    folder = tmp_path_factory.mktemp("links")
    counts, _ = write_links(folder, TRUTHS, {"http://a.test/0": "A title"}, 1)
    return folder, counts


def read(folder: Path) -> tuple[list[dict[str, Any]], int]:
    records, corrupt = [], 0
    for name in FILES:
        reader = zstandard.ZstdDecompressor(max_window_size=2**31)
        with (folder / name).open("rb") as file:
            text = io.TextIOWrapper(reader.stream_reader(file), encoding="utf-8").read()
        for line in text.splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                corrupt += 1
    return records, corrupt


def test_counts_are_those_of_the_files(written: tuple[Path, Counter[str]]) -> None:
    folder, counts = written
    records, corrupt = read(folder)
    assert corrupt == counts["corrupt_line"] == 4
    assert len(records) == counts.total() - corrupt
    assert len({record["id"] for record in records}) == len(records)


def test_each_file_holds_one_month_in_order_of_time(written: tuple[Path, Counter[str]]) -> None:
    records, _ = read(written[0])
    times = [record["created_utc"] for record in records]
    assert times == sorted(times)
    assert times[0] >= 1509494400  # 2017-11-01


def test_records_are_what_their_kind_says(written: tuple[Path, Counter[str]]) -> None:
    by_url = {record["url"]: record for record in read(written[0])[0]}
    assert by_url["http://a.test/0"]["title"] == "A title"
    assert all(by_url[f"http://b.test/{number}"]["score"] < 3 for number in range(20))
    assert by_url["http://c.test/adult"]["over_18"] is True
    assert by_url["http://c.test/blocked"]["subreddit"] == "gonewild"
    assert by_url["http://c.test/late"]["created_utc"] >= 1514764800  # 2018-01-01


def test_every_good_page_has_a_submission_with_enough_karma(
    written: tuple[Path, Counter[str]],
) -> None:
    records, _ = read(written[0])
    best = {record["url"]: record["score"] for record in sorted(records, key=lambda r: r["score"])}
    assert all(best[f"http://a.test/{number}"] >= 3 for number in range(300))


def test_a_decoder_needs_the_long_window_as_for_the_real_dumps(
    written: tuple[Path, Counter[str]],
) -> None:
    header = (written[0] / FILES[0]).read_bytes()[:18]
    assert zstandard.get_frame_parameters(header).window_size == 2**27


@pytest.mark.shared_data
def test_the_fields_are_among_those_of_a_real_dump(
    written: tuple[Path, Counter[str]], shared_data: Path
) -> None:
    path = shared_data / "crawl_sample" / "reddit" / "RS_top2013_sample.ndjson.zst"
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file)
        real = json.loads(io.TextIOWrapper(stream, encoding="utf-8").readline())
    ours = read(written[0])[0][0]
    shared = set(real) & set(ours)
    assert {"id", "url", "domain", "subreddit", "score", "created_utc", "is_self"} <= shared
    assert {key: type(ours[key]) for key in shared} == {key: type(real[key]) for key in shared}
