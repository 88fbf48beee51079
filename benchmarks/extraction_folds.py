"""What to expect of extraction on sites that nobody saw: folds and resamples of sites.

Pages of one site share their template, so a site (a registered domain) is never in two folds, and
intervals are drawn by resampling sites and not pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from courlan import extract_domain
from labelled_pages import LabelledPage, agree_by_shingles

KINDS = {
    "article_body": "article-extraction-benchmark",
    "readability_expected_text": "readability's pages",
    "with_without_segments": "trafilatura's pages",
    "article_text_prefix": "goose3's pages",
}
"""The sets by their kind of truth; the last one tells how texts begin, and so recall alone."""
POOLED = "all four sets"
NUM_FOLDS = 5
_RESAMPLES, _SEED = 2000, 15


class Score(NamedTuple):
    """Of one set, or of all: precision, recall and F1, and F1's 95 % interval."""

    precision: float
    recall: float
    f1: float
    low: float
    high: float


def site_of(page: LabelledPage) -> str:
    """The registered domain of a page; of one whose address is not known, its own name."""
    url = page.record["url"]
    return str((url and extract_domain(url, fast=True)) or page.record["id"])


def fold_of(site: str) -> int:
    """Which fold a site is in, by its hash."""
    return int(hashlib.sha256(site.encode()).hexdigest(), 16) % NUM_FOLDS


def tally(page: LabelledPage, text: str) -> tuple[float, float, float, float]:
    """What a page adds to precision's numerator and denominator, and to recall's.

    By shingles a page counts once, by segments as often as it has segments.
    """
    record = page.record
    if record["gt_kind"] != "with_without_segments":
        agreed = agree_by_shingles([(record["ground_truth"], text)])
        return agreed.precision, 1.0, agreed.recall, 1.0
    found = " ".join(text.split())
    true, false = (
        sum(" ".join(segment.split()) in found for segment in record.get(kind) or [])
        for kind in ("with", "without")
    )
    return true, true + false, true, len(record.get("with") or [])


class Scorer:
    """Scores texts of the same pages: of each set, and of all with every set counting alike."""

    def __init__(self, pages: Sequence[LabelledPage]) -> None:
        self._pages = pages
        sites = [site_of(page) for page in pages]
        self.sites = sorted(set(sites))
        self.folds = np.array([fold_of(site) for site in self.sites])
        self._site = np.array([self.sites.index(site) for site in sites])
        kinds = list(KINDS)
        self._kind = np.array([kinds.index(page.record["gt_kind"]) for page in pages])
        weights = np.random.default_rng(_SEED).multinomial(
            len(self.sites), np.full(len(self.sites), 1 / len(self.sites)), size=_RESAMPLES
        )
        self._weights = weights.astype(float)

    def tallies(self, texts: Sequence[str]) -> np.ndarray:
        """Sums by site, set and part of `tally`: (sites, sets, 4)."""
        sums = np.zeros((len(self.sites), len(KINDS), 4))
        for page, text, site, kind in zip(self._pages, texts, self._site, self._kind, strict=True):
            sums[site, kind] += tally(page, text)
        return sums

    def scores(self, tallies: np.ndarray) -> dict[str, Score]:
        """By the name of each set, and `POOLED`."""
        whole = _measures(tallies.sum(0)[None])
        drawn = _measures(np.tensordot(self._weights, tallies, 1))
        low, high = np.percentile(drawn[..., 2], [2.5, 97.5], axis=0)
        names = [*KINDS.values(), POOLED]
        return {
            name: Score(*map(float, (*whole[0, n], low[n], high[n])))
            for n, name in enumerate(names)
        }

    def difference(self, one: np.ndarray, other: np.ndarray, name: str) -> tuple[float, ...]:
        """How much more F1 one has than the other on a set, with the 95 % interval of that."""
        n = [*KINDS.values(), POOLED].index(name)
        whole, drawn = (
            _measures(np.tensordot(weights, one, 1))[:, n, 2]
            - _measures(np.tensordot(weights, other, 1))[:, n, 2]
            for weights in (np.ones((1, len(self.sites))), self._weights)
        )
        return float(whole[0]), *map(float, np.percentile(drawn, [2.5, 97.5]))

    def cross_validate(self, candidates: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
        """Tallies in which each fold is read by the candidate that is best on the other folds.

        Returns them and the name of each fold's candidate.
        """
        chosen, names = np.zeros_like(next(iter(candidates.values()))), []
        for fold in range(NUM_FOLDS):
            inside = self.folds == fold
            best = max(candidates, key=lambda name: pooled_f1(candidates[name][~inside]))
            chosen[inside] = candidates[best][inside]
            names.append(best)
        return chosen, names


def pooled_f1(tallies: np.ndarray) -> float:
    """F1 of all sets, every set counting alike."""
    return float(_measures(tallies.sum(0)[None])[0, -1, 2])


def _measures(sums: np.ndarray) -> np.ndarray:
    """From (n, sets, 4) to (n, sets + 1, 3): precision, recall and F1 of each set and of all.

    The last set's precision says nothing and is left out of the pooled one.
    """
    parts = np.maximum(sums, 1e-12)
    precision, recall = parts[..., 0] / parts[..., 1], parts[..., 2] / parts[..., 3]
    precision = np.concatenate([precision, precision[:, :-1].mean(1, keepdims=True)], 1)
    recall = np.concatenate([recall, recall.mean(1, keepdims=True)], 1)
    return np.stack([precision, recall, 2 * precision * recall / (precision + recall)], -1)
