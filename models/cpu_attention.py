"""Causal attention that a CPU trains with in bfloat16: matrix products and a softmax, by blocks.

torch's fused kernel (FlashAttention's algorithm) takes twice the time there (docs/log.md):
its tiles are too small for the matrix units. Here a block of rows sees the keys up to its last row,
so that of the square of scores little more than the lower half is computed.

Shapes: N = sequences * heads, T tokens, K width of a head, R rows of a block, S keys it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_BLOCK_ROWS = 128  # fewer make products small, more compute scores that are masked
# What is kept for the backward pass grows with the context's square; beyond this it is made anew.
_KEPT_UP_TO = 512


def suits(q_BHTK: Tensor) -> bool:
    """Whether these queries are of a training that this is faster for."""
    return (
        q_BHTK.device.type == "cpu"
        and q_BHTK.dtype == torch.bfloat16
        and q_BHTK.requires_grad
        and torch.is_grad_enabled()
    )


def causal_attention(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, scale: float) -> Tensor:
    """softmax(scale * q @ k.T) @ v, each token seeing itself and those before it; differentiable.

    Scores and probabilities are bfloat16, exponentials and their sums float32.
    """
    mixed: Tensor = _CausalAttention.apply(  # type: ignore[no-untyped-call]
        q_BHTK, k_BHTK, v_BHTK, scale
    )
    return mixed


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, scale: float) -> Tensor:
        num_heads, length = q_BHTK.shape[1:3]
        q_NTK, k_NTK, v_NTK = (x.flatten(0, 1) for x in (q_BHTK * scale, k_BHTK, v_BHTK))
        mixed_BTHK = q_BHTK.new_empty(q_BHTK.transpose(1, 2).shape)  # as the layer wants it next
        kept = []
        for rows in _blocks(length):
            probabilities_NRS = _probabilities(q_NTK, k_NTK, rows)
            mixed_NRK = probabilities_NRS @ v_NTK[:, : rows.stop]
            mixed_BHRK = mixed_NRK.view(-1, num_heads, *mixed_NRK.shape[1:])
            mixed_BTHK[:, rows] = mixed_BHRK.transpose(1, 2)
            if length <= _KEPT_UP_TO:
                kept.append(probabilities_NRS)
        ctx.scale = scale
        ctx.save_for_backward(q_NTK, k_NTK, v_NTK, *kept)
        return mixed_BTHK.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        num_heads, length = gradients[0].shape[1:3]
        q_NTK, k_NTK, v_NTK, *kept = ctx.saved_tensors
        grad_NTK = gradients[0].flatten(0, 1)
        grad_q_NTK = torch.empty_like(q_NTK)
        grad_k_NTK, grad_v_NTK = torch.zeros_like(k_NTK), torch.zeros_like(v_NTK)
        for number, rows in enumerate(_blocks(length)):
            probabilities_NRS = kept[number] if kept else _probabilities(q_NTK, k_NTK, rows)
            seen = slice(0, rows.stop)
            grad_probabilities_NRS = grad_NTK[:, rows] @ v_NTK[:, seen].mT
            grad_scores_NRS = torch.ops.aten._softmax_backward_data(
                grad_probabilities_NRS, probabilities_NRS, -1, q_NTK.dtype
            )
            grad_q_NTK[:, rows] = grad_scores_NRS @ k_NTK[:, seen]
            grad_k_NTK[:, seen] += grad_scores_NRS.mT @ q_NTK[:, rows]
            grad_v_NTK[:, seen] += probabilities_NRS.mT @ grad_NTK[:, rows]
        grads = (grad_q_NTK * ctx.scale, grad_k_NTK, grad_v_NTK)
        grad_q, grad_k, grad_v = (grad.view(-1, num_heads, length, grad.shape[2]) for grad in grads)
        return grad_q, grad_k, grad_v, None


def _blocks(length: int) -> Iterator[slice]:
    for start in range(0, length, _BLOCK_ROWS):
        yield slice(start, min(start + _BLOCK_ROWS, length))


def _probabilities(q_NTK: Tensor, k_NTK: Tensor, rows: slice) -> Tensor:
    """What each row of a block gives to each key up to the block's last, [N, R, S]."""
    scores_NRS = q_NTK[:, rows] @ k_NTK[:, : rows.stop].mT
    num_rows = rows.stop - rows.start
    later_RR = scores_NRS.new_full((num_rows, num_rows), -torch.inf).triu(1)
    scores_NRS[:, :, rows] += later_RR
    return torch.softmax(scores_NRS, -1, out=scores_NRS)
