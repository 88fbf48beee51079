"""Take one training step and print the seconds since this process began: start_up.py's peers.

python first_step.py lightning
python first_step.py nanogpt PATH/TO/nanoGPT/model.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _process_age_s() -> float:
    """By the kernel's clock, so that the interpreter's own start counts."""
    started_ticks = int(Path("/proc/self/stat").read_text().rsplit(") ", 1)[1].split()[19])
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    return uptime_s - started_ticks / os.sysconf("SC_CLK_TCK")


def _step_lightning() -> None:
    import logging

    import lightning.pytorch as pl
    import torch

    class Linear(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(8, 1)

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            return self.layer(batch).mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Linear(), torch.utils.data.DataLoader(torch.ones(4, 8), batch_size=2))


def _step_nanogpt(model_file: str) -> None:
    sys.path.insert(0, str(Path(model_file).parent))
    import torch
    from model import GPT, GPTConfig

    config = GPTConfig(block_size=128, vocab_size=320, n_layer=2, n_head=2, n_embd=32)
    model = GPT(config)
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")
    tokens = torch.randint(257, (8, 129))
    _, loss = model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


if __name__ == "__main__":
    {"lightning": _step_lightning, "nanogpt": _step_nanogpt}[sys.argv[1]](*sys.argv[2:])
    print(f"{_process_age_s():.3f}")
