"""A second of a stage's start is torch's compiler, which nothing that is not compiled needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.adamw import AdamW
from models.gpt2 import GPT2Config, empty_model

_CONFIG = "GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=1)"
_STEP = f"""
import sys
import torch
import pipeline.shared.training.lean_lightning
import pipeline.shared.training.fit
from models.adamw import AdamW
from models.gpt2 import GPT2Config, empty_model
from models.weight_files import _shapes
config = {_CONFIG}
model = empty_model(config)
assert _shapes(config) == {{name: t.shape for name, t in model.state_dict().items()}}
model.initialise(torch.Generator(), "none")
optimizer = AdamW(model.parameters(), fused=True)
tokens_BT = torch.zeros(1, 16, dtype=torch.long)
model.mean_loss(tokens_BT, tokens_BT).backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
import torch._dynamo
print(torch._dynamo.OptimizedModule.__module__)
"""


def test_a_training_does_not_import_the_compiler_and_leaves_it_to_whoever_does(
    project: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STEP], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "torch._dynamo.eval_frame"]


@pytest.mark.parametrize("fused", [True, False])
def test_adamw_is_that_of_torch_to_the_last_bit(fused: bool) -> None:
    config = GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=1)
    tokens_BT = torch.arange(32).view(2, 16)
    ends = []
    for kind in (torch.optim.AdamW, AdamW):
        model = empty_model(config)
        model.initialise(torch.Generator().manual_seed(1), "none")
        optimizer = kind(model.parameters(), lr=0.01, weight_decay=0.1, fused=fused)
        seen = []
        optimizer.register_step_post_hook(lambda *_, seen=seen: seen.append(1))
        for _ in range(3):
            optimizer.zero_grad()
            model.mean_loss(tokens_BT, tokens_BT).backward()
            optimizer.step()
        assert len(seen) == 3
        ends.append((model.state_dict(), optimizer.state_dict()))
    torch.testing.assert_close(*ends, rtol=0, atol=0)


def test_an_empty_model_draws_nothing() -> None:
    before = torch.get_rng_state()
    empty_model(GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=1))
    assert torch.equal(before, torch.get_rng_state())
