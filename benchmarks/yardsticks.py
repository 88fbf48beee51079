"""What a device can do at most, and which of torch's attentions is the fastest on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.compute import matmul_flops_per_s

# Dense bfloat16, without sparsity, by the makers' data sheets; the first name that fits.
_DATA_SHEETS = {
    "H100 PCIe": 756e12,
    "H100 80GB HBM3": 989e12,
    "H200": 989e12,
    "A100": 312e12,
}
_BACKENDS = {
    "FlashAttention": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
}
_AS_IT_CHOOSES = "as torch chooses"
_SIZE = {"cuda": 8192, "cpu": 512}


@dataclass(frozen=True)
class Yardsticks:
    """Measured before any model runs."""

    device_name: str
    memory_gib: float
    """Of the device; infinite for a CPU."""
    product_flops_per_s: float
    """A large matrix product at its best: what MFU refers to."""
    held_flops_per_s: float
    """The same for two seconds on end: a card that gets warm lowers its clock."""
    sheet_flops_per_s: float | None
    attention_ms: dict[str, float]
    """Forward and backward of one layer's attention, by kernel."""


def measure(
    device: str, dtype: torch.dtype, attention_shape: tuple[int, int, int, int]
) -> Yardsticks:
    """`attention_shape` is sequences, heads, tokens, width of a head."""
    gpu = device == "cuda"
    name = torch.cuda.get_device_name() if gpu else "CPU"
    total = torch.cuda.get_device_properties(0).total_memory / 2**30 if gpu else float("inf")
    found = Yardsticks(
        device_name=name,
        memory_gib=total,
        product_flops_per_s=matmul_flops_per_s(device, dtype),
        held_flops_per_s=_held_flops_per_s(device, dtype),
        sheet_flops_per_s=next((v for key, v in _DATA_SHEETS.items() if key in name), None),
        attention_ms=_attention_ms(device, dtype, attention_shape),
    )
    if gpu:
        torch.cuda.empty_cache()  # the models' processes want it
    return found


def _held_flops_per_s(device: str, dtype: torch.dtype, seconds: float = 2.0) -> float:
    size = _SIZE[device]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    _seconds(device, lambda: torch.mm(left, right, out=out), 1)
    once_s = _seconds(device, lambda: torch.mm(left, right, out=out), 3) / 3
    count = max(1, round(seconds / once_s))
    return 2.0 * size**3 * count / _seconds(device, lambda: torch.mm(left, right, out=out), count)


def _attention_ms(
    device: str, dtype: torch.dtype, shape: tuple[int, int, int, int], count: int = 20
) -> dict[str, float]:
    inputs = [torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for _ in range(3)]

    def step() -> None:
        out = F.scaled_dot_product_attention(*inputs, is_causal=True)
        torch.autograd.grad(out, inputs, out)

    found = {}
    for name, backend in {_AS_IT_CHOOSES: None, **_BACKENDS}.items():
        if backend and device == "cpu":
            continue  # it has no choice
        try:
            with sdpa_kernel(backend or [*_BACKENDS.values(), SDPBackend.MATH]):
                _seconds(device, step, 3)
                found[name] = _seconds(device, step, count) / count * 1e3
        except RuntimeError:
            continue  # not built for this card
    return found


def _seconds(device: str, work: Callable[[], object], count: int) -> float:
    _wait(device)
    began_s = time.perf_counter()
    for _ in range(count):
        work()
    _wait(device)
    return time.perf_counter() - began_s


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
