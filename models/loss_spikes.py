"""Notice losses that leap out of their own recent past, without making the host wait.

A running mean and variance of the step's loss live on the device; a step more than `_SIGMAS`
deviations above the mean is a spike. The host asks seldom, and gets the first spike since then.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_SIGMAS = 6.0
_BOUND_SIGMAS = 3.0
_MEAN_DECAY = 0.9  # each step: short, so that the mean keeps up with a falling curve
_VARIANCE_DECAY = 0.98
_LEARNING_STEPS = 50  # before that, mean and variance say little
_LEAST_DEVIATION = 0.05  # nats per token: a smooth curve's noise is no event


class Spike(NamedTuple):
    """A step whose loss leapt; losses in nats per token, of one device's share of the batch."""

    step: int
    loss: float
    usual: float
    """The running mean before it."""


class SpikeDetector:
    """State of one training; its numbers are float64 scalars on the device."""

    def __init__(self, device: torch.device | str) -> None:
        self._mean, self._variance, self._seen = torch.zeros(3, dtype=torch.float64, device=device)
        self._spike = torch.full((3,), -1.0, dtype=torch.float64, device=device)

    def update(self, step: int, loss: Tensor) -> None:
        """Look at the loss of one step, a scalar on the device."""
        deviation = self._variance.sqrt().clamp(min=_LEAST_DEVIATION)
        leap = loss - self._mean
        spike = (leap > _SIGMAS * deviation) & (self._seen >= _LEARNING_STEPS)
        found = torch.stack([torch.full_like(self._mean, step), loss.double(), self._mean])
        self._spike = torch.where(spike & (self._spike[0] < 0), found, self._spike)
        # A far step moves mean and variance by a bound only, or the next one would seem usual. The
        # first loss is the mean; a loss that is no number is for others to stop at.
        bound = _BOUND_SIGMAS * deviation
        first = self._seen == 0
        leap = torch.where(first, leap, leap.clamp(-bound, bound)).nan_to_num(0.0, 0.0, 0.0)
        self._mean = self._mean + torch.where(first, 1.0, 1.0 - _MEAN_DECAY) * leap
        squared = torch.where(first, 0.0, leap**2)
        self._variance = torch.lerp(squared, self._variance, _VARIANCE_DECAY)
        self._seen = self._seen + 1

    def take(self) -> Spike | None:
        """The first spike since the last call; waits for the device."""
        step, loss, usual = self._spike.tolist()
        if step < 0:
            return None
        self._spike = torch.full_like(self._spike, -1.0)
        return Spike(int(step), loss, usual)

    def state(self) -> Tensor:
        """What a checkpoint keeps, [6] on the CPU: also the spike that nobody has taken yet."""
        usual = torch.stack([self._mean, self._variance, self._seen])
        return torch.cat([usual, self._spike]).cpu()

    def load(self, state: Tensor) -> None:
        """Go on from a checkpoint's `state`."""
        there = state.to(self._mean.device)
        self._mean, self._variance, self._seen = there[:3]
        self._spike = there[3:]
