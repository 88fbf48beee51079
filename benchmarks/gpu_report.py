"""What gpu.py has measured so far, as rows and notes; written anew after each result."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu_queue import LeftOut, Result, Timing, config_of
from result_table import Row, command_line, compare, write_results
from small_trainings import AGAIN, ALONE, FSDP, KILLED, SmallTrainings
from step_profile import StepProfile
from train_workers import OURS
from yardsticks import Yardsticks

from models.compute import (
    FLOPS_CONVENTION,
    model_flops_utilisation,
    num_parameters,
    training_flops_per_token,
)

_PACKAGES = ("torch", "triton", "lightning", "pytorch-lightning", "transformers")
_LONGEST_KERNELS = 12
_STATE_BYTES = 16  # of a parameter: itself, its gradient and AdamW's two moments, in float32


@dataclass
class Findings:
    """All that is known."""

    yardsticks: Yardsticks
    precision: str
    timings: list[Timing] = field(default_factory=list)
    small: SmallTrainings | None = None
    left_out: list[str] = field(default_factory=list)

    def add(self, result: Result) -> str:
        """Take up a result; returns it in a line."""
        if isinstance(result, Timing):
            self.timings.append(result)
            return (
                f"{result.task.shape}: {result.task.label}: {_rate(result):,.0f} tokens/s, "
                f"MFU {_mfu(result, self.yardsticks.product_flops_per_s):.1%}, "
                f"{result.peak_mib / 1024:.1f} GiB"
            )
        if isinstance(result, LeftOut):
            line = f"left out: {result.task.shape}: {result.task.label}: {result.why}"
            self.left_out.append(line)
            return line
        self.small = result
        return " ".join(_tell_small(result))

    def write(self, device: str, folder: Path) -> Path:
        """Write the table and its JSON; returns the table."""
        return write_results("gpu", device, list(self.rows()), "\n".join(self.notes()), folder)

    def rows(self) -> Iterator[Row]:
        """figure4's rate against product, data sheet and peers, and its memory."""
        for ours in (one for one in self.timings if one.task.name == OURS):
            yield from self._rows_of(ours)

    def _rows_of(self, ours: Timing) -> Iterator[Row]:
        shape, setting = ours.task.shape, ours.task.setting
        flops_per_s = _rate(ours) * training_flops_per_token(config_of(setting))
        sheet = self.yardsticks.sheet_flops_per_s
        peaks = {"a large matrix product (MFU)": self.yardsticks.product_flops_per_s}
        for name, peak in (peaks | ({"the data sheet (MFU)": sheet} if sheet else {})).items():
            yield compare(shape, flops_per_s, peak, name, "FLOP/s")
        state_mib = num_parameters(config_of(setting)) * _STATE_BYTES / 2**20
        yield compare(
            f"{shape}, micro-batch {setting.sequences}",
            ours.peak_mib,
            state_mib,
            "parameters, gradients and AdamW's state alone",
            "MiB",
            higher_is_better=False,
        )
        for peer in self.timings:
            if peer.task.shape != shape or peer.task.name == OURS:
                continue
            yield compare(shape, _rate(ours), _rate(peer), peer.task.label, "tokens/s")

    def notes(self) -> Iterator[str]:
        """Versions, yardsticks, every contender's figures, the small trainings, profiles."""
        yield f"`{command_line()}`; Python {platform.python_version()}, {_versions()}."
        yield from self._tell_yardsticks()
        yield (
            f"A step, in {self.precision}, is some micro-batches' forward and backward, clipping "
            f"and AdamW. figure4 is the train stage's own training. FLOPs {FLOPS_CONVENTION}."
        )
        yield from ("", *self._table(), "")
        if self.small:
            yield from (*_tell_small(self.small), "")
        for timing in self.timings:
            if timing.profile:
                yield from ("", *_tell_profile(timing, timing.profile))
        yield from ("", *self.left_out)

    def _tell_yardsticks(self) -> Iterator[str]:
        sticks = self.yardsticks
        sheet = sticks.sheet_flops_per_s and f", {sticks.sheet_flops_per_s:.4g} by its data sheet"
        yield (
            f"{sticks.device_name}: a large matrix product in {self.precision} reaches "
            f"{sticks.product_flops_per_s:.4g} FLOP/s, {sticks.held_flops_per_s:.4g} for two "
            f"seconds on end{sheet or ''}."
        )
        attention = ", ".join(f"{name} {ms:.3g} ms" for name, ms in sticks.attention_ms.items())
        yield f"Forward and backward of attention in one layer of the first shape: {attention}."

    def _table(self) -> Iterator[str]:
        yield (
            "| shape | contender | micro-batches x sequences | tokens/s | slowest, fastest round "
            "| MFU | of the data sheet | peak GiB | first step, s |"
        )
        yield "|---" * 9 + "|"
        for one in self.timings:
            sheet, setting = self.yardsticks.sheet_flops_per_s, one.task.setting
            yield (
                f"| {one.task.shape} | {one.task.label} "
                f"| {setting.micro_batches} x {setting.sequences} | {_rate(one):,.0f} "
                f"| {min(one.rates):,.0f}, {max(one.rates):,.0f} "
                f"| {_mfu(one, self.yardsticks.product_flops_per_s):.1%} "
                f"| {f'{_mfu(one, sheet):.1%}' if sheet else ''} "
                f"| {one.peak_mib / 1024:.2f} | {one.first_step_s:.1f} |"
            )


def _rate(timing: Timing) -> float:
    return statistics.median(timing.rates)


def _mfu(timing: Timing, peak_flops_per_s: float) -> float:
    flops = training_flops_per_token(config_of(timing.task.setting))
    return model_flops_utilisation(_rate(timing), flops, peak_flops_per_s)


def _versions() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _tell_small(small: SmallTrainings) -> Iterator[str]:
    """Whether a killed training ends as one left alone."""
    yield f"A small training of {small.steps} steps, one killed (-9) after step {small.killed_at}:"
    for name in (AGAIN, KILLED, FSDP):
        if name in small.failed or ALONE in small.failed:
            yield f"- {name}: failed: {small.failed.get(name) or small.failed[ALONE]}"
            continue
        bits = "the same bits" if small.same_weights[name] else "other bits"
        yield (
            f"- {name}: last loss {small.losses[name][-1]:.6f} ({small.losses[ALONE][-1]:.6f} "
            f"{ALONE}), losses at most {small.largest_difference(name):.2g} apart, weights of "
            f"{bits}"
        )


def _tell_profile(timing: Timing, profile: StepProfile) -> Sequence[str]:
    busy_s = sum(profile.kernel_s.values())
    lines = [
        f"Two steps of {timing.task.label} at {timing.task.shape}: {profile.wall_s * 1e3:.0f} ms, "
        f"of which kernels {busy_s / profile.wall_s:.1%}.",
        "",
        "| kind | ms | of the kernels |",
        "|---|---|---|",
    ]
    for kind, seconds in profile.kind_s.items():
        lines.append(f"| {kind} | {seconds * 1e3:.1f} | {seconds / busy_s:.1%} |")
    lines += ["", "| kernel | ms | calls |", "|---|---|---|"]
    for name, seconds in list(profile.kernel_s.items())[:_LONGEST_KERNELS]:
        short = name.replace("|", "/")[:90]
        lines.append(f"| `{short}` | {seconds * 1e3:.1f} | {profile.calls[name]} |")
    return lines
