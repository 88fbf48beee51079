"""Which tokens each training step reads: a pure function of seed and step.

The split is cut into blocks of `context` tokens from an offset that changes with each epoch; an
epoch visits every block once, in an order drawn from (seed, epoch). Restarts, workers and the
number of devices change nothing. Names end in shapes: B sequences, T = context.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.errors import UserError
from pipeline.token_shards import TokenSplit

_OFFSETS, _ORDER = 0, 1  # names of the random streams of one epoch


@dataclass
class DataOrder:
    """The sequence of a training's sequences, numbered over all steps."""

    split: TokenSplit
    context: int
    seed: int
    _epoch: tuple[int, int, npt.NDArray[np.int64]] | None = field(default=None, repr=False)
    """(number, offset, order of blocks) of the epoch last asked for."""

    def __post_init__(self) -> None:
        if self.split.num_tokens <= 2 * self.context:
            raise UserError(
                f"{self.split.folder}: {self.split.num_tokens} tokens are too few for sequences "
                f"of {self.context}; gather more documents or lower models.*.context"
            )

    @property
    def sequences_per_epoch(self) -> int:
        """Blocks in the split; up to 2 contexts of tokens are left out, others in each epoch."""
        return (self.split.num_tokens - self.context) // self.context

    def start_of(self, sequence: int) -> int:
        """Position in the split of the first token of sequence number `sequence`."""
        number, place = divmod(sequence, self.sequences_per_epoch)
        if self._epoch is None or self._epoch[0] != number:
            random = [np.random.default_rng([self.seed, number, name]) for name in (0, 1)]
            offset = int(random[_OFFSETS].integers(self.context))
            order = random[_ORDER].permutation(self.sequences_per_epoch)
            self._epoch = (number, offset, order)
        _, offset, order = self._epoch
        return offset + int(order[place]) * self.context

    def tokens(self, sequence: int) -> npt.NDArray[np.uint16]:
        """Its context + 1 tokens: inputs and, one further, targets."""
        return self.split.window(self.start_of(sequence), self.context + 1)


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
    """Ids of the documents that a step's sequences touch, in the split's order."""
    first = step * layout.batch_sequences
    starts = [order.start_of(first + place) for place in range(layout.batch_sequences)]
    touched, begin = [], 0
    for document in order.split.documents():
        end = begin + len(document.tokens)
        if any(start < end and begin <= start + order.context for start in starts):
            touched.append(document.id)
        begin = end
    return touched


def held_out_windows(split: TokenSplit, context: int, num_tokens: int) -> list[Tensor]:
    """The first `num_tokens` predictions of a split, in windows of at most `context` + 1 tokens.

    Each window [T + 1] begins with the last token of the one before, so each token but the very
    first is predicted once.
    """
    end = min(num_tokens, split.num_tokens - 1)
    if end < 1:
        raise UserError(f"{split.folder}: holds no two tokens to judge a model on; gather more")
    starts = range(0, end, context)
    windows = [split.window(start, min(context, end - start) + 1) for start in starts]
    return [torch.from_numpy(window.astype(np.int64)) for window in windows]
