"""How long a passage samples and real completions copy from the training text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pipeline.overlap.spans import Spans, keep_longest
from pipeline.overlap.texts import Completion
from pipeline.overlap.training_side import TrainingShard

COLUMNS = ["kind", "size", "id", "words", "characters", "document", "url", "span"]


def copied_spans(texts: Sequence[Completion], shards: Sequence[TrainingShard]) -> pd.DataFrame:
    """The longest span of each text that one training document holds too.

    Columns: kind (real, sample), size (empty for real), id (of the test document), words and
    characters of the span, document and url it is in, and the span as normalised words. The cells
    after id are empty where the longest span has fewer words than an n-gram.
    """
    longest, ids, urls = _join(shards)
    found = {
        text: (words, start, ids[document], urls[document])
        for text, words, start, document in zip(*(c.tolist() for c in longest), strict=True)
    }
    rows = [_row(text, found.get(number)) for number, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"words": "Int64", "characters": "Int64"})


def _join(shards: Sequence[TrainingShard]) -> tuple[Spans, list[str], list[str]]:
    """The longest span over all shards, and ids and URLs of the documents by number."""
    spans: list[Spans] = []
    ids: list[str] = []
    urls: list[str] = []
    for shard in shards:
        own = Spans(*np.load(shard.spans))
        spans.append(own._replace(document=own.document + len(ids)))
        names = pq.read_table(shard.ids)
        ids += names["id"].to_pylist()
        urls += names["url"].to_pylist()
    return keep_longest(spans), ids, urls


def _row(text: Completion, found: tuple[int, int, str, str] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": text.kind, "size": text.size, "id": text.id}
    if found is None:
        return row
    words, start, document, url = found
    span = " ".join(text.words[start : start + words])
    characters = len(span)
    return row | {
        "words": words,
        "characters": characters,
        "document": document,
        "url": url,
        "span": span,
    }


def summarise_spans(spans: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """By kind and size: texts, the percentage with any span, quantiles and the longest, in words.

    A quantile that falls among the texts without a span is None: fewer words than an n-gram.
    """
    summary: dict[str, dict[str, float | int | None]] = {}
    for (kind, size), group in spans.groupby(["kind", "size"], sort=False):
        words = group["words"].fillna(0).to_numpy(dtype=np.int64)
        median, high = np.percentile(words, [50, 90], method="inverted_cdf")
        summary["_".join(part for part in (str(kind), str(size)) if part)] = {
            "texts": len(words),
            "with_span_percent": round(100 * float((words > 0).mean()), 4),
            "median_words": int(median) or None,
            "percentile_90_words": int(high) or None,
            "longest_words": int(words.max()) or None,
        }
    return summary
