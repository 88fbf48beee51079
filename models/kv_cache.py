"""What a GPT-2 has read: keys and values, so that text goes on without being read again.

Vector names end in their shape: B sequences, T new tokens, S tokens in reach of attention (cached
and new), H heads, K width of a head, L layers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CacheShape = tuple[int, int, int]
"""Layers, heads, width of a head."""


class KVCache:
    """Keys and values of the tokens read so far; each sequence has its own length.

    Sequences stand at the left. Shorter ones end in padding, which causal attention never sees
    and which `truncate` makes the next tokens overwrite.
    """

    def __init__(
        self,
        shape: CacheShape,
        batch_size: int,
        max_tokens: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Room for `max_tokens` a sequence; `dtype` is that of attention (bfloat16 in autocast)."""
        n_layer, n_head, head_width = shape
        full = (n_layer, batch_size, n_head, max_tokens, head_width)
        # Zeros, not empty: a masked weight of 0 times a NaN would be a NaN.
        self.keys_LBHSK = torch.zeros(full, device=device, dtype=dtype)
        self.values_LBHSK = torch.zeros(full, device=device, dtype=dtype)
        self.lengths_B = torch.zeros(batch_size, dtype=torch.long, device=device)
        self.max_length = 0
        """Of the longest sequence; kept here so that no step waits for the device."""

    def truncate(self, lengths: Sequence[int]) -> None:
        """Forget what follows the first `lengths[b]` tokens of sequence b (its padding)."""
        self.lengths_B = torch.tensor(lengths, device=self.lengths_B.device)
        self.max_length = max(lengths)

    def fork(self) -> KVCache:
        """The same tokens, to go on with in another way; nothing is copied.

        What the fork adds lies beyond the lengths of this cache, which overwrites it.
        """
        return copy.copy(self)

    def select(self, rows: Tensor) -> None:
        """Keep only these sequences, in this order."""
        self.keys_LBHSK = self.keys_LBHSK[:, rows]
        self.values_LBHSK = self.values_LBHSK[:, rows]
        self.lengths_B = self.lengths_B[rows]

    def append(
        self, layer: int, keys_BHTK: Tensor, values_BHTK: Tensor, places_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values; returns all of it, [B, H, S, K] each."""
        rows_B1 = torch.arange(places_BT.shape[0], device=places_BT.device)[:, None]
        reach = self.max_length + places_BT.shape[1]
        stored = []
        for cache_LBHSK, new_BHTK in (
            (self.keys_LBHSK, keys_BHTK),
            (self.values_LBHSK, values_BHTK),
        ):
            cache_BHSK = cache_LBHSK[layer]
            cache_BHSK[rows_B1, :, places_BT] = new_BHTK.transpose(1, 2).to(cache_BHSK.dtype)
            stored.append(cache_BHSK[:, :, :reach])
        return stored[0], stored[1]

    def advance(self, tokens: int) -> None:
        """Count `tokens` more in every sequence, once all layers have stored them."""
        self.lengths_B = self.lengths_B + tokens
        self.max_length += tokens


@dataclass(frozen=True)
class Branches:
    """New tokens that are not one line but go on from a cache in several ways."""

    depths_BT: Tensor
    """How many positions after the cached tokens each one stands."""
    sees_BTT: Tensor
    """True where a new token (second axis) may look at another or itself (third)."""
    reach: int
    """The greatest depth, and one."""


@dataclass(frozen=True)
class Reading:
    """Where the new tokens stand in a cache: shared by all layers of one forward pass."""

    cache: KVCache
    positions_BT: Tensor
    places_BT: Tensor
    """Where they are stored; the positions, but for branches."""
    mask_B1TS: Tensor | None
    """True where a token may look; None for the first tokens, where plain causality says it."""


def begin_reading(cache: KVCache, num_tokens: int, branches: Branches | None) -> Reading:
    """Where `num_tokens` new tokens of each sequence stand, and what they may look at."""
    device = cache.lengths_B.device
    places_BT = cache.lengths_B[:, None] + torch.arange(num_tokens, device=device)
    reach_S = torch.arange(cache.max_length + num_tokens, device=device)
    if branches is not None:
        positions_BT = cache.lengths_B[:, None] + branches.depths_BT
        mask_BTS = (reach_S < cache.lengths_B[:, None, None]).repeat(1, num_tokens, 1)
        places_BTT = places_BT[:, None, :].expand(branches.sees_BTT.shape)
        mask_B1TS = mask_BTS.scatter(2, places_BTT, branches.sees_BTT)[:, None]
        return Reading(cache, positions_BT, places_BT, mask_B1TS)
    if cache.max_length == 0:
        return Reading(cache, places_BT, places_BT, None)
    return Reading(cache, places_BT, places_BT, reach_S <= places_BT[:, None, :, None])
