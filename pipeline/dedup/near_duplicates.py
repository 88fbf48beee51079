"""Near-duplicates: MinHash finds the candidates, the true Jaccard similarity decides.

Candidates share one of several bands of their MinHash signatures. Bands are chosen narrow, for
recall; the false candidates they bring cost a comparison each and never a document.

Which document stays is decided greedily by rank (the earliest link, then the lowest id): a
document is removed if and only if it is similar enough to one of lower rank that stays. So no two
kept documents are near-duplicates, each removed one is truly similar to the kept one it names
(with union-find, a chain of edits could remove a document that resembles nothing kept), and the
outcome depends neither on shard order nor on the number of workers.

The greedy choice is made in rounds rather than document by document: whoever ranks first among all
that it shares a bucket with stays for sure, and is compared with them in one go.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.dedup.buckets import ReadBand, share_buckets
from pipeline.dedup.shingles import ShingleSets
from pipeline.shared.text.words import Numbers


class NearDuplicates(NamedTuple):
    """The outcome, and what it cost."""

    removed: Numbers
    """Documents that are near-duplicates of one of lower rank that stays, by rank."""
    kept: Numbers
    """For each of them, that one."""
    num_compared: int


def find_near_duplicates(
    read_band: ReadBand,
    num_bands: int,
    order: Numbers,
    sets: ShingleSets,
    *,
    threshold: float,
    num_references: int = 0,
) -> NearDuplicates:
    """Decide which documents are near-duplicates of one that stays.

    Args:
        read_band: gives the keys of a band.
        num_bands: how many there are.
        order: the documents to consider, by rank.
        sets: the shingles of all documents.
        threshold: least Jaccard similarity of near-duplicates.
        num_references: if not 0, so many of the first in `order` stay whatever they resemble, and
            the others are compared with these alone.
    """
    has_members = sets.sizes[order] > 0
    num_references = int(has_members[:num_references].sum())
    order = order[has_members]
    shared = share_buckets(read_band, num_bands, order)
    kept_for = np.full(len(order), -1, np.int64)
    num_compared = 0
    while len((shared := shared.open_ones(num_references)).ranks):
        leaders, followers, is_done = shared.pair_with_leaders(num_references)
        followers, leaders = np.divmod(np.unique(followers * len(order) + leaders), len(order))
        similar, num_tried = _compare(sets, order[followers], order[leaders], threshold)
        num_compared += num_tried
        gone, firsts = np.unique(followers[similar], return_index=True)
        kept_for[gone] = leaders[similar][firsts]
        shared = shared.where(~is_done & (kept_for[shared.ranks] < 0))
    removed = np.flatnonzero(kept_for >= 0)
    return NearDuplicates(order[removed], order[kept_for[removed]], num_compared)


def _compare(
    sets: ShingleSets, left: Numbers, right: Numbers, threshold: float
) -> tuple[npt.NDArray[np.bool_], int]:
    """Whether each pair is similar enough, and how many had to be compared to tell."""
    sizes = np.sort(np.stack([sets.sizes[left], sets.sizes[right]]), axis=0)
    similar = (sizes[0] > 0) & (sizes[0] >= threshold * sizes[1])  # else too different in size
    tried = np.flatnonzero(similar)
    similar[tried] = sets.similarities(left[tried], right[tried]) >= threshold
    return similar, len(tried)
