"""How often a training read each token, worked out anew from what it left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd


def times_read(trained: Path, *, order_seed: int) -> dict[str, np.ndarray]:
    """Document -> how often each of its tokens was predicted: [tokens].

    From documents.parquet, config.json and metrics.json of a trained model alone: the rule of
    docs/method.md in other words than the code's.
    """
    documents = pd.read_parquet(trained / "documents.parquet")
    context = json.loads((trained / "config.json").read_text())["n_positions"]
    left = json.loads((trained / "metrics.json").read_text())["tokens"] // context
    total = int(documents["tokens"].sum())
    offset = np.random.default_rng(order_seed).integers(context)
    counts = np.zeros(total, int)
    begun = number = 0
    while left:
        end = -((number + 1) * total // -context)
        shuffled = np.random.default_rng([order_seed, number]).permutation(end - begun - 1)
        for block in [*(begun + shuffled), end - 1][:left]:
            counts[(offset + block * context + 1 + np.arange(context)) % total] += 1
        left -= min(left, end - begun)
        begun, number = end, number + 1
    pieces = np.split(counts, np.cumsum(documents["tokens"])[:-1])
    return dict(zip(documents["id"], pieces, strict=True))
