"""The stage: pages that the crawl published, or a ready corpus, to shards of documents."""

from __future__ import annotations

from typing import Any

from pipeline.extract.corpus import read_corpus
from pipeline.extract.crawled import read_crawl
from pipeline.extract.judge import caps_of
from pipeline.shared.running.stage import Stage


def run(stage: Stage) -> dict[str, Any]:
    """Make documents/ and rejected/; returns the counts for metrics.json."""
    caps = caps_of(stage.params)
    read = read_corpus if stage.params.extract.source == "corpus" else read_crawl
    return read(stage, caps)
