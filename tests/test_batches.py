"""The data order: every token once an epoch, the same for any number of devices."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.batches import (
    BatchLayout,
    DataOrder,
    MicroBatches,
    documents_of_step,
    held_out_windows,
    plan_batches,
)
from pipeline.errors import UserError
from pipeline.token_shards import TokenDocument, TokenSplit, open_split, write_token_shards


@pytest.fixture
def split(tmp_path: Path) -> TokenSplit:
    """1,003 tokens that count up, in documents of 59."""
    tokens = np.arange(1_003, dtype=np.uint16)
    documents = [
        TokenDocument(f"d{start // 59}", tokens[start : start + 59])
        for start in range(0, 1_003, 59)
    ]
    write_token_shards(tmp_path, documents, tokenizer_sha256="0")
    return open_split(tmp_path)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_an_epoch_predicts_each_token_once_but_for_two_contexts(
    split: TokenSplit, epoch: int
) -> None:
    order = DataOrder(split, 10, seed=3)
    first = epoch * order.sequences_per_epoch
    counts = Counter(
        int(token)
        for number in range(first, first + order.sequences_per_epoch)
        for token in order.tokens(number)[1:]
    )
    assert set(counts.values()) == {1}
    assert len(counts) >= 1_003 - 2 * 10


def test_epochs_differ_in_order_and_offset_and_seeds_too(split: TokenSplit) -> None:
    def starts(seed: int, epoch: int) -> list[int]:
        order = DataOrder(split, 10, seed)
        size = order.sequences_per_epoch
        return [order.start_of(epoch * size + place) for place in range(size)]

    assert starts(1, 0) == starts(1, 0)
    assert starts(1, 0) != starts(1, 1)
    assert starts(1, 0) != starts(2, 0)
    assert len({starts(1, epoch)[0] % 10 for epoch in range(30)}) > 5
    assert starts(1, 0) != sorted(starts(1, 0))


def test_asking_backwards_gives_the_same_sequences(split: TokenSplit) -> None:
    forwards, backwards = DataOrder(split, 10, 1), DataOrder(split, 10, 1)
    numbers = range(0, 400, 7)
    there = {number: forwards.start_of(number) for number in numbers}
    assert {number: backwards.start_of(number) for number in reversed(numbers)} == there


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_any_number_of_devices_reads_the_same_batches(split: TokenSplit, num_ranks: int) -> None:
    layout = plan_batches(160, 10, 3, num_ranks)
    order = DataOrder(split, 10, 1)
    for step in (0, 9):
        seen = sorted(
            int(row[0])
            for rank in range(num_ranks)
            for micro in range(layout.num_micro_batches)
            for row in MicroBatches(order, layout, first_step=step, num_steps=20, rank=rank)[micro]
        )
        assert seen == sorted(order.start_of(16 * step + place) for place in range(16))


def test_micro_batches_of_a_resumed_training_are_the_rest(split: TokenSplit) -> None:
    order, layout = DataOrder(split, 10, 1), plan_batches(80, 10, 4, 1)
    whole = MicroBatches(order, layout, first_step=0, num_steps=6, rank=0)
    rest = MicroBatches(order, layout, first_step=4, num_steps=6, rank=0)
    assert len(whole) == 12
    assert len(rest) == 4
    assert all((whole[8 + index] == rest[index]).all() for index in range(4))
    with pytest.raises(IndexError):
        rest[4]


@pytest.mark.parametrize(
    ("most", "ranks", "micro", "count"),
    [(3, 1, 2, 8), (16, 1, 16, 1), (100, 2, 8, 1), (5, 4, 4, 1)],
)
def test_micro_batches_are_as_large_as_they_may_and_fill_the_batch(
    most: int, ranks: int, micro: int, count: int
) -> None:
    layout = plan_batches(160, 10, most, ranks)
    assert layout == BatchLayout(batch_sequences=16, micro_sequences=micro, num_ranks=ranks)
    assert layout.num_micro_batches == count


def test_a_batch_that_is_no_whole_number_of_sequences_is_refused() -> None:
    with pytest.raises(UserError, match=r"batch_tokens = 160 is no multiple .* 10 x 3"):
        plan_batches(160, 10, 4, 3)


def test_a_split_shorter_than_two_contexts_is_refused_with_its_size(split: TokenSplit) -> None:
    with pytest.raises(UserError, match="1003 tokens are too few for sequences of 600"):
        DataOrder(split, 600, 1)


def test_documents_of_a_step_are_those_its_sequences_touch(split: TokenSplit) -> None:
    order, layout = DataOrder(split, 10, 1), plan_batches(20, 10, 2, 1)
    expected = set()
    for number in range(6, 8):
        expected |= {f"d{token // 59}" for token in order.tokens(number)}
    assert set(documents_of_step(order, layout, 3)) == expected


def test_held_out_windows_predict_each_token_once(split: TokenSplit) -> None:
    windows = held_out_windows(split, 100, 950)
    targets = [int(token) for window in windows for token in window[1:]]
    assert targets == list(range(1, 951))
    assert max(len(window) for window in windows) == 101
    assert len(held_out_windows(split, 100, 10_000)) == 11


def test_an_opened_split_travels_to_another_process_by_its_folder(split: TokenSplit) -> None:
    packed = pickle.dumps(split)
    assert len(packed) < 500
    assert (pickle.loads(packed).window(5, 20) == split.window(5, 20)).all()
