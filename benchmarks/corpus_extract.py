"""Extraction of main text: agreement with known texts, and pages per CPU second.

The pages are shared out over rounds; in a round each extractor reads the same pages, one after the
other in this process, so that all meet the machine in the same state. What to expect on sites that
nobody saw is found by folds over sites (`extraction_folds.py`), in each of which the parameters are
those that are best on the other folds.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from corpus import versions
from extraction_candidates import PARAMETERS, candidates
from extraction_contenders import OURS, Contender, contenders
from extraction_folds import KINDS, NUM_FOLDS, POOLED, Score, Scorer
from labelled_pages import LabelledPage, read_labelled_pages
from result_table import Row, compare

_ROUNDS = 8
_PACKAGES = ("resiliparse", "trafilatura", "lxml", "readability-lxml", "newspaper4k", "justext",
             "boilerpy3")  # fmt: skip
_RECALL_ALONE = list(KINDS.values())[-1]
_YARDSTICKS = ("trafilatura", "trafilatura, fast")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this part takes."""
    parser.add_argument("--pages", type=Path, required=True, metavar="FOLDER",
                        help="labelled pages, as labelled_pages.py describes")  # fmt: skip


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Rows of figure4 beside each peer, and what they mean."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # peers tell of each page they cannot read
    pages = read_labelled_pages(arguments.pages)
    pages = [page for number in range(_ROUNDS) for page in pages[number::_ROUNDS]]
    texts, seconds, failures = _run(pages)
    scorer = Scorer(pages)
    tallies = {name: scorer.tallies(found) for name, found in texts.items()}
    scores = {name: scorer.scores(tally) for name, tally in tallies.items()}
    folds = _cross_validated(scorer, pages, tallies)
    table = _table(scores, {name: len(pages) / sum(spent) for name, spent in seconds.items()})
    notes = f"{_notes(pages, failures)}\n\n{folds}\n\n{table}"
    print(notes)
    return _rows(scores, seconds, len(pages)), notes


def _run(
    pages: list[LabelledPage],
) -> tuple[dict[str, list[str]], dict[str, list[float]], dict[str, int]]:
    """Texts, CPU seconds of each round and failures, by extractor."""
    extractors = contenders()
    texts: dict[str, list[str]] = {name: [] for name in extractors}
    seconds: dict[str, list[float]] = {name: [] for name in extractors}
    failures = dict.fromkeys(extractors, 0)
    warm_up = LabelledPage(b"<p>word</p>" * 60, {})
    size = -(-len(pages) // _ROUNDS)
    for start in range(0, len(pages), size):
        for name, extractor in extractors.items():
            _read(extractor, [warm_up])
            began = time.process_time()
            found = _read(extractor, pages[start : start + size])
            seconds[name].append(time.process_time() - began)
            failures[name] += sum(text is None for text in found)
            texts[name] += [text or "" for text in found]
    return texts, seconds, failures


def _read(extractor: Contender, pages: list[LabelledPage]) -> list[str | None]:
    texts: list[str | None] = []
    for page in pages:
        try:
            texts.append(extractor(page.body))
        except Exception:  # counted, and scored as no text: whatever a peer may raise
            texts.append(None)
    return texts


def _rows(
    scores: dict[str, dict[str, Score]], seconds: dict[str, list[float]], num_pages: int
) -> list[Row]:
    rows = []
    peers = [name for name in scores if name != OURS]
    for title in scores[OURS]:
        for measure_name in ["recall"] if title == _RECALL_ALONE else ["f1", "precision", "recall"]:
            ours = getattr(scores[OURS][title], measure_name)
            rows += [
                compare(f"{title}: {measure_name}", ours,
                        getattr(scores[name][title], measure_name), name, "")
                for name in peers
            ]  # fmt: skip
    ours_s = seconds[OURS]
    for name in peers:
        row = compare("speed", num_pages / sum(ours_s), num_pages / sum(seconds[name]), name,
                      "pages/CPU s")  # fmt: skip
        ratio = median(peer / own for peer, own in zip(seconds[name], ours_s, strict=True))
        rows.append(Row(**{**vars(row), "ratio": ratio}))
    return rows


def _table(scores: dict[str, dict[str, Score]], speeds: dict[str, float]) -> str:
    lines = ["| extractor | set | precision | recall | F1 | 95 % over sites | pages/CPU s |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, of_sets in scores.items():
        for title, score in of_sets.items():
            cells = f"{score.precision:.4f} | {score.recall:.4f} | {score.f1:.4f}"
            interval = f"{score.low:.4f} to {score.high:.4f}"
            if title == _RECALL_ALONE:
                cells, interval = f"- | {score.recall:.4f} | -", "-"
            lines.append(f"| {name} | {title} | {cells} | {interval} | {speeds[name]:.0f} |")
    return "\n".join(lines)


def _cross_validated(
    scorer: Scorer, pages: list[LabelledPage], tallies: dict[str, np.ndarray]
) -> str:
    """The candidates on all pages, and each fold read by the best of the other folds."""
    tried = {name: scorer.tallies(texts) for name, texts in candidates(pages).items()}
    first = next(iter(KINDS.values()))
    lines = [f"| candidate | parameters | F1, {first} | F1, {POOLED} |", "|---|---|---|---|"]
    for name, tally in tried.items():
        score = scorer.scores(tally)
        lines.append(
            f"| {name} | {PARAMETERS[name]} | {score[first].f1:.4f} | {score[POOLED].f1:.4f} |"
        )
    chosen, names = scorer.cross_validate(tried)
    score = scorer.scores(chosen)
    lines.append(
        f"| **each of {NUM_FOLDS} folds by what is best on the others** | | "
        + " | ".join(f"{s.f1:.4f} ({s.low:.4f} to {s.high:.4f})" for s in
                     (score[first], score[POOLED]))
        + " |"
    )  # fmt: skip
    lines += ["", f"Chosen, fold by fold: {'; '.join(names)}.", ""]
    for peer in _YARDSTICKS:
        told = ", ".join(
            "{}: {:+.4f} ({:+.4f} to {:+.4f})".format(
                title, *scorer.difference(chosen, tallies[peer], title)
            )
            for title in (first, POOLED)
        )
        lines.append(f"F1 of the cross-validated choice less that of {peer}: {told}.")
    return "\n".join(lines)


def _notes(pages: list[LabelledPage], failures: dict[str, int]) -> str:
    failed = ", ".join(f"{name} {number}" for name, number in failures.items() if number)
    return (
        f"{len(pages)} labelled pages, {sum(len(page.body) for page in pages) / 1e6:.0f} MB. "
        f"{versions(*_PACKAGES)}. Pages on which an extractor raised an error (scored as no text): "
        f"{failed or 'none'}.\n\n"
        "F1, precision and recall by 4-gram shingles as the article-extraction-benchmark defines "
        "them, by segments on trafilatura's pages (`benchmarks/labelled_pages.py`). Over all sets: "
        "the mean precision of three and the mean recall of four, and F1 of these. Intervals: "
        "resampled sites. readability's truths are readability's own output, and trafilatura "
        "was developed on its pages. Speed: CPU seconds, one thread; the ratio is the median over "
        f"{_ROUNDS} rounds of the same pages."
    )
