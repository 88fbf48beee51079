"""Greedy and top-k generation, batched with the KV cache.

No prompt's result depends on its neighbours: attention never sees padding, and each prompt draws
from a random stream of its own, named by the seed and the prompt's tokens.

Vector names end in their shape: B sequences, T tokens of the longest prompt, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.gpt2 import GPT2
from models.kv_cache import KVCache


class Generated(NamedTuple):
    """What followed one prompt."""

    tokens: list[int]
    """At most `max_new_tokens`, up to and including the first stop token."""
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
    stop_tokens: Collection[int] = (),
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
    longest = max(len(prompt) for prompt in prompts)
    cache = new_cache(model, len(prompts), longest + max_new_tokens - 1)  # the last is not read
    logits_BV = _read(model, cache, prompts)
    return _go_on(
        *(model, cache, logits_BV, max_new_tokens),
        top_k=top_k,
        streams=streams,
        stop_tokens=stop_tokens,
    )


@torch.inference_mode()
def generate_after(
    model: GPT2,
    cache: KVCache,
    pieces: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_tokens: Collection[int] = (),
) -> list[Generated]:
    """Continue greedily what `cache` holds and, row by row, a piece of one token or more after it.

    The cache then holds the pieces too, but nothing that was generated.
    """
    logits_BV = _read(model, cache, pieces)
    return _go_on(
        *(model, cache.fork(), logits_BV, max_new_tokens),
        top_k=1,
        streams=[],
        stop_tokens=stop_tokens,
    )


def new_cache(model: GPT2, num_sequences: int, max_tokens: int) -> KVCache:
    """An empty cache on the model's device, in the type that attention has here."""
    device = model.wte.weight.device
    dtype = torch.float32
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    return KVCache(model.config.cache_shape, num_sequences, max_tokens, device=device, dtype=dtype)


def _read(model: GPT2, cache: KVCache, pieces: Sequence[Sequence[int]]) -> Tensor:
    """Scores of the token after each piece, [B, V]; the cache holds the pieces afterwards."""
    device = cache.lengths_B.device
    lengths_B = torch.tensor([len(piece) for piece in pieces], device=device)
    tokens_BT = torch.zeros((len(pieces), max(map(len, pieces))), dtype=torch.long)
    for row, piece in enumerate(pieces):
        tokens_BT[row, : len(piece)] = torch.tensor(piece)
    last_BT = torch.arange(tokens_BT.shape[1], device=device) == lengths_B[:, None] - 1
    after_B = cache.lengths_B + lengths_B
    hidden_BD = model(tokens_BT.to(device), cache, wanted_BT=last_BT)
    cache.truncate(after_B.tolist())
    return model.logits(hidden_BD)


def _go_on(
    model: GPT2,
    cache: KVCache,
    logits_BV: Tensor,
    max_new_tokens: int,
    *,
    top_k: int,
    streams: list[torch.Generator],
    stop_tokens: Collection[int],
) -> list[Generated]:
    """Choose token after token, each sequence until it stops."""
    results = [Generated([], []) for _ in logits_BV]
    running = list(range(len(results)))  # sequences not stopped yet, in the order of the cache
    for step in range(max_new_tokens):
        log_probabilities_BV = logits_BV.float().log_softmax(dim=1)
        chosen_B = _choose(log_probabilities_BV, top_k, [streams[i] for i in running if streams])
        picked = log_probabilities_BV.gather(1, chosen_B[:, None])[:, 0].tolist()
        for i, token, log_probability in zip(running, chosen_B.tolist(), picked, strict=True):
            results[i].tokens.append(token)
            results[i].log_probabilities.append(log_probability)
        going_on = [
            row for row, i in enumerate(running) if results[i].tokens[-1] not in stop_tokens
        ]
        if not going_on or step == max_new_tokens - 1:
            break
        if len(going_on) < len(running):
            rows = torch.tensor(going_on, device=chosen_B.device)
            cache.select(rows)
            chosen_B = chosen_B[rows]
            running = [running[row] for row in going_on]
        logits_BV = model.logits(model(chosen_B[:, None], cache)[:, -1])
    return results


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
