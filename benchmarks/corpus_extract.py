"""Extraction of main text: agreement with known texts, and pages per CPU second.

The pages are shared out over rounds; in a round each extractor reads the same pages, one after the
other in this process, so that all meet the machine in the same state.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

from corpus import versions
from extraction_contenders import OURS, Contender, contenders
from labelled_pages import (
    Agreement,
    LabelledPage,
    agree_by_segments,
    agree_by_shingles,
    read_labelled_pages,
)
from result_table import Row, compare

_ROUNDS = 8
_SETS: list[tuple[str, str, Callable[[dict[str, str]], bool]]] = [
    ("article-extraction-benchmark", "article_body", lambda record: True),
    ("readability's pages", "readability_expected_text", lambda record: True),
    ("trafilatura's pages, English", "with_without_segments",
     lambda record: (record.get("lang") or "").lower().startswith("en")),
    ("trafilatura's pages, others", "with_without_segments",
     lambda record: not (record.get("lang") or "").lower().startswith("en")),
    ("goose3's pages, how they begin", "article_text_prefix", lambda record: True),
]  # fmt: skip
_PACKAGES = ("resiliparse", "trafilatura", "readability-lxml", "newspaper4k", "justext",
             "boilerpy3")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this part takes."""
    parser.add_argument("--pages", type=Path, required=True, metavar="FOLDER",
                        help="labelled pages, as labelled_pages.py describes")  # fmt: skip


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Rows of figure4 beside each peer, and what they mean."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # peers tell of each page they cannot read
    pages = read_labelled_pages(arguments.pages)
    extractors = contenders()
    texts: dict[str, list[str]] = {name: [] for name in extractors}
    seconds: dict[str, list[float]] = {name: [] for name in extractors}
    failures = dict.fromkeys(extractors, 0)
    warm_up = LabelledPage(b"<p>word</p>" * 60, {})
    for number in range(_ROUNDS):
        part = pages[number::_ROUNDS]
        for name, extractor in extractors.items():
            _read(extractor, [warm_up])
            began = time.process_time()
            found = _read(extractor, part)
            seconds[name].append(time.process_time() - began)
            failures[name] += sum(text is None for text in found)
            texts[name] += [text or "" for text in found]
    in_order = [page for number in range(_ROUNDS) for page in pages[number::_ROUNDS]]
    return _rows(in_order, texts, seconds), _notes(pages, failures)


def _read(extractor: Contender, pages: list[LabelledPage]) -> list[str | None]:
    texts: list[str | None] = []
    for page in pages:
        try:
            texts.append(extractor(page.body))
        except Exception:  # counted, and scored as no text: whatever a peer may raise
            texts.append(None)
    return texts


def _rows(
    pages: list[LabelledPage], texts: dict[str, list[str]], seconds: dict[str, list[float]]
) -> list[Row]:
    rows = []
    for title, kind, belongs in _SETS:
        scores = {name: _score(pages, found, kind, belongs) for name, found in texts.items()}
        measures = ["recall"] if kind == "article_text_prefix" else ["f1", "precision", "recall"]
        for measure_name in measures:
            ours = getattr(scores[OURS], measure_name)
            rows += [
                compare(f"{title}: {measure_name}", ours, getattr(score, measure_name), name, "")
                for name, score in scores.items()
                if name != OURS
            ]
    ours_s = seconds[OURS]
    for name in list(texts)[1:]:
        row = compare("speed", len(pages) / sum(ours_s), len(pages) / sum(seconds[name]), name,
                      "pages/CPU s")  # fmt: skip
        ratio = median(peer / own for peer, own in zip(seconds[name], ours_s, strict=True))
        rows.append(Row(**{**vars(row), "ratio": ratio}))
    return rows


def _score(
    pages: list[LabelledPage],
    texts: list[str],
    kind: str,
    belongs: Callable[[dict[str, str]], bool],
) -> Agreement:
    pairs = [
        (page.record, text)
        for page, text in zip(pages, texts, strict=True)
        if page.record["gt_kind"] == kind and belongs(page.record)
    ]
    if kind == "with_without_segments":
        return agree_by_segments(pairs)
    return agree_by_shingles((record["ground_truth"], text) for record, text in pairs)


def _notes(pages: list[LabelledPage], failures: dict[str, int]) -> str:
    failed = ", ".join(f"{name} {number}" for name, number in failures.items() if number)
    return (
        f"{len(pages)} labelled pages, {sum(len(page.body) for page in pages) / 1e6:.0f} MB. "
        f"{versions(*_PACKAGES)}. Pages on which an extractor raised an error (scored as no text): "
        f"{failed or 'none'}.\n\n"
        "F1, precision and recall by 4-gram shingles as the article-extraction-benchmark defines "
        "them, by segments on trafilatura's pages (`benchmarks/labelled_pages.py`). No set is held "
        "out from all choices: the names and phrases of `boilerplate.py` come from the first one, "
        "and the rule for the end of a text and the second extractor were chosen with both halves "
        "of every set in sight. readability's truths are readability's own output, and trafilatura "
        "was developed on its pages. On 93 pages a difference of some thousandths in F1 is noise. "
        "Speed: CPU seconds, one thread; the ratio is the median over "
        f"{_ROUNDS} rounds of the same pages."
    )
