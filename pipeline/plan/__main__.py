"""`python -m pipeline.plan`: what a study will cost, before any of it runs."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import pipeline.shared.running.before_torch  # noqa: F401 - speeds are timed as in a stage
from pipeline.plan.cards import CARDS, DEFAULT_MFU, gpu_speeds, named_card
from pipeline.plan.corpus import find_corpus
from pipeline.plan.crawl import plan_crawl
from pipeline.plan.finished import look_at
from pipeline.plan.page import WIDTH, Plan, as_text
from pipeline.plan.room import misfits, this_machine
from pipeline.plan.rungs import plan_rungs
from pipeline.plan.speed import Speeds, measure_speeds
from pipeline.plan.stages import plan_stages
from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL, UserError
from pipeline.shared.params.file import ActiveStudy, load_params
from pipeline.shared.running.output import end_quietly_with_reader


def main(arguments: list[str] | None = None) -> int:
    """Print the plan; 1 where something will not fit, naming the number."""
    options = _parse(arguments)
    try:
        study = load_params(Path("params.yaml"), options.profile)
        plan = make_plan(
            study,
            Path("data", study.profile),
            timing=not options.no_timing,
            mfu=options.mfu,
            card=options.card,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{as_text(plan)}\n")
    wrong = list(misfits(plan.params, plan.rungs, plan.costs, this_machine(Path())))
    for line in wrong:
        print(textwrap.fill(f"will not fit: {line}", WIDTH))
    return EXIT_FATAL if wrong else EXIT_DONE


def make_plan(
    study: ActiveStudy, folder: Path, *, timing: bool = True, mfu: float, card: str
) -> Plan:
    """The plan of a study whose stages write into `folder`; counts of theirs are used that hold.

    Raises:
        UserError: its ready corpus holds no documents.
    """
    params = study.params
    finished = look_at(study, folder)
    corpus = find_corpus(params, finished)
    rungs = plan_rungs(params)
    on_gpu = params.compute.accelerator == "gpu"
    speeds: Speeds | None = None
    if on_gpu:
        speeds = gpu_speeds(rungs, params, named_card(card), mfu)
    elif timing:
        speeds = measure_speeds(params, rungs)
    costs = plan_stages(params, rungs, corpus, speeds)
    crawl = plan_crawl(params, corpus, finished)
    shown = card if on_gpu else ""
    return Plan(study.profile, params, corpus, finished.outdated, rungs, costs, crawl, mfu, shown)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.plan",
        description="Say what a study will cost: parameters, FLOPs, tokens, time, memory, disk, "
        "GPU-hours, requests. Changes nothing; on the CPU it trains each size for a moment.",
    )
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument(
        "--mfu",
        type=_fraction,
        default=DEFAULT_MFU,
        help="part of a GPU's promised bfloat16 products that trainings use (default: %(default)s)",
    )
    parser.add_argument(
        "--card",
        choices=[card.name for card in CARDS],
        default="H100",
        help="the GPU of a GPU profile's times (default: %(default)s)",
    )
    parser.add_argument(
        "--no-timing", action="store_true", help="leave out the seconds that are timed here"
    )
    return parser.parse_args(arguments)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a part of one, such as 0.45")
    return value


if __name__ == "__main__":
    end_quietly_with_reader()
    sys.exit(main())
