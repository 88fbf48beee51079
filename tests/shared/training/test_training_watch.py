"""The held-out loss of a compiled model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from models.gpt2 import GPT2, GPT2Config
from models.recipe import Recipe
from models.training import LanguageModelling
from pipeline.shared.training.watch import held_out_loss

RECIPE = Recipe(
    order_seed=1,
    initialisation_seed=1,
    learning_rate=1e-3,
    tokens=100,
    batch_tokens=100,
    warmup_tokens=0,
    min_learning_rate_fraction=1.0,
    weight_decay=0.1,
    adam_betas=(0.9, 0.95),
    gradient_clip_norm=1.0,
    residual_init="layers",
)


@pytest.mark.filterwarnings("ignore")  # torch's own, as it compiles
def test_the_last_short_window_is_read_without_compiling_for_it() -> None:
    model = GPT2(GPT2Config(101, 32, 16, 1, 2))
    model.initialise(torch.Generator().manual_seed(1), "layers")
    module = LanguageModelling(model, RECIPE)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    generator = torch.Generator().manual_seed(2)
    windows = [torch.randint(101, (size,), generator=generator) for size in (33, 33, 10)]
    job: Any = SimpleNamespace(params=SimpleNamespace(micro_batch_sequences=1, compile=True))
    expected = held_out_loss(trainer, module, windows, job)
    graphs: list[Any] = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(inputs)
        return graph.forward

    model.h[0].compile(backend=count)
    assert held_out_loss(trainer, module, windows, job) == pytest.approx(expected, abs=1e-6)
    assert len(graphs) == 1
