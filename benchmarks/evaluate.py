"""Time zero-shot scoring: figure4 against lm-eval's Hugging Face backend and a bare batched loop.

    python benchmarks/evaluate.py --gpt2-bpe ../gpt2_bpe
    python benchmarks/evaluate.py --gpt2-bpe ../gpt2_bpe --shapes 117M --forms rolling

A part of it, as in the second line, has results of its own. All three contenders have the same
random weights, the same examples and the same threads, and take turns. The forms are LAMBADA's
(the last word of a passage), the Children's Book Test's (ten continuations of one context) and
rolling perplexity (a long text in windows of 1024 tokens; beside it, what the matrix products
alone would take).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from matrix_products import time_matrix_products
from result_table import Row, command_line, name_part, write_results
from scoring_contenders import PRECISIONS, BareLoop, Choice, Contender, Figure4, LmEval, WordPair
from scoring_texts import make_choices, make_passages, make_text

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from models.checkpoints import save_pretrained
from models.gpt2 import GPT2, GPT2Config
from pipeline.shared.formats.tokenizer import Tokenizer, gpt2_tokenizer, write_hugging_face_files

_SHAPES = {
    "s": GPT2Config(50_257, 1024, n_embd=128, n_layer=4, n_head=4),
    "117M": GPT2Config(50_257, 1024, n_embd=768, n_layer=12, n_head=12),
}
_WINDOW = 1024


class Case(NamedTuple):
    """What is timed."""

    shape: str
    precision: str
    form: str

    def __str__(self) -> str:
        return ", ".join(self)


class Work(NamedTuple):
    """What every contender is given."""

    passages: list[WordPair]
    questions: list[Choice]
    text: str
    tokens: int
    """Of `text`."""


def main() -> None:
    """The command line."""
    options = _parse()
    torch.set_num_threads(options.threads)
    tokenizer = gpt2_tokenizer(options.gpt2_bpe)
    wholes = {"shapes": _SHAPES, "precisions": PRECISIONS, "forms": _FORMS}
    name = name_part("evaluate", options, wholes)
    rows: list[Row] = []
    notes = []
    for shape, precision in itertools.product(options.shapes, options.precisions):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            _write_model(_SHAPES[shape], tokenizer, folder)
            contenders = [
                Figure4(folder, tokenizer, options.device, precision),
                LmEval(folder, options.device, precision),
                BareLoop(folder, options.device, precision),
            ]
            work = _make_work(shape, tokenizer, options)
            for form in options.forms:
                case = Case(shape, precision, form)
                found, note = _time_form(case, contenders, work, options)
                rows += found
                notes.append(note)
                # After each case, so that a stopped run leaves what it has.
                path = write_results(name, options.device, rows, _notes(notes))
                print("written:", path, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gpt2-bpe", type=Path, help="folder with encoder.json (default: fetch)")
    parser.add_argument("--shapes", nargs="+", choices=_SHAPES, default=list(_SHAPES))
    parser.add_argument("--forms", nargs="+", choices=_FORMS, default=list(_FORMS), metavar="FORM")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS), metavar="TYPE"
    )
    parser.add_argument("--passages", type=int, default=64, help="of the smallest shape")
    parser.add_argument("--questions", type=int, default=4, help="of the smallest shape")
    parser.add_argument("--windows", type=int, default=4, help="of the rolling text")
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="+",
        default=[1, 8],
        help="of the peers: the faster is taken",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def _write_model(config: GPT2Config, tokenizer: Tokenizer, folder: Path) -> None:
    model = GPT2(config)
    model.initialise(torch.Generator().manual_seed(1), "twice_layers")
    save_pretrained(model, folder)
    write_hugging_face_files(tokenizer, folder)


def _make_work(shape: str, tokenizer: Tokenizer, options: argparse.Namespace) -> Work:
    """The same examples for all; a quarter of them where a pass takes that much longer."""
    share = 1 if shape == "s" else 4
    text = make_text(tokenizer, options.windows * _WINDOW)
    return Work(
        make_passages(tokenizer, max(4, options.passages // share)),
        make_choices(tokenizer, max(1, options.questions // share)),
        text,
        len(tokenizer.encode(text)),
    )


def _lambada(contender: Contender, work: Work) -> list[float]:
    return contender.last_words(work.passages)


def _choices(contender: Contender, work: Work) -> list[float]:
    return contender.choices(work.questions)


def _rolling(contender: Contender, work: Work) -> list[float]:
    return [contender.rolling(work.text)]


Score = Callable[[Contender, Work], list[float]]
_FORMS: dict[str, tuple[Score, str]] = {
    "lambada": (_lambada, "examples/s"),
    "ten choices": (_choices, "questions/s"),
    "rolling": (_rolling, "tokens/s"),
}


def _time_form(
    case: Case, contenders: list[Contender], work: Work, options: argparse.Namespace
) -> tuple[list[Row], str]:
    """Find each peer's batch size, then take turns; rates, ratios, the largest disagreement."""
    shape, precision, form = case
    score, unit = _FORMS[form]
    counts = {"lambada": len(work.passages), "ten choices": len(work.questions)}
    amount = counts.get(form, work.tokens)
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    sums = {contender.name: score(contender, work) for contender in contenders}  # and warmed up
    for peer in contenders[1:]:
        took_s = {size: _time(score, peer, work, size) for size in options.batch_sizes}
        peer.batch_size = min(took_s, key=lambda size: took_s[size])
    floor_s: list[float] = []
    for _ in range(options.rounds):
        for contender in contenders:
            seconds[contender.name].append(_time(score, contender, work, contender.batch_size))
        if form == "rolling":
            floor_s.append(
                time_matrix_products(_SHAPES[shape], options.windows, options.device, precision)
            )
        took = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items())
        print(f"{case}: {took}", flush=True)
    ours, *peers = contenders
    rows = [
        Row(
            case=str(case),
            ours=amount / statistics.median(seconds[ours.name]),
            peer=amount / statistics.median(seconds[peer.name]),
            peer_name=peer.name,
            unit=unit,
            ratio=statistics.median(
                theirs / mine
                for mine, theirs in zip(seconds[ours.name], seconds[peer.name], strict=True)
            ),
            higher_is_better=True,
        )
        for peer in peers
    ]
    apart = max(
        abs(mine - theirs) / max(1.0, abs(mine))
        for peer in peers
        for mine, theirs in zip(sums[ours.name], sums[peer.name], strict=True)
    )
    sizes = ", ".join(f"{peer.name} {peer.batch_size}" for peer in peers)
    note = (
        f"{case}: {amount:,} {unit.partition('/')[0]}; faster batch sizes: {sizes}; "
        f"log-likelihoods differ by {apart:.1e} at most (relative)."
    )
    return rows, note + _floor_note(floor_s, seconds)


def _floor_note(floor_s: list[float], seconds: dict[str, list[float]]) -> str:
    """What part of each contender's time the matrix products alone would take."""
    if not floor_s:
        return ""
    parts = [
        f"{statistics.median(low / s for low, s in zip(floor_s, took, strict=True)):.0%} of {name}"
        for name, took in seconds.items()
    ]
    return f" The products of the weights alone (body and head) take {', '.join(parts)}."


def _time(score: Score, contender: Contender, work: Work, batch_size: int) -> float:
    """Seconds of one turn."""
    contender.batch_size = batch_size
    started_s = time.perf_counter()
    score(contender, work)
    return time.perf_counter() - started_s


def _notes(notes: list[str]) -> str:
    packages = ("torch", "transformers", "lm-eval")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python = ".".join(map(str, sys.version_info[:3]))
    return "\n".join([
        f"`{command_line()}`; Python {python}, {versions}.",
        "Random weights; ratios are medians of paired rounds. Tokenizing is included.",
        *(f"- {note}" for note in notes),
    ])


if __name__ == "__main__":
    main()
