"""Splits: a pure function of document id and seed."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.shared.params.text import TokenizeParams
from pipeline.tokenize.split import SPLITS, in_bounds, split_bounds, split_keys

IDS = [f"document-{number}" for number in range(20_000)]


def params(valid: float, test: float) -> TokenizeParams:
    return TokenizeParams(
        source="trained",
        gpt2_bpe_folder=None,
        vocab_size=2048,
        train_bytes=0,
        encoder="tiktoken",
        valid_fraction=valid,
        test_fraction=test,
    )


def members(split: str, valid: float = 0.05, test: float = 0.05, seed: int = 1) -> set[str]:
    inside = in_bounds(split_keys(IDS, seed=seed), split_bounds(params(valid, test))[split])
    return {id_ for id_, is_in in zip(IDS, inside, strict=True) if is_in}


def test_every_document_is_in_exactly_one_split() -> None:
    splits = [members(split) for split in SPLITS]
    assert sum(map(len, splits)) == len(IDS)
    assert set.union(*splits) == set(IDS)


@pytest.mark.parametrize(("split", "share"), [("train", 0.85), ("valid", 0.05), ("test", 0.1)])
def test_splits_have_their_shares(split: str, share: float) -> None:
    assert len(members(split, valid=0.05, test=0.1)) / len(IDS) == pytest.approx(share, abs=0.01)


def test_the_test_split_stays_when_the_valid_fraction_changes() -> None:
    assert members("test", valid=0.05) == members("test", valid=0.2)


def test_a_larger_test_split_holds_the_smaller_one() -> None:
    assert members("test", test=0.05) < members("test", test=0.1)


def test_no_document_moves_when_others_come_or_go() -> None:
    assert split_keys(IDS[:7], seed=1).tolist() == split_keys(IDS, seed=1)[:7].tolist()


def test_another_seed_gives_another_split() -> None:
    assert members("test", seed=1) != members("test", seed=2)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_fraction_of_nothing_is_empty(split: str) -> None:
    assert members(split, valid=0.0, test=0.0) == set()


def test_the_last_hash_belongs_to_train() -> None:
    keys = np.array([0, 2**64 - 1], np.uint64)
    bounds = split_bounds(params(0.05, 0.05))
    assert in_bounds(keys, bounds["train"]).tolist() == [False, True]
    assert in_bounds(keys, bounds["test"]).tolist() == [True, False]
