"""Greedy and top-k generation, batched with the KV cache.

No prompt's result depends on its neighbours: attention never sees padding, and each prompt draws
from a random stream of its own, named by the seed and the prompt's tokens.

Vector names end in their shape: B sequences, T tokens of the longest prompt, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.gpt2 import GPT2, KVCache


class Generated(NamedTuple):
    """What followed one prompt."""

    tokens: list[int]
    """At most `max_new_tokens`, up to and including the stop token."""
    log_probabilities: list[float]
    """Of each token among the whole vocabulary, in nats, whatever top-k left of it."""


@torch.inference_mode()
def generate(
    model: GPT2,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    top_k: int = 1,
    seed: int | None = None,
    stop_token: int | None = None,
) -> list[Generated]:
    """Continue each prompt; `top_k = 1` is greedy, more draws among the k likeliest tokens.

    Raises:
        ValueError: an empty prompt, a sampling without a seed, or more tokens than the model's
            positions.
    """
    if not prompts:
        return []
    if any(not prompt for prompt in prompts):
        raise ValueError("a prompt has no tokens; begin it with <|endoftext|>")
    if top_k > 1 and seed is None:
        raise ValueError(f"top_k = {top_k} draws at random and needs a seed; give one")
    streams = [_stream(seed, prompt) for prompt in prompts] if seed is not None else []
    results = [Generated([], []) for _ in prompts]
    logits_BV, cache = _read_prompts(model, prompts, max_new_tokens)
    running = list(range(len(prompts)))  # prompts not stopped yet, in the order of the cache
    for step in range(max_new_tokens):
        log_probabilities_BV = logits_BV.float().log_softmax(dim=1)
        chosen_B = _choose(log_probabilities_BV, top_k, [streams[i] for i in running if streams])
        picked = log_probabilities_BV.gather(1, chosen_B[:, None])[:, 0].tolist()
        for i, token, log_probability in zip(running, chosen_B.tolist(), picked, strict=True):
            results[i].tokens.append(token)
            results[i].log_probabilities.append(log_probability)
        going_on = [row for row, i in enumerate(running) if results[i].tokens[-1] != stop_token]
        if not going_on or step == max_new_tokens - 1:
            break
        if len(going_on) < len(running):
            rows = torch.tensor(going_on, device=chosen_B.device)
            cache.select(rows)
            chosen_B = chosen_B[rows]
            running = [running[row] for row in going_on]
        logits_BV = model.logits(model(chosen_B[:, None], cache)[:, -1])
    return results


def _read_prompts(
    model: GPT2, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> tuple[Tensor, KVCache]:
    """Scores of the first new token, [B, V], and the cache that holds the prompts."""
    device = model.wte.weight.device
    lengths = [len(prompt) for prompt in prompts]
    longest = max(lengths)
    tokens_BT = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, : len(prompt)] = torch.tensor(prompt)
    dtype = torch.float32
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    cache = KVCache(
        model.config, len(prompts), longest + max_new_tokens, device=device, dtype=dtype
    )
    hidden_BTD = model(tokens_BT.to(device), cache)
    cache.truncate(lengths)
    last_B = torch.tensor(lengths, device=device) - 1
    rows_B = torch.arange(len(prompts), device=device)
    return model.logits(hidden_BTD[rows_B, last_B]), cache


def _choose(log_probabilities_BV: Tensor, top_k: int, streams: list[torch.Generator]) -> Tensor:
    """The next token of each sequence, [B]."""
    if top_k == 1:
        return log_probabilities_BV.argmax(dim=1)
    kept = log_probabilities_BV.topk(min(top_k, log_probabilities_BV.shape[1]), dim=1)
    cumulative_BK = kept.values.softmax(dim=1).cumsum(dim=1).cpu()
    draws_B1 = torch.stack([torch.rand(1, generator=stream) for stream in streams])
    ranks_B1 = (cumulative_BK < draws_B1).sum(dim=1, keepdim=True)
    ranks_B1 = ranks_B1.clamp_max(kept.indices.shape[1] - 1).to(kept.indices.device)
    return kept.indices.gather(1, ranks_B1)[:, 0]


def _stream(seed: int, prompt: Sequence[int]) -> torch.Generator:
    """A random stream that depends on the seed and the prompt alone."""
    digest = hashlib.sha256(f"{seed}:{list(prompt)}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
