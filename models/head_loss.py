"""The tied head and its cross-entropy, a few positions at a time.

For 8 sequences of 1024 tokens the scores of GPT-2's vocabulary take 8 * 1024 * 50,257 * 4 bytes
= 1.65 GB, and their gradient as much again. Here they exist for one chunk of positions only: the
training loss computes its gradients in the same pass, so nothing is computed twice.

Shapes: N positions, C of them in a chunk, B in a block of it, D width, V vocabulary, P vocabulary
padded to 64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

_PAD_TO = 64  # matrix units like it; odd sizes such as 50,257 fall off their fast path
# Each chunk's products lay out the whole embedding anew, which fewer positions do not pay for.
_CHUNK_CPU = {torch.float32: 512, torch.bfloat16: 1024}  # positions: 100 MB of GPT-2's scores
_BLOCK_SCORES_CPU = 3 * 2**20  # of a chunk, 12 MiB in float32: passes over them stay in the cache
_ROWS_ADDED_CPU = 2048
# A GPU adds a chunk's gradient of the embedding to the sum before it, 12 bytes a weight each time,
# so its chunks are few: 1 GiB of scores in bfloat16.
_CHUNK_SCORES_GPU = 2**29
_CHUNK_ROWS_GPU = 128  # the tile of a matrix product: no row of tiles is begun for a few positions
_BLOCK_SCORES_GPU = 2**27  # of a chunk, 512 MiB in float32: what is not fused holds some of these
IGNORED = -100  # torch's own value of a target that does not count


def mean_loss(
    hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor, *, compiled: bool = False
) -> Tensor:
    """Mean of -log softmax(hidden @ embedding.T)[target] in nats, differentiable.

    Inside autocast the products run in its type; sums and exponentials are float32. `compiled`
    fuses what happens between the products (`torch.compile`), but not on a CPU: there torch's own
    softmax over a block in the cache takes half the time.
    """
    loss: Tensor = _MeanLoss.apply(  # type: ignore[no-untyped-call]
        hidden_ND, embedding_VD, targets_N, compiled
    )
    return loss


@torch.no_grad()
def token_losses(hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor) -> Tensor:
    """-log softmax(hidden @ embedding.T)[target] in nats, [N] float32, without gradients.

    Positions whose target is -100 are not computed and have loss 0.
    """
    counted = targets_N != IGNORED
    losses_N = torch.zeros(len(targets_N), device=hidden_ND.device)
    padded_PD = _padded(embedding_VD, _product_dtype(hidden_ND))
    hidden_ND, targets_N1 = hidden_ND[counted].to(padded_PD.dtype), targets_N[counted, None]
    with torch.autocast(hidden_ND.device.type, enabled=False):
        pieces = [
            _losses_and_softmax(scores_CP[block], targets_N1[rows][block], len(embedding_VD))[0]
            for rows, scores_CP in _scores_by_chunk(hidden_ND, padded_PD)
            for block in _blocks(scores_CP)
        ]
    if pieces:
        losses_N[counted] = torch.cat(pieces)[:, 0]
    return losses_N


class _MeanLoss(torch.autograd.Function):
    """Loss and gradients chunk by chunk in the forward pass; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor, compiled: bool
    ) -> Tensor:
        is_cpu = hidden_ND.device.type == "cpu"
        differentiate = _differentiate_fused() if compiled and not is_cpu else _differentiate
        grad_hidden_ND = torch.empty_like(hidden_ND)
        loss = torch.zeros((), device=hidden_ND.device)
        padded_PD = _padded(embedding_VD, _product_dtype(hidden_ND))
        grad_padded_PD: Tensor | None = None
        hidden_ND = hidden_ND.to(padded_PD.dtype)
        mean_ND = hidden_ND / len(hidden_ND)  # of a sum to a mean here, where it is cheapest
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for rows, scores_CP in _scores_by_chunk(hidden_ND, padded_PD):
                loss += differentiate(scores_CP, targets_N[rows, None], len(embedding_VD))
                grad_CP = scores_CP  # by now
                grad_hidden_ND[rows] = (grad_CP @ padded_PD).to(grad_hidden_ND.dtype)
                grad_padded_PD = _add_product(grad_padded_PD, grad_CP.T, mean_ND[rows])
        assert grad_padded_PD is not None  # there is a position
        grad_hidden_ND /= len(hidden_ND)
        ctx.save_for_backward(grad_hidden_ND, grad_padded_PD[: len(embedding_VD)])
        return loss / len(hidden_ND)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden_ND, grad_embedding_VD = ctx.saved_tensors
        scale = gradients[0]
        # On a CPU asking is free, and one (no accumulation) spares a pass over the embedding.
        if scale.device.type == "cpu" and scale == 1.0:
            return grad_hidden_ND, grad_embedding_VD, None, None
        return grad_hidden_ND * scale, grad_embedding_VD * scale, None, None


