"""Time a training step: figure4 against nanoGPT, litgpt and transformers, on this machine.

    git clone https://github.com/karpathy/nanoGPT ../nanoGPT
    pip install -r benchmarks/requirements.txt
    python benchmarks/train_step.py --nanogpt ../nanoGPT

Every contender trains in a process of its own; they take turns in rounds, and a ratio is the median
of the ratios within each round. Each is timed as it comes: figure4 with the settings of threads
and memory that its stages give themselves, the peers with torch's own. With `--peer-settings
figure4` all have figure4's, which leaves the difference of the code alone. Results go to
benchmarks/results/.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch
from result_table import name_part, write_results
from train_contenders import BARE_LOOP, CONTENDERS, ONE_GRAPH, Setting, missing
from train_table import EMULATED, Case, notes, rows
from train_workers import OURS, Worker
from training_jobs import write_tokens

from models.compute import matmul_flops_per_s

# layers, heads, width, context, sequences a step, all at once
SHAPES = {
    "tiny-xl": (4, 4, 96, 128, 4),
    "s": (4, 4, 128, 256, 16),
    "m": (6, 6, 384, 256, 8),
    "117M": (12, 12, 768, 1024, 16),
    "345M": (24, 16, 1024, 1024, 16),
    "762M": (36, 20, 1280, 1024, 8),
    "1542M": (48, 25, 1600, 1024, 8),
}
_LEAST_STEPS = 5  # of a turn: with one or two, a ratio is that of the machine's moments
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OUR_NAMES = (OURS, BARE_LOOP, ONE_GRAPH)
NAMES = (OURS, *(name for name in CONTENDERS if name != ONE_GRAPH))
WHOLE: dict[str, Any] = {
    "shapes": ["s", "m"],
    "vocab_sizes": [8192, 50257],
    "precisions": list(DTYPES),
    "peer_settings": "own",
}


def main() -> None:
    """The command line."""
    options = _parse()
    cases, peaks = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for precision, dtype in DTYPES.items():
            peaks[precision] = matmul_flops_per_s(options.device, dtype)
            print(f"{precision}: a large matrix product reaches {peaks[precision]:.3g} FLOP/s")
        precisions = [p for p in options.precisions if peaks[p] > peaks["float32"] / EMULATED]
        if precisions != options.precisions:
            print("left out: bfloat16: this processor has no instructions for it")
        for shape in options.shapes:
            for vocab_size in options.vocab_sizes:
                tokens = Path(folder, str(vocab_size))
                if not tokens.exists():
                    write_tokens(tokens, vocab_size)
                for precision in precisions:
                    setting = _setting(options, shape, vocab_size, precision, tokens)
                    name = f"{shape}, vocabulary {vocab_size}, {precision}"
                    for suffix, group in _groups(options, setting):
                        cases.append(_measure_case(options, name + suffix, setting, group))
                        _print_case(cases[-1])
                    # A shared machine is not always at its best.
                    again = matmul_flops_per_s(options.device, DTYPES[precision])
                    peaks[precision] = max(peaks[precision], again)
    table = [row for case in cases for row in rows(case)]
    name = name_part("train_step", options, WHOLE)
    print("written:", write_results(name, options.device, table, notes(cases, peaks)))


def _setting(
    options: argparse.Namespace, shape: str, vocab_size: int, precision: str, tokens: Path
) -> Setting:
    n_layer, n_head, n_embd, context, sequences = SHAPES[shape]
    return Setting(
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


Labelled = tuple[str, str, bool]
"""Label, name and whether compiled."""


def _groups(
    options: argparse.Namespace, setting: Setting
) -> Iterator[tuple[str, Sequence[Labelled]]]:
    """Who competes: the peers all together, and the bare loop alone with figure4.

    With ten processes taking turns, a tenth of a rate depends on who went before; Lightning's
    overhead is less than that.
    """
    labelled = list(_contenders(options, setting))
    yield "", [one for one in labelled if one[1] != BARE_LOOP]
    if any(name == BARE_LOOP for _, name, _ in labelled):
        both = [one for one in labelled if one[1] in {OURS, BARE_LOOP} and not one[2]]
        yield ", overhead of Lightning", both


def _measure_case(
    options: argparse.Namespace, name: str, setting: Setting, group: Sequence[Labelled]
) -> Case:
    case = Case(name, setting, {}, {}, {})
    # On a GPU one at a time: together they would share its memory, and it is not noisy.
    for some in [[one] for one in group] if options.device == "cuda" else [group]:
        _take_turns(options, case, some)
    return case


def _contenders(options: argparse.Namespace, setting: Setting) -> Iterator[Labelled]:
    for name in options.contenders:
        if why := missing(name, setting):
            print(f"left out: {name}: {why}", file=sys.stderr)
            continue
        for compiled in options.compile:
            yield name + (" + compile" if compiled else ""), name, compiled


def _take_turns(options: argparse.Namespace, case: Case, group: Sequence[Labelled]) -> None:
    with ExitStack() as stack:
        workers = {}
        for label, name, compiled in group:
            setting = Setting(**(vars(case.setting) | {"compile": compiled}))
            ours = options.peer_settings == "figure4" or name in OUR_NAMES
            worker = Worker(name, setting, options.threads, our_settings=ours)
            workers[label] = stack.enter_context(closing(worker))
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
    """Steps that take about `round_s`, and a few at least, after some to warm up."""
    began_s = time.perf_counter()
    worker.run(2)
    return max(_LEAST_STEPS, round(round_s / ((time.perf_counter() - began_s) / 2)))


def _print_case(case: Case) -> None:
    for label, rates in sorted(case.rounds.items(), key=lambda item: -max(item[1])):
        print(f"{case.name}: {label}: {statistics.median(rates):,.0f} tokens/s")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=WHOLE["shapes"])
    parser.add_argument("--vocab-sizes", nargs="+", type=int, default=WHOLE["vocab_sizes"])
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=WHOLE["precisions"])
    parser.add_argument("--contenders", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--compile", nargs="+", type=int, choices=(0, 1), default=[0, 1], help="without and with"
    )
    parser.add_argument("--sequences", type=int, help="of a step (default: the shape's)")
    parser.add_argument("--threads", type=int, default=2, help="of each contender on a CPU")
    parser.add_argument(
        "--peer-settings",
        choices=("own", "figure4"),
        default=WHOLE["peer_settings"],
        help="of threads and memory: the peers' own, which are torch's, or those of figure4",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-s", type=float, default=4.0, help="seconds of one turn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
