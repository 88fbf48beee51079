"""How much a model is and does: parameters, FLOPs per token, MFU, every convention named."""

from __future__ import annotations

import torch

from models.gpt2 import GPT2, GPT2Config

FLOPS_CONVENTION = (
    "per trained token: 6 x parameters that multiply (all but biases, norms and positions; the "
    "tied embedding once, as the head) + 12 x n_layer x n_embd x context for attention, "
    "causality not discounted, recomputation not counted (PaLM, appendix B)"
)


def num_parameters(config: GPT2Config) -> int:
    """All parameters, the tied embedding once.

    >>> num_parameters(GPT2Config(50257, 1024, 768, 12, 12))
    124439808
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in GPT2(config).parameters())


def num_non_embedding_parameters(config: GPT2Config) -> int:
    """Parameters without token and position embeddings, as scaling laws count them.

    >>> num_non_embedding_parameters(GPT2Config(50257, 1024, 768, 12, 12))
    85056000
    """
    embeddings = (config.vocab_size + config.n_positions) * config.n_embd
    return num_parameters(config) - embeddings


def training_flops_per_token(config: GPT2Config, context: int | None = None) -> int:
    """Floating-point operations of forward and backward per token, by `FLOPS_CONVENTION`.

    >>> training_flops_per_token(GPT2Config(50257, 1024, 768, 12, 12))
    854438400
    """
    width = config.n_embd
    matrices = config.n_layer * 12 * width * width + config.vocab_size * width
    attention = 12 * config.n_layer * width * (context or config.n_positions)
    return 6 * matrices + attention


def model_flops_utilisation(tokens_per_s: float, flops_per_token: int, peak_flops: float) -> float:
    """MFU: the part of `peak_flops` (per second, of all devices) that the model itself uses."""
    return tokens_per_s * flops_per_token / peak_flops
