"""`dvc repro`, with the sizes side by side: what `make study` runs.

DVC runs one stage at a time, though a size needs nothing of the others and often only some of the
machine. Here several sizes run at a time, each stage as `dvc repro --single-item`, as in the
Prefect flow. A plain `dvc repro` goes before, for the data, and after: it has the last word.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import NoReturn

from flows.chain import read_by
from flows.checkout import Checkout, prepare
from flows.dvc_stage import StageRunner
from flows.history import note
from flows.leavings import CheckoutError
from flows.supervisor import GRACE_S

_TERMINATED = 143


def main() -> int:
    """Run the active study of params.yaml; returns the exit code of what failed, or 0."""
    argparse.ArgumentParser(
        prog="python -m flows.side_by_side",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with prepare(Path.cwd(), None, None, logging.getLogger("figure4")) as checkout:
            stages = read_by(checkout.root / "dvc.yaml", checkout.sizes)
            code = (
                _dvc("repro", *_before_sizes(stages))
                or _run_sizes(checkout, stages)
                or _dvc("repro")
            )
            if code == 0:
                _note_history(checkout)
            return code
    except CheckoutError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _note_history(checkout: Checkout) -> None:
    """Note what the study found; it is whole without that, so that a failure is a remark."""
    try:
        note(checkout.root, checkout.profile)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"history/{checkout.profile}.jsonl lacks this run: {error!r}", file=sys.stderr)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)  # and not at once, which would leave DVC behind


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode


def _before_sizes(stages: Mapping[str, Sequence[str]]) -> list[str]:
    """The stages that a size reads and all sizes share.

    >>> _before_sizes({"dedup": (), "tokenize": ("dedup",), "tune@xl": ("tokenize",)})
    ['tokenize']
    """
    read = {other for name, reads in stages.items() if "@" in name for other in reads}
    return [name for name in stages if name in read and "@" not in name]


def _run_sizes(checkout: Checkout, stages: Mapping[str, Sequence[str]]) -> int:
    """Run what belongs to each size, several at a time; a lone slot leaves it to `dvc repro`.

    A size that fails does not end the others. What was run before has looked at the code by now,
    without which DVC does not see that it has changed.
    """
    at_a_time = len(checkout.devices)
    of_a_size = {
        size: [name for name in stages if name.endswith(f"@{size}")] for size in checkout.sizes
    }
    if at_a_time == 1 or _dvc("status", "--quiet", *chain.from_iterable(of_a_size.values())) == 0:
        return 0
    runner = StageRunner(checkout.root, devices=checkout.devices, grace_s=GRACE_S)
    # The runner is left first: it ends the stages that the pool waits for.
    with ThreadPoolExecutor(at_a_time) as pool, runner:
        # The largest take longest: begun last, they would run alone at the end.
        largest_first = list(reversed(checkout.sizes))
        codes = list(pool.map(lambda size: _run_size(runner, of_a_size[size]), largest_first))
    return next(filter(None, codes), 0)


def _run_size(runner: StageRunner, stages: Sequence[str]) -> int:
    for stage in stages:
        if runner.stopping:
            return _TERMINATED
        code = runner.run(stage, _say).code
        if code:
            return code
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
