"""A crawl of which nothing is left ends at the stage that finds it out, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage_runs import StageRuns

from pipeline.shared.formats.fates import Fate
from pipeline.shared.formats.row_shards import write_row_manifest, write_row_shard

STATES = ["http_404", "unreachable", "http_404"]
FATES = [
    Fate(url=url, original_url=url, score=3, created_utc=1, subreddit="test",
         state=state, asked_utc=1.0, warc="", offset=0, length=0)
    for url, state in zip(("http://a.test/", "http://b.test/", "http://c.test/"), STATES,
                          strict=True)
]  # fmt: skip


@pytest.mark.parametrize(
    ("fates", "message"),
    [
        ([], "none of 0 pages became a document (the crawl had no link)"),
        (FATES, "none of 3 pages became a document (2 http_404, 1 unreachable)"),
    ],
)
def test_a_crawl_without_a_page_that_can_be_read_is_one_clear_error(
    project: Path, tmp_path: Path, fates: list[Fate], message: str
) -> None:
    pages = tmp_path / "pages"
    shards = [write_row_shard(pages / "0.parquet", fates, Fate)] if fates else []
    write_row_manifest(pages, shards)
    runs = StageRuns("extract", project, tmp_path / "run", {"pages": pages})
    runs.set_params(crawl={"archive": str(tmp_path / "archive")}, compute={"workers": 1})
    failed = runs.fail()
    assert f"{pages}: {message}; in params.yaml" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (runs.folder / "out").exists()
