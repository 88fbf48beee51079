"""Which tokens each training step reads: a pure function of seed and step.

The training text is a ring: after its last <|endoftext|> comes its first document, as any document
comes after another. It is read round and round in blocks of `context` tokens from a drawn offset.
The blocks that begin in one round are visited in an order drawn from (seed, round), but for the
last, which reaches into the next round. So after any number of blocks every token has been read
equally often to within one. Restarts, workers and the number of devices change nothing.
Names end in shapes: B sequences, T = context.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.shared.errors import UserError
from pipeline.shared.formats.token_shards import TokenSplit


@dataclass
class DataOrder:
    """The sequence of a training's sequences, numbered over all steps."""

    text: TokenSplit
    """The training text: the documents of the train split that the budget reads."""
    context: int
    seed: int
    _round: tuple[int, int, npt.NDArray[np.int64]] | None = field(default=None, repr=False)
    """(number, its first block, order of its blocks) of the round last asked for."""

    def __post_init__(self) -> None:
        if self.text.num_tokens <= 2 * self.context:
            raise UserError(
                f"{self.text.folder}: {self.text.num_tokens:,} tokens of whole documents to train "
                f"on are too few for sequences of {self.context}; gather more documents, raise "
                "train.tokens or lower models.*.context"
            )

    def start_of(self, sequence: int) -> int:
        """Position in the training text of the first token of sequence number `sequence`."""
        number = sequence * self.context // self.text.num_tokens
        if self._round is None or self._round[0] != number:
            first, end = self._first_block(number), self._first_block(number + 1)
            order = np.random.default_rng([self.seed, number]).permutation(end - first - 1)
            self._round = (number, first, np.append(order, end - first - 1))
        _, first, order = self._round
        block = first + int(order[sequence - first])
        return (self._offset + block * self.context) % self.text.num_tokens

    def _first_block(self, number: int) -> int:
        return -(-number * self.text.num_tokens // self.context)

    @cached_property
    def _offset(self) -> int:
        return int(np.random.default_rng(self.seed).integers(self.context))

    def tokens(self, sequence: int) -> npt.NDArray[np.uint16]:
        """Its context + 1 tokens: inputs and, one further, targets."""
        start, length = self.start_of(sequence), self.context + 1
        before_end = min(length, self.text.num_tokens - start)
        tokens = self.text.window(start, before_end)
        if before_end == length:
            return tokens
        return np.concatenate([tokens, self.text.window(0, length - before_end)])


@dataclass(frozen=True, kw_only=True)
class BatchLayout:
    """How the sequences of one step are dealt to devices and micro-batches."""

    batch_sequences: int
    """Sequences of one step, over all devices."""
    micro_sequences: int
    """Sequences in memory at once on one device."""
    num_ranks: int = 1

    @property
    def num_micro_batches(self) -> int:
        """Micro-batches of one step on one device."""
        return self.batch_sequences // (self.micro_sequences * self.num_ranks)

    def sequences(self, step: int, micro_batch: int, rank: int) -> range:
        """The sequence numbers of one micro-batch."""
        first = step * self.batch_sequences
        first += (micro_batch * self.num_ranks + rank) * self.micro_sequences
        return range(first, first + self.micro_sequences)


def plan_batches(
    batch_tokens: int, context: int, most_micro_sequences: int, num_ranks: int
) -> BatchLayout:
    """The layout with the largest micro-batch up to `most_micro_sequences`.

    Raises:
        UserError: the batch is no whole number of sequences on each device.
    """
    if batch_tokens % context or (batch_tokens // context) % num_ranks:
        raise UserError(
            f"params.yaml: train.batch_tokens = {batch_tokens} is no multiple of context x devices "
            f"= {context} x {num_ranks}; change it"
        )
    sequences = batch_tokens // context // num_ranks
    micro = max(n for n in range(1, most_micro_sequences + 1) if sequences % n == 0)
    return BatchLayout(
        batch_sequences=sequences * num_ranks, micro_sequences=micro, num_ranks=num_ranks
    )


class MicroBatches(Dataset[Tensor]):
    """The micro-batches of one device from `first_step` on, each [B, T + 1] int64."""

    def __init__(
        self, order: DataOrder, layout: BatchLayout, *, first_step: int, num_steps: int, rank: int
    ) -> None:
        """`num_steps` is the number of the last step, plus one."""
        self._order, self._layout, self._rank = order, layout, rank
        self._first_step, self._num_steps = first_step, num_steps

    def __len__(self) -> int:
        return (self._num_steps - self._first_step) * self._layout.num_micro_batches

    def __getitem__(self, index: int) -> Tensor:
        step, micro_batch = divmod(index, self._layout.num_micro_batches)
        if not 0 <= index < len(self):
            raise IndexError(index)
        numbers = self._layout.sequences(self._first_step + step, micro_batch, self._rank)
        rows = [self._order.tokens(number) for number in numbers]
        return torch.from_numpy(np.stack(rows).astype(np.int64))


def documents_of_step(order: DataOrder, layout: BatchLayout, step: int) -> list[str]:
    """Ids of the documents that a step's sequences touch, in the training text's order."""
    first = step * layout.batch_sequences
    starts = [order.start_of(first + place) for place in range(layout.batch_sequences)]
    starts += [start - order.text.num_tokens for start in starts]  # of those that go round
    touched, begin = [], 0
    for document in order.text.documents():
        end = begin + len(document.tokens)
        if any(start < end and begin <= start + order.context for start in starts):
            touched.append(document.id)
        begin = end
    return touched


def held_out_windows(split: TokenSplit, context: int, num_tokens: int) -> list[Tensor]:
    """`num_tokens` predictions of a split, in windows of at most `context` + 1 tokens.

    The split is cut into blocks of `context` predictions, of which every k-th is taken: documents
    lie one after another, and the first tokens of a split may be a few long ones. Each window
    [T + 1] begins with the token before its first prediction. Asked for more than there is, all
    tokens but the very first are predicted once.
    """
    predictions = split.num_tokens - 1
    asked = min(num_tokens, predictions)
    if asked < 1:
        raise UserError(f"{split.folder}: holds no two tokens to judge a model on; gather more")
    blocks, count = -(-predictions // context), -(-asked // context)
    windows = []
    for number in range(count):
        start = number * blocks // count * context
        length = min(context, asked - number * context)
        windows.append(torch.from_numpy(split.window(start, length + 1).astype(np.int64)))
    return windows