def _differentiate(scores_CP: Tensor, targets_C1: Tensor, vocab_size: int) -> Tensor:
    """Sum of a chunk's losses; d sum / d scores takes the place of the scores."""
    loss = torch.zeros((), device=scores_CP.device)
    for block in _blocks(scores_CP):
        scores_BP, targets_B1 = scores_CP[block], targets_C1[block]
        losses_B1, softmax_BP = _losses_and_softmax(scores_BP, targets_B1, vocab_size)
        softmax_BP.scatter_add_(1, targets_B1, -torch.ones_like(losses_B1))  # less one-hot
        scores_BP.copy_(softmax_BP)
        loss += losses_B1.sum()
    return loss


def _losses_and_softmax(
    scores_CP: Tensor, targets_C1: Tensor, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """-log softmax[target], [C, 1], and the softmax, [C, P], both float32; the scores are lost."""
    scores_CP = scores_CP.float()
    scores_CP[:, vocab_size:] = -torch.inf
    greatest_C1, target_C1 = scores_CP.amax(1, keepdim=True), scores_CP.gather(1, targets_C1)
    # In place on a CPU, where memory that a program sees for the first time is slow.
    place = scores_CP if scores_CP.device.type == "cpu" else None
    softmax_CP = torch.softmax(scores_CP, 1, out=place)
    # log sum exp = greatest score - log of its probability, which is 1 / V or more: as exact as
    # logsumexp, which would take all exponentials a second time.
    total_C1 = greatest_C1 - softmax_CP.amax(1, keepdim=True).log()
    return total_C1 - target_C1, softmax_CP


def _differentiate_in_one_pass(scores_CP: Tensor, targets_C1: Tensor, vocab_size: int) -> Tensor:
    """The same in operations that the compiler fuses."""
    token_P = torch.arange(scores_CP.shape[1], device=scores_CP.device)
    masked_CP = torch.where(token_P < vocab_size, scores_CP.float(), -torch.inf)
    is_target_CP = token_P == targets_C1
    total_C1 = masked_CP.logsumexp(1, keepdim=True)
    loss = (total_C1 - torch.where(is_target_CP, masked_CP, 0.0).sum(1, keepdim=True)).sum()
    scores_CP.copy_((masked_CP - total_C1).exp() - is_target_CP.float())
    return loss


@functools.cache
def _differentiate_fused() -> Callable[..., Tensor]:
    return torch.compile(_differentiate_in_one_pass)


def _product_dtype(hidden_ND: Tensor) -> torch.dtype:
    """The type of matrix products: autocast's where it is on."""
    device = hidden_ND.device.type
    return (
        torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype
    )


def _padded(embedding_VD: Tensor, dtype: torch.dtype) -> Tensor:
    """The embedding as products want it: [P, D] in `dtype`; itself where it already is."""
    missing = -len(embedding_VD) % _PAD_TO
    if not missing:
        return embedding_VD.to(dtype)
    vocab_size, width = embedding_VD.shape
    padded_PD = embedding_VD.new_empty(vocab_size + missing, width, dtype=dtype)
    padded_PD[:vocab_size] = embedding_VD
    padded_PD[vocab_size:] = 0.0
    return padded_PD


def _scores_by_chunk(hidden_ND: Tensor, padded_PD: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows and their scores, [C, P], in one place of memory: of use until the next chunk."""
    if hidden_ND.device.type == "cpu":
        size = _CHUNK_CPU[padded_PD.dtype]
    else:
        size = _even_chunk(len(hidden_ND), len(padded_PD))
    scores_CP = hidden_ND.new_empty(min(size, len(hidden_ND)), len(padded_PD))
    for start in range(0, len(hidden_ND), size):
        hidden_CD = hidden_ND[start : start + size]
        yield (
            slice(start, start + size),
            torch.mm(hidden_CD, padded_PD.T, out=scores_CP[: len(hidden_CD)]),
        )


def _even_chunk(num_positions: int, vocab_size: int) -> int:
    """Positions of a GPU's chunk, all chunks of one size where tiles allow: one shape to compile.

    >>> _even_chunk(32 * 1024, 50304), _even_chunk(12 * 1024, 50304), _even_chunk(1000, 50304)
    (8192, 6144, 1024)
    """
    most = max(1, _CHUNK_SCORES_GPU // vocab_size)
    num_chunks = -(-num_positions // most)
    size = -(-num_positions // num_chunks)
    return size + -size % _CHUNK_ROWS_GPU


def _blocks(scores_CP: Tensor) -> Iterator[slice]:
    """Rows of a chunk that are worked on at once."""
    most = _BLOCK_SCORES_CPU if scores_CP.device.type == "cpu" else _BLOCK_SCORES_GPU
    size = max(1, most // scores_CP.shape[1])
    for start in range(0, len(scores_CP), size):
        yield slice(start, start + size)


def _add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """`total` and left @ right in float32, in the place of `total` where there is one."""
    if total is None:
        return (left @ right).float()
    if left.dtype == total.dtype:
        return total.addmm_(left, right)
    product = left @ right
    # A CPU converts all it adds before it adds any: a few rows at a time stay in its cache.
    size = _ROWS_ADDED_CPU if total.device.type == "cpu" else len(total)
    for start in range(0, len(total), size):
        total[start : start + size] += product[start : start + size]
    return total
