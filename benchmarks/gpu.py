"""All that one GPU can tell of figure4's training in ten minutes, the most important first.

    git clone https://github.com/karpathy/nanoGPT ../nanoGPT
    python benchmarks/gpu.py --nanogpt ../nanoGPT

A matrix product's rate and attention's kernels; tokens per second, MFU and memory at the paper's
four shapes beside nanoGPT and transformers; where a step's time goes; a training killed and
resumed, and one split by FSDP. Each result is written as soon as it is known, so a run that is cut
keeps what it had; what time did not allow is named.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gpu_queue import SMALL, Queue, Task, memory_gib
from gpu_report import Findings
from result_table import RESULTS
from train_contenders import BARE_LOOP, CONTENDERS, ONE_GRAPH, Setting, missing
from train_step import DTYPES, SHAPES
from train_workers import OURS
from training_jobs import write_tokens
from yardsticks import measure

from pipeline.shared.training.watch import process_age_s

_SMALL_SHAPE = {"cuda": (4, 4, 256, 256, 8), "cpu": (2, 2, 32, 64, 2)}
_SMALL_STEPS = {"cuda": 60, "cpu": 12}
_PEERS = ("nanoGPT", "transformers")
_NAMES = (OURS, *CONTENDERS, SMALL)


def main() -> None:
    """The command line."""
    options = _parse()
    until_s = time.monotonic() - process_age_s() + 60.0 * options.minutes
    # A process that is ended may have been writing what it compiled.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _share_compiled_kernels(Path(folder, "compiled"))
        tokens = Path(folder, "tokens")
        write_tokens(tokens, options.vocab_size, 1_000_000)
        tasks = list(_tasks(options, tokens))
        first = tasks[0].setting
        yardsticks = measure(
            options.device,
            DTYPES[options.precision],
            (first.sequences, first.n_head, first.context, first.n_embd // first.n_head),
        )
        findings = Findings(yardsticks, options.precision)
        _tell(findings, options, f"{yardsticks.product_flops_per_s:.4g} FLOP/s, a matrix product")
        queue = Queue(
            [_fitted(task, yardsticks.memory_gib) for task in tasks],
            memory_gib=0.93 * yardsticks.memory_gib,
            until_s=until_s,
            at_once=options.at_once,
            threads=options.threads,
            round_s=options.round_s,
        )
        for result in queue.results():
            _tell(findings, options, findings.add(result))
        for line in findings.left_out:
            _say(line)


def _tell(findings: Findings, options: argparse.Namespace, line: str) -> None:
    path = findings.write(options.device, options.results)
    _say(f"{line} (written: {path})")


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _share_compiled_kernels(folder: Path) -> None:
    """What one process has compiled the next one finds; both take a part of the cores."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "6")


def _tasks(options: argparse.Namespace, tokens: Path) -> Iterator[Task]:
    """What is to be done, the most important first."""
    for shape, name, compiled in _order(options):
        if name not in options.contenders:
            continue
        task = _task(options, tokens, shape, name, compiled)
        if why := missing(name, task.setting):
            _say(f"left out: {task.shape}: {task.label}: {why}")
            continue
        yield task


def _order(options: argparse.Namespace) -> Iterator[tuple[str, str, bool]]:
    """Shape, contender, compiled.

    The ends of the ladder come first. Compiling nanoGPT at 48 layers takes as long as all before
    it, so it comes late; transformers is compiled last, since few compile it.
    """
    first, *middle = options.shapes
    last = middle.pop() if middle else None
    compiled = options.compile
    yield from [(first, OURS, compiled), (first, "nanoGPT", compiled)]
    yield (first, "transformers", False)
    if last:
        yield (last, OURS, compiled)
    yield ("", SMALL, compiled)
    yield from [(shape, name, compiled) for name in (OURS, "nanoGPT") for shape in middle]
    yield from [(shape, "transformers", False) for shape in middle]
    if last:
        yield from [(last, "nanoGPT", compiled), (last, "transformers", False)]
    yield from [(first, name, compiled) for name in (BARE_LOOP, ONE_GRAPH)]
    if compiled:
        yield (first, "transformers", True)


def _task(options: argparse.Namespace, tokens: Path, shape: str, name: str, compiled: bool) -> Task:
    small = name == SMALL
    n_layer, n_head, n_embd, context, sequences = (
        _SMALL_SHAPE[options.device] if small else SHAPES[shape]
    )
    setting = Setting(
        n_layer=n_layer,
        n_head=n_head,
        n_embd=n_embd,
        context=context,
        sequences=sequences,
        vocab_size=options.vocab_size,
        precision=options.precision,
        device=options.device,
        compile=compiled,
        tokens=tokens,
        nanogpt=options.nanogpt,
        micro_batches=1 if small else options.micro_batches,
    )
    ends = {options.shapes[0], options.shapes[-1]}
    profile = name in {OURS, ONE_GRAPH} and shape in ends
    profile |= name == "nanoGPT" and shape == options.shapes[0]
    return Task(shape, name, setting, _SMALL_STEPS[options.device] if small else 1, profile)


def _fitted(task: Task, card_gib: float) -> Task:
    """The same with a micro-batch that leaves room on the card; the step stays as large."""
    setting = task.setting
    while setting.sequences > 1 and memory_gib(task.name, setting) > 0.8 * card_gib:
        setting = replace(
            setting, sequences=setting.sequences // 2, micro_batches=2 * setting.micro_batches
        )
    return replace(task, setting=setting)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--minutes", type=float, default=9.5, help="all in all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=[*SHAPES][-4:])
    parser.add_argument("--contenders", nargs="+", choices=_NAMES, default=[*_NAMES])
    parser.add_argument("--precision", choices=DTYPES, default="bfloat16")
    parser.add_argument("--vocab-size", type=int, default=50257)
    parser.add_argument("--micro-batches", type=int, default=4, help="of a step")
    parser.add_argument("--at-once", type=int, default=4, help="contenders that start together")
    parser.add_argument("--threads", type=int, default=4, help="of a contender on the CPU")
    parser.add_argument("--round-s", type=float, default=1.5, help="seconds of a timed round")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    main()
