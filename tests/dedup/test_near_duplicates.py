"""Near-duplicates: recall and precision on pairs of known similarity, and the greedy choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.dedup.minhash import Bands, band_keys, candidate_probability, choose_bands
from pipeline.dedup.near_duplicates import find_near_duplicates
from pipeline.dedup.shingles import Shingles, ShingleSets, distinct_members
from pipeline.shared.text.words import Hashes

THRESHOLD = 0.8


def random_set(generator: np.random.Generator, size: int = 400) -> Hashes:
    return np.unique(generator.integers(0, 2**64, size, np.uint64))


def changed(generator: np.random.Generator, original: Hashes, num_changed: int) -> Hashes:
    """A set that shares all but `num_changed` members: similarity (n - c) / (n + c)."""
    kept = generator.permutation(original)[num_changed:]
    return np.unique(np.concatenate([kept, random_set(generator, num_changed)]))


def jaccard(left: Hashes, right: Hashes) -> float:
    shared = len(set(left.tolist()) & set(right.tolist()))
    return shared / (len(left) + len(right) - shared)


class Found:
    """Which document was removed for which, and what that cost."""

    def __init__(
        self,
        shingles: Sequence[Hashes],
        order: Sequence[int] | None = None,
        *,
        num_references: int = 0,
        seed: int = 1,
    ) -> None:
        bands = choose_bands(128, THRESHOLD)
        made = as_shingles(shingles)
        keys = band_keys(made, num_permutations=128, bands=bands, seed=seed)
        members, counts = distinct_members(made)
        found = find_near_duplicates(
            keys.__getitem__,
            bands.num_bands,
            np.arange(len(shingles)) if order is None else np.array(order),
            ShingleSets([members], [np.cumsum([0, *counts])]),
            threshold=THRESHOLD,
            num_references=num_references,
        )
        self.kept_for = dict(zip(found.removed.tolist(), found.kept.tolist(), strict=True))
        self.num_compared = found.num_compared


def as_shingles(sets: Sequence[Hashes]) -> Shingles:
    return Shingles(
        np.concatenate([np.empty(0, np.uint64), *sets]), np.array([len(own) for own in sets], int)
    )


def find(shingles: Sequence[Hashes], order: Sequence[int] | None = None) -> Found:
    return Found(shingles, order)


def test_recall_is_above_0_98_and_every_removal_is_right() -> None:
    generator = np.random.default_rng(1)
    shingles, expected = [], set()
    for number in range(3_000):  # 2 c / (n + c) from 0 to 0.4: similarity from 1 to 0.6
        original = random_set(generator)
        copy = changed(generator, original, num_changed=number % 100)
        shingles += [original, copy]
        if jaccard(original, copy) >= THRESHOLD:
            expected.add(2 * number + 1)
    found = find(shingles).kept_for
    assert len(expected) > 1_000
    assert len(found.keys() & expected) / len(expected) > 0.98
    assert found.keys() <= expected
    assert all(kept == copy - 1 for copy, kept in found.items())


def test_even_pairs_right_at_the_threshold_are_found() -> None:
    generator = np.random.default_rng(2)
    shingles = []
    for _ in range(1_000):
        original = random_set(generator, 450)
        shingles += [original, changed(generator, original, num_changed=50)]  # 400 / 500
    assert len(find(shingles).kept_for) > 980


@pytest.mark.parametrize(("similarity", "found"), [(79, 0), (81, 1)])
def test_the_threshold_separates(similarity: int, found: int) -> None:
    """Sets of `similarity` shared members and 100 in all."""
    generator = np.random.default_rng(3)
    left = random_set(generator, 100)
    assert len(find([left, left[:similarity]]).kept_for) == found


def test_a_chain_removes_nothing_that_resembles_nothing_kept() -> None:
    """Neighbours are 0.9 alike, next neighbours 0.82, and from the third on below 0.8."""
    generator = np.random.default_rng(4)
    members = random_set(generator, 1_000)
    width, step = 380, 20
    chain = [members[start : start + width] for start in range(0, 200, step)]
    kept_for = find(chain).kept_for
    kept = [number for number in range(len(chain)) if number not in kept_for]
    for number, other in kept_for.items():
        assert jaccard(chain[number], chain[other]) >= THRESHOLD
        assert other in kept
    for place, left in enumerate(kept):
        assert all(jaccard(chain[left], chain[right]) < THRESHOLD for right in kept[place + 1 :])
    assert len(kept) > 1


def test_the_one_of_lowest_rank_stays_wherever_it_lies() -> None:
    generator = np.random.default_rng(5)
    original = random_set(generator)
    family = [changed(generator, original, 10) for _ in range(4)]
    assert find(family, order=[2, 0, 3, 1]).kept_for == {0: 2, 3: 2, 1: 2}


def test_a_document_left_out_of_the_order_plays_no_part() -> None:
    generator = np.random.default_rng(6)
    original = random_set(generator)
    assert find([original, original, original], order=[2, 1]).kept_for == {1: 2}


def test_references_stay_and_the_others_are_compared_with_them_alone() -> None:
    generator = np.random.default_rng(10)
    first, second = random_set(generator), random_set(generator)
    references = [first, changed(generator, first, 20), first]
    others = [changed(generator, first, 20), second, changed(generator, second, 20), first]
    found = Found([*others, *references], order=[4, 5, 6, 0, 1, 2, 3], num_references=3)
    assert found.kept_for == {0: 4, 3: 4}


def test_a_large_family_costs_one_comparison_a_member() -> None:
    generator = np.random.default_rng(7)
    original = random_set(generator)
    family = [changed(generator, original, 5) for _ in range(300)]
    found = find(family)
    assert len(found.kept_for) == 299
    assert found.num_compared == 299


def test_documents_without_words_are_no_duplicates() -> None:
    empty = np.empty(0, np.uint64)
    assert find([empty, empty]).kept_for == {}


def test_no_documents_at_all() -> None:
    assert find([]).kept_for == {}


def test_bands_are_the_widest_with_enough_recall() -> None:
    assert choose_bands(128, 0.8) == Bands(21, 6)
    assert (
        candidate_probability(Bands(21, 6), 0.8) > 0.995 > candidate_probability(Bands(18, 7), 0.8)
    )
    assert choose_bands(4, 0.1) == Bands(4, 1)


def test_pairs_become_candidates_as_often_as_the_formula_says() -> None:
    generator = np.random.default_rng(8)
    bands = Bands(21, 6)
    pairs = []
    for _ in range(1_000):
        original = random_set(generator, 300)
        pairs += [original, changed(generator, original, 100)]  # 200 / 400
    keys = band_keys(as_shingles(pairs), num_permutations=128, bands=bands, seed=1)
    share = (keys[:, 0::2] == keys[:, 1::2]).any(axis=0).mean()
    assert share == pytest.approx(candidate_probability(bands, 0.5), abs=0.05)


def test_another_seed_hashes_otherwise_with_the_same_outcome() -> None:
    generator = np.random.default_rng(9)
    shingles = [random_set(generator) for _ in range(5)]
    bands = choose_bands(128, THRESHOLD)
    first, second = (
        band_keys(as_shingles(shingles), num_permutations=128, bands=bands, seed=seed)
        for seed in (1, 2)
    )
    assert (first != second).all()
