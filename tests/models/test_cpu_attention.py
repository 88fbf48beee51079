"""Attention by blocks is torch's attention, values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import cpu_attention
from models.gpt2 import GPT2Config, empty_model


def inputs(length: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)
    # As they come from one layer: views, of which no two heads lie side by side.
    qkv = torch.randn(2, length, 3 * 24, generator=generator, dtype=torch.float64).to(dtype)
    parts = (part.view(2, length, 3, 8).transpose(1, 2) for part in qkv.chunk(3, dim=2))
    return [part.detach().requires_grad_() for part in parts]


def values_and_gradients(mixed: Tensor, parts: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, mixed.numel(), dtype=mixed.dtype).view(mixed.shape)
    return [mixed, *torch.autograd.grad((mixed * weights).sum(), parts)]


# One token, less than a block, a block, a part of a second, and more than is kept.
@pytest.mark.parametrize("length", [1, 5, 128, 200, 600])
@pytest.mark.parametrize("scale", [8**-0.5, 0.5])
def test_values_and_gradients_are_those_of_torch(length: int, scale: float) -> None:
    parts = inputs(length, torch.float64)
    ours = cpu_attention.causal_attention(*parts, scale)
    theirs = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale)
    torch.testing.assert_close(
        values_and_gradients(ours, parts), values_and_gradients(theirs, parts)
    )


def test_in_bfloat16_it_is_as_exact_as_the_type_allows() -> None:
    parts = inputs(200, torch.bfloat16)
    exact = [part.detach().double().requires_grad_() for part in parts]
    ours = values_and_gradients(cpu_attention.causal_attention(*parts, 8**-0.5), parts)
    theirs = values_and_gradients(
        F.scaled_dot_product_attention(*exact, is_causal=True, scale=8**-0.5), exact
    )
    for one, other in zip(ours, theirs, strict=True):
        error = (one.double() - other).norm() / other.norm()
        assert error < 2 * torch.finfo(torch.bfloat16).eps


def test_it_is_for_trainings_in_bfloat16_and_nothing_else() -> None:
    (query,) = inputs(4, torch.bfloat16)[:1]
    assert cpu_attention.suits(query)
    assert not cpu_attention.suits(query.detach())
    assert not cpu_attention.suits(inputs(4, torch.float32)[0])
    with torch.no_grad():
        assert not cpu_attention.suits(query)


def test_a_model_trains_by_it_where_autocast_asks_for_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = empty_model(GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2))
    model.initialise(torch.Generator().manual_seed(1), "none")
    tokens_BT = torch.arange(64).view(2, 32)
    calls: list[float] = []
    whole = cpu_attention.causal_attention

    def counted(*parts: Any) -> Tensor:
        calls.append(1.0)
        return whole(*parts)

    monkeypatch.setattr(cpu_attention, "causal_attention", counted)
    losses, norms = [], []
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            loss = model.mean_loss(tokens_BT, tokens_BT.roll(-1))
        model.zero_grad()
        loss.backward()
        losses.append(loss.item())
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        norms.append(torch.cat(grads).clone())
    assert len(calls) == 2  # the layers of one pass
    assert losses[1] == pytest.approx(losses[0], abs=0.02)
    assert torch.cosine_similarity(norms[0], norms[1], dim=0) > 0.99
