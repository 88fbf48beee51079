"""What train_step.py measured, as rows of its table and the notes above them."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from result_table import Row, command_line, compare
from train_contenders import BARE_LOOP, Setting
from train_workers import OURS, PHASES, Measure

from models.compute import (
    FLOPS_CONVENTION,
    model_flops_utilisation,
    training_flops_per_token,
)
from models.gpt2 import GPT2Config

EMULATED = 4  # times slower than float32: nobody trains in such a precision


@dataclass(frozen=True)
class Case:
    """One shape in one precision: what each contender did, plain and compiled."""

    name: str
    setting: Setting
    rounds: dict[str, list[float]]
    """Tokens per second of each round, by contender."""
    split: dict[str, Measure]
    compile_s: dict[str, float]
    """Seconds of the first step, compilation included."""

    def best(self, labels: Sequence[str]) -> str | None:
        """The fastest of these."""
        return max(labels, key=lambda label: statistics.median(self.rounds[label]), default=None)

    def ratio(self, first: str, second: str) -> float:
        """Median over rounds of the first's rate over the second's."""
        pairs = zip(self.rounds[first], self.rounds[second], strict=True)
        return statistics.median(a / b for a, b in pairs)


def rows(case: Case) -> list[Row]:
    """The train stage's own training against each peer, and against a bare loop of its module."""
    result = []
    best = case.best([name for name in case.rounds if name.startswith(OURS)])
    for peer in case.rounds:
        if peer.startswith(OURS) or best is None:
            continue
        if not peer.startswith(BARE_LOOP):
            result.append(_rate_row(case, best, peer))
            memory = case.split[best].peak_mib, case.split[peer].peak_mib
            result.append(compare(case.name, *memory, peer, "MiB", higher_is_better=False))
        elif (ours := peer.replace(BARE_LOOP, OURS, 1)) in case.rounds:
            result.append(_rate_row(case, ours, peer))
    return result


def _rate_row(case: Case, ours: str, peer: str) -> Row:
    return Row(
        case=case.name,
        ours=statistics.median(case.rounds[ours]),
        peer=statistics.median(case.rounds[peer]),
        peer_name=peer.replace(BARE_LOOP, "a bare loop over figure4's module"),
        unit="tokens/s",
        ratio=case.ratio(ours, peer),
        higher_is_better=True,
    )


def notes(cases: Sequence[Case], peaks: dict[str, float]) -> str:
    """Versions, conventions, and every contender's own figures."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "lightning", "transformers", "litgpt")
    )
    left_out = [name for name, value in peaks.items() if value < peaks["float32"] / EMULATED]
    peak = "; ".join(f"{name} {value:.4g} FLOP/s" for name, value in peaks.items())
    lines = [
        f"`{command_line()}`; Python {platform.python_version()}, {packages}.",
        "A step is forward, backward, clipping and AdamW. Ratios: median of paired rounds; above "
        "1 figure4 is faster (or smaller). figure4 is the train stage's own training.",
        f"MFU is of a large matrix product on this machine: {peak}. FLOPs {FLOPS_CONVENTION}.",
        *(f"{name} is left out: this processor has no instructions for it." for name in left_out),
        "Milliseconds of a step by phase; figure4 computes the head's gradients in its forward.",
        "",
        "| case | contender | tokens/s | MFU | "
        + " | ".join(f"{phase}, ms" for phase in PHASES)
        + " | peak MiB | first step, s |",
        "|---" * (6 + len(PHASES)) + "|",
    ]
    for case in cases:
        shape = case.setting
        config = GPT2Config(
            shape.vocab_size, shape.context, shape.n_embd, shape.n_layer, shape.n_head
        )
        flops = training_flops_per_token(config)
        for label, rates in case.rounds.items():
            rate, split = statistics.median(rates), case.split[label]
            mfu = model_flops_utilisation(rate, flops, peaks[shape.precision])
            phases = [f"{split.phase_s[p] * 1e3:.4g}" if split.phase_s else "" for p in PHASES]
            lines.append(
                f"| {case.name} | {label} | {rate:,.0f} | {mfu:.1%} | {' | '.join(phases)} "
                f"| {split.peak_mib:,.0f} | {case.compile_s[label]:.1f} |"
            )
    return "\n".join(lines)
