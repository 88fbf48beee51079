"""How GPT-2 is trained: parameter groups, and the LightningModule that follows a recipe."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from models.adamw import AdamW
from models.gpt2 import GPT2
from models.loss_spikes import SpikeDetector
from models.recipe import Recipe


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases and LayerNorms do not; embeddings are matrices."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


class LanguageModelling(pl.LightningModule):
    """Next-token training of a GPT-2; each batch is [B, T + 1] tokens, one longer than context."""

    loss_sum: Tensor
    """Of the micro-batches of this rank since the last point of the loss curve."""
    bad_step: Tensor
    """The first step whose loss or gradient was no number, or -1."""
    spikes: SpikeDetector
    """Sees this rank's share of each step's loss."""

    def __init__(self, model: GPT2, recipe: Recipe, *, first_step: int = 0) -> None:
        """`first_step` is the number of the next optimiser step: 0, or a checkpoint's."""
        super().__init__()
        self.model, self.recipe, self.step = model, recipe, first_step

    def on_fit_start(self) -> None:
        """Begin this rank's sums; no buffers, which DDP would overwrite with those of rank 0."""
        # Kept on the device and read seldom: asking for a number makes the host wait for it.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.bad_step = torch.full((), -1, device=self.device)
        self.spikes = SpikeDetector(self.device)
        self._step_loss = torch.zeros((), device=self.device)

    def configure_model(self) -> None:
        """Split the parameters over the devices, where the strategy (FSDP2) brings a mesh."""
        mesh = getattr(self, "_device_mesh", None)
        if mesh is None:
            return
        from torch.distributed.fsdp import FSDPModule, fully_shard  # here: it takes a second

        if isinstance(self.model, FSDPModule):
            return
        for block in self.model.h:
            fully_shard(block, mesh=mesh["data_parallel"])
        fully_shard(self.model, mesh=mesh["data_parallel"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, in its fused form, which reads and writes each tensor once."""
        groups = parameter_groups(self.model, self.recipe.weight_decay)
        return AdamW(groups, lr=self.recipe.learning_rate, betas=self.recipe.adam_betas, fused=True)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the step's learning rate: a function of its number alone."""
        rate = self.recipe.learning_rate_at(self.step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch_BT: Tensor, batch_idx: int) -> Tensor:
        """Mean loss of a micro-batch in nats per token."""
        loss = self.model.mean_loss(batch_BT[:, :-1], batch_BT[:, 1:])
        self.loss_sum += loss.detach()
        self._step_loss += loss.detach()
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the global norm, and remember the first step whose norm is no number."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip_norm)
        if hasattr(norm, "full_tensor"):  # of parameters split over devices
            norm = norm.full_tensor()
        fresh = (self.bad_step < 0) & ~torch.isfinite(norm)
        self.bad_step.copy_(torch.where(fresh, self.step, self.bad_step))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look whether the step's loss leapt: before callbacks read and save what was seen."""
        self.spikes.update(self.step, self._step_loss / self.trainer.accumulate_grad_batches)
        self._step_loss.zero_()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count optimiser steps (callbacks run before this and see the step's own number)."""
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0:
            self.step += 1
