"""What is asked for on the command line. `run` starts on a machine without DVC and MLflow."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pipeline.shared.params.file import load_params
from pipeline.shared.running.command import run_command

_EXAMPLES = """\
here, once the data stages are made
  dvc repro eval_sets tokenize
  python -m pipeline.node pack --out ~/payload
on the node, in the copied folder, until it ends with 0 and not with 75
  python -m pipeline.node run --minutes 9.5 --out results
here again
  python -m pipeline.node take ~/results
  dvc repro
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one of the three parts and exit with its code."""
    options = _parse(argv)

    def run(log: logging.Logger) -> None:
        sys.exit(options.part(options, log))

    run_command(f"node {options.command}", run)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.node",
        description="Run tune, train and evaluate of a study on a machine that shares nothing "
        "with this one. docs/gpu.md tells the whole story.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    parts = parser.add_subparsers(dest="command", required=True)
    part = parts.add_parser("pack", help="make the folder that goes to the node")
    part.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    part.set_defaults(part=_pack)
    _add_params(part)
    part = parts.add_parser("run", help="on the node: go on with the stages, write results so far")
    _add_run(part)
    part = parts.add_parser("take", help="put a node's results into the study and tell DVC")
    part.add_argument("folder", type=Path, metavar="FOLDER", help="what `run` wrote")
    what = "although the node's code was not this: you know that the difference shapes nothing"
    part.add_argument("--other-code", action="store_true", help=what)
    part.set_defaults(part=_take)
    _add_params(part)
    return parser.parse_args(argv)


def _add_run(part: argparse.ArgumentParser) -> None:
    add = part.add_argument
    what = "be over by then, to go on next time (default: run to the end)"
    add("--minutes", type=float, metavar="N", help=what)
    what = "gets the results, in files of at most 15 MiB (default: %(default)s)"
    add("--out", type=Path, default=Path("results"), metavar="FOLDER", help=what)
    what = "run these alone, in this order (default: all, as they grow)"
    add("--sizes", nargs="+", metavar="SIZE", help=what)
    what = "sizes at once on the same GPU (default: 1)"
    add("--side-by-side", type=int, default=1, metavar="N", help=what)
    what = (
        "room for weights in the results, smallest first; the others stay, and a note with "
        "their hash comes (default: 0)"
    )
    add("--weights-mib", type=float, default=0.0, metavar="N", help=what)
    part.set_defaults(part=_run)


def _add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")


# Each part imports what it needs: the one on the node must not import what is not there.


def _pack(options: argparse.Namespace, log: logging.Logger) -> int:
    from pipeline.node.pack import pack

    pack(load_params(Path("params.yaml"), options.profile), options.out, log)
    return 0


def _run(options: argparse.Namespace, log: logging.Logger) -> int:
    from pipeline.node.run import RunOptions, run

    return run(
        RunOptions(
            minutes=options.minutes,
            out=options.out,
            sizes=options.sizes,
            side_by_side=options.side_by_side,
            weights_bytes=int(options.weights_mib * 2**20),
        ),
        log,
    )


def _take(options: argparse.Namespace, log: logging.Logger) -> int:
    from pipeline.node.take import take

    study = load_params(Path("params.yaml"), options.profile)
    take(study, options.folder, log, other_code=options.other_code)
    return 0
