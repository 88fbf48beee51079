"""Does the search find each size's best rate? Every rate of a grid is trained in full to tell.

    python benchmarks/tuning.py --tokens data/tiny/tokenize --seeds 1 2

`ours`: perplexity on Figure 4's test documents of the training whose rate the tune stage chooses;
`peer`: that of the best rate of the grid. The trials of the search are these very trainings stopped
early, so the search is replayed on their loss curves, and so are its rivals (tuning_rules.py).
Stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from result_table import command_line, compare, name_part, write_results
from tuning_rules import SHORT, Case, Outcome, halve, table_of_cases, table_of_rules

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.evaluate.documents import choose_documents
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import score_texts
from pipeline.shared.errors import NonFiniteLossError
from pipeline.shared.files import once, remove_path
from pipeline.shared.params.file import check_size, load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.listing import hash_input
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage
from pipeline.shared.training.job import make_job, open_data
from pipeline.shared.training.run import train_to
from pipeline.tune.run import plan_comparisons
from pipeline.tune.search import rate_beyond


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training, of its whole budget or of a part."""

    size: str
    seed: int
    rate: float
    part: float


def main() -> None:
    """The command line."""
    options = _parse()
    params = load_params(Path("params.yaml"), options.profile).params
    options.sizes = options.sizes or list(params.sizes)
    for size in options.sizes:
        check_size(size, params.sizes, Path("params.yaml"))
    grid = params.tune.learning_rates
    rates = options.rates or [rate_beyond(grid, "low"), *grid, rate_beyond(grid, "high")]
    parts = (1.0,) if options.no_short else (1.0, SHORT)
    tasks = [
        Task(size=size, seed=seed, rate=rate, part=part)
        for part in parts
        for size in reversed(options.sizes)  # the longest first
        for seed in options.seeds
        for rate in rates
    ]
    work = options.work.resolve() / _digest(options.tokens, params)
    run = partial(_run, options.tokens.resolve(), work, params)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=spawn) as pool:
        outcomes = dict(zip(tasks, pool.map(run, tasks), strict=True))
    cases = [
        Case(
            size,
            seed,
            *(
                {r: outcomes[Task(size=size, seed=seed, rate=r, part=part)] for r in rates}
                for part in parts
            ),
        )
        for size in options.sizes
        for seed in options.seeds
    ]
    comparisons = plan_comparisons(params.tune, params.train)
    rows = [
        compare(
            f"{case.size}, seed {case.seed}",
            case.full[halve(params, comparisons, case).rate].test_perplexity,
            case.best_perplexity,
            "the best rate of the grid",
            "test perplexity",
            higher_is_better=False,
        )
        for case in cases
    ]
    notes = "\n\n".join([
        f"`{command_line()}`",
        "Perplexity on Figure 4's test documents of full trainings, by learning rate; the search's "
        "choice in bold.",
        table_of_cases(params, comparisons, cases),
        "Rules for choosing, each on all cases: cost in trainings beside the one that is kept, and "
        "how far the chosen rate's perplexity lies above the best of the grid.",
        table_of_rules(params, comparisons, cases),
    ])
    script = name_part("tuning", options, {"sizes": params.sizes})
    print(write_results(script, "cpu", rows, notes).read_text())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=Path, required=True, help="what the tokenize stage made")
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sizes", nargs="+", help="default: all")
    parser.add_argument(
        "--rates", type=float, nargs="+", help="default: the profile's, and one beyond either end"
    )
    parser.add_argument(
        "--no-short", action="store_true", help="leave out the rivals that train for themselves"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("work/tuning"), help="of what is done")
    return parser.parse_args()


def _digest(tokens: Path, params: ProfileParams) -> str:
    """Names what the trainings are of, so that none of another study is taken for them."""
    settings = params.model_dump_json(include={"seeds", "train", "models", "evaluate"})
    inputs = [hash_input(tokens / name) for name in ("tokenizer", "train", "valid", "test")]
    return hashlib.sha256(" ".join([settings, *inputs]).encode()).hexdigest()[:12]


def _run(tokens: Path, work: Path, params: ProfileParams, task: Task) -> Outcome:
    name = f"{task.size}_seed_{task.seed}_rate_{task.rate:g}_part_{task.part:g}"
    noted = once(work / f"{name}.json", partial(_train, tokens, work / name, params, task))
    curve = {int(tokens): loss for tokens, loss in noted["curve"].items()}
    return Outcome(curve, noted["test_perplexity"] or math.inf)


def _train(tokens: Path, folder: Path, params: ProfileParams, task: Task) -> dict[str, object]:
    """Train as the stage does; returns the held-out curve and Figure 4's test perplexity."""
    stage = Stage(
        name="tune",
        profile="",
        size=task.size,
        params=_params_of(params, task),
        inputs={"tokens": tokens},
        work=folder,
        staging=folder,
        fingerprint="",
        memory=Memory(folder, ""),
        log=logging.getLogger("figure4"),
    )
    data = open_data(stage)
    try:
        job = make_job(stage, data, learning_rate=task.rate, folder=folder)
        outcome = train_to(stage, job, folder.name)
    except NonFiniteLossError:
        return {"curve": {}, "test_perplexity": None}
    finally:
        remove_path(folder)
    session = Session(
        outcome.model,
        data.tokenizer,
        params.evaluate,
        params.seeds.sampling,
        torch.device("cpu"),
    )
    documents = choose_documents(session, tokens / "test", params.evaluate.test_documents)
    stride = params.evaluate.figure4_stride
    losses = score_texts(session, [document.tokens for document in documents], stride=stride)
    mean = sum(float(piece.sum()) for piece in losses) / sum(map(len, losses))
    curve = {point.tokens: point.valid_loss for point in outcome.curve}
    return {"curve": curve, "test_perplexity": math.exp(mean)}


def _params_of(params: ProfileParams, task: Task) -> ProfileParams:
    """The profile's, for the seed and the length of a task; warm-up in proportion."""
    seeds = params.seeds.model_copy(update={"order": task.seed, "initialisation": task.seed})
    train = params.train.model_copy(
        update={
            "tokens": round(task.part * params.train.tokens),
            "warmup_tokens": round(task.part * params.train.warmup_tokens),
        }
    )
    return params.model_copy(update={"seeds": seeds, "train": train})


if __name__ == "__main__":
    main()
