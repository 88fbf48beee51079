"""The tied head and its cross-entropy, a few positions at a time.

For 8 sequences of 1024 tokens the scores of GPT-2's vocabulary take 8 * 1024 * 50,257 * 4 bytes
= 1.65 GB, and their gradient as much again. Here they exist for one chunk of positions only: the
training loss computes its gradients in the same pass, so nothing is computed twice.

Shapes: N positions, C positions of a chunk, D width, V vocabulary, P vocabulary padded to 64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_PAD_TO = 64  # matrix units like it; odd sizes such as 50,257 fall off their fast path
_CHUNK_SCORES_CPU = 2**19  # 2 MiB: stays in a core's cache
_CHUNK_SCORES_GPU = 2**27  # 512 MiB: fills a GPU
IGNORED = -100  # torch's own value of a target that does not count


def mean_loss(hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Mean of -log softmax(hidden @ embedding.T)[target] in nats, differentiable.

    Inside autocast the products run in its type; sums and exponentials are float32.
    """
    loss: Tensor = _MeanLoss.apply(hidden_ND, embedding_VD, targets_N)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def token_losses(hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor) -> Tensor:
    """-log softmax(hidden @ embedding.T)[target] in nats, [N] float32, without gradients.

    Positions whose target is -100 are not computed and have loss 0.
    """
    counted = targets_N != IGNORED
    losses_N = torch.zeros(len(targets_N), device=hidden_ND.device)
    hidden_ND, targets = hidden_ND[counted], targets_N[counted]
    padded_PD = _padded(embedding_VD, _product_dtype(hidden_ND))
    pieces = [
        F.cross_entropy(
            _scores(hidden_ND[rows], padded_PD, len(embedding_VD)), targets[rows], reduction="none"
        )
        for rows in _chunks(hidden_ND, padded_PD)
    ]
    if pieces:
        losses_N[counted] = torch.cat(pieces)
    return losses_N


class _MeanLoss(torch.autograd.Function):
    """Loss and gradients chunk by chunk in the forward pass; backward only scales them."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, embedding_VD: Tensor, targets_N: Tensor) -> Tensor:
        dtype = _product_dtype(hidden_ND)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            padded_PD = _padded(embedding_VD, dtype)
            grad_padded_PD = torch.zeros_like(padded_PD, dtype=torch.float32)
            grad_hidden_ND = torch.empty_like(hidden_ND)
            loss = torch.zeros((), device=hidden_ND.device)
            for rows in _chunks(hidden_ND, padded_PD):
                hidden_CD = hidden_ND[rows].to(dtype)
                scores_CP = _scores(hidden_CD, padded_PD, len(embedding_VD))
                chosen_C1 = targets_N[rows, None]
                softmax_CP = scores_CP.softmax(1)
                # log sum exp = greatest score - log of its probability, which is 1 / V or more:
                # as exact as logsumexp, which would take all exponentials a second time.
                total_C1 = scores_CP.amax(1, keepdim=True) - softmax_CP.amax(1, keepdim=True).log()
                loss += (total_C1 - scores_CP.gather(1, chosen_C1)).sum()
                # d loss / d scores = softmax - one-hot, over the count of positions
                softmax_CP.scatter_add_(1, chosen_C1, -torch.ones_like(total_C1))
                grad_CP = softmax_CP.div_(len(hidden_ND)).to(dtype)
                grad_hidden_ND[rows] = (grad_CP @ padded_PD).to(grad_hidden_ND.dtype)
                _add_product(grad_padded_PD, grad_CP.T, hidden_CD)
        ctx.save_for_backward(grad_hidden_ND, grad_padded_PD[: len(embedding_VD)])
        return loss / len(hidden_ND)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden_ND, grad_embedding_VD = ctx.saved_tensors
        return grad_hidden_ND * gradients[0], grad_embedding_VD * gradients[0], None


def _product_dtype(hidden_ND: Tensor) -> torch.dtype:
    """The type of matrix products: autocast's where it is on."""
    device = hidden_ND.device.type
    return (
        torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype
    )


def _padded(embedding_VD: Tensor, dtype: torch.dtype) -> Tensor:
    """The embedding as products want it: [P, D] in `dtype`; itself where it already is."""
    missing = -len(embedding_VD) % _PAD_TO
    converted = embedding_VD.to(dtype)
    return F.pad(converted, (0, 0, 0, missing)) if missing else converted


def _chunks(hidden_ND: Tensor, padded_PD: Tensor) -> Iterator[slice]:
    budget = _CHUNK_SCORES_CPU if hidden_ND.device.type == "cpu" else _CHUNK_SCORES_GPU
    size = max(1, budget // len(padded_PD))
    for start in range(0, len(hidden_ND), size):
        yield slice(start, start + size)


def _scores(hidden_CD: Tensor, padded_PD: Tensor, vocab_size: int) -> Tensor:
    """Scores [C, P] in float32, the padding's at minus infinity."""
    scores_CP = (hidden_CD.to(padded_PD.dtype) @ padded_PD.T).float()
    scores_CP[:, vocab_size:] = -torch.inf
    return scores_CP


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to `total`, in place and in float32."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
