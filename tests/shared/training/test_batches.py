"""The data order: every token equally often, the same for any number of devices."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.shared.errors import UserError
from pipeline.shared.formats.token_shards import (
    TokenDocument,
    TokenSplit,
    open_split,
    write_token_shards,
)
from pipeline.shared.training.batches import (
    BatchLayout,
    DataOrder,
    MicroBatches,
    documents_of_step,
    held_out_windows,
    plan_batches,
)


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


@pytest.mark.parametrize("context", [10, 59, 100])
def test_after_any_block_every_token_was_predicted_equally_often_to_within_one(
    split: TokenSplit, context: int
) -> None:
    order = DataOrder(split, context, seed=3)
    counts = np.zeros(1_003, int)
    for number in range(4 * 1_003 // context):
        tokens = order.tokens(number)
        assert len(tokens) == context + 1
        assert set(np.diff(tokens.astype(int))) <= {1, -1_002}  # a ring
        counts[tokens[1:]] += 1
        assert counts.max() - counts.min() <= 1


def test_rounds_differ_in_order_and_seeds_too(split: TokenSplit) -> None:
    def starts(seed: int, first: int) -> list[int]:
        order = DataOrder(split, 10, seed)
        return [order.start_of(first + place) for place in range(100)]

    assert starts(1, 0) == starts(1, 0)
    assert starts(1, 0) != starts(1, 101)
    assert sorted(starts(1, 0)) != sorted(starts(1, 101))  # blocks are cut elsewhere
    assert starts(1, 0) != starts(2, 0)
    assert starts(1, 0) != sorted(starts(1, 0))


@pytest.mark.parametrize("budget", [59, 60, 500, 1_002, 1_003, 5_000])
def test_the_head_of_a_split_is_the_most_whole_documents_that_fit(
    split: TokenSplit, budget: int
) -> None:
    head = split.head(budget)
    documents = list(head.documents())
    whole = list(split.documents())
    lengths = np.cumsum([len(document.tokens) for document in whole])
    fitting = int((lengths <= budget).sum())
    assert [d.id for d in documents] == [d.id for d in whole[:fitting]]
    assert (head.num_documents, head.num_tokens) == (fitting, int(lengths[fitting - 1]))
    assert head.window(0, head.num_tokens).tolist() == list(range(head.num_tokens))
    assert pickle.loads(pickle.dumps(head)).num_tokens == head.num_tokens


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
    with pytest.raises(UserError, match=r"1,003 tokens .* too few for sequences of 600"):
        DataOrder(split, 600, 1)


def test_documents_of_a_step_are_those_its_sequences_touch(split: TokenSplit) -> None:
    order, layout = DataOrder(split, 10, 1), plan_batches(20, 10, 2, 1)
    expected = set()
    for number in range(6, 8):
        expected |= {f"d{token // 59}" for token in order.tokens(number)}
    assert set(documents_of_step(order, layout, 3)) == expected


def test_held_out_windows_of_more_than_there_is_predict_each_token_once(split: TokenSplit) -> None:
    windows = held_out_windows(split, 100, 10_000)
    targets = [int(token) for window in windows for token in window[1:]]
    assert targets == list(range(1, 1_003))
    assert max(len(window) for window in windows) == 101


@pytest.mark.parametrize("asked", [1, 40, 100, 250, 501, 950])
def test_held_out_windows_lie_all_over_the_split(split: TokenSplit, asked: int) -> None:
    windows = held_out_windows(split, 10, asked)
    targets = [int(token) for window in windows for token in window[1:]]
    assert len(targets) == len(set(targets)) == asked
    assert max(len(window) for window in windows) == min(asked, 10) + 1
    gaps = np.diff([0, *targets, 1_002])
    assert max(gaps) <= 1_002 / len(windows) + 10
    assert all((np.diff(window) == 1).all() for window in windows)


def test_an_opened_split_travels_to_another_process_by_its_folder(split: TokenSplit) -> None:
    packed = pickle.dumps(split)
    assert len(packed) < 500
    assert (pickle.loads(packed).window(5, 20) == split.window(5, 20)).all()
