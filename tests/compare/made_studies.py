"""Studies for comparisons: a made study whose losses a seed moves, as a training's chance does."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from shipped_sizes import SIZES

from pipeline.shared.files import read_json, write_json

SPLITS = ("train", "test")


def copy_study(made: Path, root: Path, *, seed: int = 1, profile: str = "tiny") -> Path:
    """A checkout's folder with this study in data/<profile>; returns that folder."""
    folder = root / "data" / profile
    for name in ("train", "evaluate"):
        shutil.copytree(made / name, folder / name)
    write_params(root, seed, profile=profile)
    if seed != 1:
        move_losses(folder, seed)
    return folder


def write_params(root: Path, seed: int, *, profile: str = "tiny", **train: Any) -> None:
    """A params.yaml with what a comparison reads of it."""
    seeds = {"corpus": 1, "split": 1, "order": seed, "initialisation": seed, "sampling": 1}
    section = {"seeds": seeds, "train": {"tokens": 1_500_000, **train}, "compute": {"threads": 1}}
    content = {"profile": profile, "sizes": list(SIZES), "profiles": {profile: section}}
    (root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def move_losses(folder: Path, seed: int, spread: float = 0.02) -> None:
    """Multiply each size's losses by its own factor, the same for all of its documents."""
    for number, size in enumerate(SIZES):
        factor = math.exp(spread * np.random.default_rng([seed, number]).normal())
        for split in SPLITS:
            scale(folder / "evaluate" / size, f"webtext_{split}", factor)


def scale(folder: Path, name: str, factor: float) -> None:
    """Multiply the losses of one set, and its reported perplexity with them."""
    path = folder / f"{name}.examples.parquet"
    table = pd.read_parquet(path)
    table["loss_nats"] *= factor
    table["num_bytes"] = 3 * table["num_units"]
    table.to_parquet(path, index=False)
    result = read_json(folder / f"{name}.json")
    mean = table["loss_nats"].sum() / table["num_units"].sum()
    result["metrics"]["perplexity"] = math.exp(mean)
    write_json(folder / f"{name}.json", result)


def change_training(folder: Path, **values: Any) -> None:
    """Change metrics.json of every size's training."""
    for size in SIZES:
        path = folder / "train" / size / "metrics.json"
        write_json(path, read_json(path) | values)
