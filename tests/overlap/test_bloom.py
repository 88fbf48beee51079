"""The Bloom filter: never a false no, and false yeses at the rate that it states."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.overlap.bloom import BloomFilter, part_of, random_ngrams, shape_filter


def random_hashes(count: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).integers(0, 2**64, count, np.uint64))


def filled(count: int, capacity: int, bound: float) -> BloomFilter:
    bloom = BloomFilter(shape_filter(capacity, bound))
    bloom.add(random_hashes(count, seed=count))
    return bloom


def test_it_never_forgets_a_key() -> None:
    keys = random_hashes(50_000, seed=1)
    bloom = BloomFilter(shape_filter(50_000, 1e-8))
    bloom.add(keys[::2])
    bloom.add(keys[1::2])
    assert bloom.contains(keys).all()


@pytest.mark.parametrize("capacity", [1, 100, 10_000, 13_000, 300_000, 1_000_000])
def test_full_it_keeps_the_papers_bound(capacity: int) -> None:
    bloom = filled(capacity, capacity, 1e-8)
    assert bloom.shape.num_probes == 27
    assert 0 < bloom.false_positive_rate <= 1e-8


def test_the_paper_needs_38_3_bits_an_ngram() -> None:
    assert 8 * shape_filter(10**9, 1e-8).num_bytes / 10**9 == pytest.approx(38.4, abs=0.1)


@pytest.mark.parametrize("count", [80_000, 200_000])
def test_the_stated_rate_is_the_rate_that_is_seen(count: int) -> None:
    bloom = filled(count, 100_000, 1e-2)
    seen = bloom.contains(random_hashes(500_000, seed=2)).mean()
    assert seen > 1e-3
    assert seen == pytest.approx(bloom.false_positive_rate, rel=0.05)


def test_overfull_it_confesses_it() -> None:
    assert filled(100_000, 1_000, 1e-8).false_positive_rate > 1e-8


def test_each_part_holds_the_keys_of_its_range_and_the_parts_are_the_whole() -> None:
    keys, others = random_hashes(400_000, seed=3), random_hashes(300_000, seed=4)
    shape = shape_filter(150_000, 1e-2, num_parts=3)  # overfull, so that false yeses are seen
    parts, asked = part_of(keys, 3), part_of(others, 3)
    assert (np.diff(parts) >= 0).all() and set(parts) == {0, 1, 2}
    found, rates = [], []
    for part in range(3):
        bloom = BloomFilter(shape, part)
        bloom.add(keys[parts == part])
        assert bloom.contains(keys[parts == part]).all()
        found.append(bloom.contains(others[asked == part]))
        rates.append(bloom.false_positive_rate)
    seen = np.concatenate(found).mean()
    assert seen > 1e-2
    assert seen == pytest.approx(np.mean(rates), rel=0.05)


def test_bits_are_those_that_a_plain_loop_sets() -> None:
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(value: int) -> int:
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    keys = random_hashes(200, seed=5)
    bloom = BloomFilter(shape_filter(100_000, 1e-8))
    bloom.add(keys)
    expected = set()
    for key in keys.tolist():
        block = ((key >> 32) * len(bloom.cells)) >> 32
        for probe in range(27):
            bits = mix((key + (probe // 3 + 1) * golden) & mask) >> (21 * (probe % 3))
            expected.add((block, bits % 2**19))
    unpacked = np.unpackbits(bloom.cells, axis=1, bitorder="little")
    assert len(bloom.cells) > 1
    assert set(zip(*(places.tolist() for places in np.nonzero(unpacked)), strict=True)) == expected


def test_of_a_million_random_strings_it_holds_none() -> None:
    strings = random_ngrams(1_000_000, 8, seed=1)
    assert len(np.unique(strings)) == 1_000_000
    assert not filled(100_000, 100_000, 1e-8).contains(strings).any()


def test_a_bound_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="bound = 2"):
        shape_filter(10, 2)
