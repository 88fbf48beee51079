"""Mapping over shards in processes; killed workers and signals are in test_stage_killed.py."""

from __future__ import annotations

import pytest
from compute_settings import compute

from pipeline.executor import map_shards


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(map_shards(abs, [-3, 2, -1, 0], compute=compute(workers=2))) == [3, 2, 1, 0]


def test_the_error_of_one_item_is_raised_as_it_is() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_shards(int, ["1", "x", "2"], compute=compute(workers=2)))


def test_a_cluster_without_an_address_is_an_error_that_shows_one() -> None:
    with pytest.raises(ValueError, match="tcp://"):
        compute(executor="dask")
