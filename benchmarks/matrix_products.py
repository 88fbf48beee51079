"""The floor of scoring: the matrix products of a model's weights, and nothing between them."""

from __future__ import annotations

import time

import torch

from models.gpt2 import GPT2Config


@torch.inference_mode()
def time_matrix_products(
    config: GPT2Config, num_windows: int, device: str, precision: str
) -> float:
    """Seconds for all layers and the head over `num_windows` windows of the whole context.

    Whoever scores every token at this precision does these products: attention, normalisation,
    GELU, softmax and all Python come on top.
    """
    width = config.n_embd
    kind = {"device": device, "dtype": getattr(torch, precision)}
    shapes = [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]
    weights = [torch.randn(shape, **kind) for _ in range(config.n_layer) for shape in shapes]
    weights.append(torch.randn(config.vocab_size, width, **kind))
    inputs = {
        columns: torch.randn(config.n_positions, columns, **kind) for columns in (width, 4 * width)
    }
    outputs = {
        len(weight): torch.empty(config.n_positions, len(weight), **kind) for weight in weights
    }
    seconds = 0.0
    for count in (1, num_windows):  # the first one warms up
        _synchronize(device)
        started_s = time.perf_counter()
        for _ in range(count):
            for weight in weights:
                torch.mm(inputs[weight.shape[1]], weight.T, out=outputs[len(weight)])
        _synchronize(device)
        seconds = time.perf_counter() - started_s
    return seconds


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
