"""Time a training step: figure4 against nanoGPT, litgpt and transformers, on this machine.

    git clone https://github.com/karpathy/nanoGPT ../nanoGPT
    pip install -r benchmarks/requirements.txt
    python benchmarks/train_step.py --nanogpt ../nanoGPT

Every contender trains in a process of its own; they take turns in rounds, and a ratio is the median
of the ratios within each round. Results go to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from result_table import Row, compare, write_results
from train_contenders import BARE_LOOP, CONTENDERS, Setting, missing
from train_workers import OURS, PHASES, Measure, Worker
from training_jobs import write_tokens

from models.compute import (
    FLOPS_CONVENTION,
    matmul_flops_per_s,
    model_flops_utilisation,
    training_flops_per_token,
)
from models.gpt2 import GPT2Config

# layers, heads, width, context, sequences a step
SHAPES = {
    "tiny-xl": (4, 4, 96, 128, 4),
    "s": (4, 4, 128, 256, 16),
    "m": (6, 6, 384, 256, 8),
    "117M": (12, 12, 768, 1024, 16),
    "345M": (24, 16, 1024, 1024, 16),
    "762M": (36, 20, 1280, 1024, 8),
    "1542M": (48, 25, 1600, 1024, 8),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_EMULATED = 4  # times slower than float32: nobody trains in such a precision
NAMES = (OURS, *CONTENDERS)


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


def main() -> None:
    """The command line."""
    options = _parse()
    cases, peaks = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for precision, dtype in DTYPES.items():
            peaks[precision] = matmul_flops_per_s(options.device, dtype)
            print(f"{precision}: a large matrix product reaches {peaks[precision]:.3g} FLOP/s")
        precisions = [p for p in options.precisions if peaks[p] > peaks["float32"] / _EMULATED]
        if precisions != options.precisions:
            print("left out: bfloat16: this processor has no instructions for it")
        for shape in options.shapes:
            for vocab_size in options.vocab_sizes:
                tokens = Path(folder, str(vocab_size))
                if not tokens.exists():
                    write_tokens(tokens, vocab_size)
                for precision in precisions:
                    cases.append(_measure_case(options, shape, vocab_size, precision, tokens))
                    _print_case(cases[-1])
    rows = [row for case in cases for row in _rows(case)]
    print("written:", write_results("train_step", options.device, rows, _notes(cases, peaks)))


def _measure_case(
    options: argparse.Namespace, shape: str, vocab_size: int, precision: str, tokens: Path
) -> Case:
    n_layer, n_head, n_embd, context, sequences = SHAPES[shape]
    setting = Setting(
        n_layer=n_layer,
        n_head=n_head,
        n_embd=n_embd,
        context=context,
        sequences=options.sequences or sequences,
        vocab_size=vocab_size,
        precision=precision,
        device=options.device,
        compile=False,
        tokens=tokens,
        nanogpt=options.nanogpt,
    )
    case = Case(f"{shape}, vocabulary {vocab_size}, {precision}", setting, {}, {}, {})
    groups = list(_contenders(options, setting))
    # On a GPU one at a time: together they would share its memory, and it is not noisy.
    for group in [[one] for one in groups] if options.device == "cuda" else [groups]:
        _take_turns(options, case, group)
    return case


def _contenders(options: argparse.Namespace, setting: Setting) -> Iterator[tuple[str, str, bool]]:
    """Label, name and whether compiled."""
    for name in options.contenders:
        if why := missing(name, setting):
            print(f"left out: {name}: {why}", file=sys.stderr)
            continue
        for compiled in options.compile:
            yield name + (" + compile" if compiled else ""), name, compiled


def _take_turns(
    options: argparse.Namespace, case: Case, group: Sequence[tuple[str, str, bool]]
) -> None:
    with ExitStack() as stack:
        workers = {}
        for label, name, compiled in group:
            setting = Setting(**(vars(case.setting) | {"compile": compiled}))
            workers[label] = stack.enter_context(closing(Worker(name, setting, options.threads)))
            began_s = time.perf_counter()
            workers[label].run(1)
            case.compile_s[label] = time.perf_counter() - began_s
            print(f"{case.name}: {label}: first step after {case.compile_s[label]:.1f} s")
        steps = {label: _steps(worker, options.round_s) for label, worker in workers.items()}
        labels = list(workers)
        for number in range(options.rounds):
            first = number % len(labels)  # nobody always follows the same other
            for label in labels[first:] + labels[:first]:
                rate = workers[label].run(steps[label]).tokens_per_s
                case.rounds.setdefault(label, []).append(rate)
        for label, worker in workers.items():
            case.split[label] = worker.run(steps[label], split=True)


def _steps(worker: Worker, round_s: float) -> int:
    """Steps that take about `round_s`, after some to warm up."""
    began_s = time.perf_counter()
    worker.run(2)
    return max(1, round(round_s / ((time.perf_counter() - began_s) / 2)))


def _rows(case: Case) -> list[Row]:
    """The train stage's own training against each peer, and against a bare loop of its module."""
    rows = []
    best = case.best([name for name in case.rounds if name.startswith(OURS)])
    for peer in case.rounds:
        if peer.startswith(OURS) or best is None:
            continue
        if not peer.startswith(BARE_LOOP):
            rows.append(_rate_row(case, best, peer))
            memory = case.split[best].peak_mib, case.split[peer].peak_mib
            rows.append(compare(case.name, *memory, peer, "MiB", higher_is_better=False))
        elif (ours := peer.replace(BARE_LOOP, OURS, 1)) in case.rounds:
            rows.append(_rate_row(case, ours, peer))
    return rows


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


def _notes(cases: Sequence[Case], peaks: dict[str, float]) -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "lightning", "transformers", "litgpt")
    )
    left_out = [name for name, value in peaks.items() if value < peaks["float32"] / _EMULATED]
    peak = "; ".join(f"{name} {value:.4g} FLOP/s" for name, value in peaks.items())
    lines = [
        f"`{' '.join(['python', *sys.argv])}`; Python {platform.python_version()}, {packages}.",
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


def _print_case(case: Case) -> None:
    for label, rates in sorted(case.rounds.items(), key=lambda item: -max(item[1])):
        print(f"{case.name}: {label}: {statistics.median(rates):,.0f} tokens/s")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["s", "m"])
    parser.add_argument("--vocab-sizes", nargs="+", type=int, default=[8192, 50257])
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--contenders", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--compile", nargs="+", type=int, choices=(0, 1), default=[0, 1], help="without and with"
    )
    parser.add_argument("--sequences", type=int, help="of a step (default: the shape's)")
    parser.add_argument("--threads", type=int, default=2, help="of each contender on a CPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-s", type=float, default=4.0, help="seconds of one turn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
