"""`dvc repro`, with the sizes side by side: what `make study` runs.

DVC runs one stage at a time, though a size needs nothing of the others and often only some of the
machine. Here several sizes run at a time, each stage as `dvc repro --single-item`, as in the
Prefect flow. A plain `dvc repro` goes before, for the data, and after: it has the last word.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from flows.checkout import Checkout, prepare
from flows.dvc_stage import StageRunner
from flows.history import note
from flows.leavings import CheckoutError
from flows.supervisor import GRACE_S

_BEFORE = ("tokenize", "eval_sets")  # all that the sizes read
_OF_A_SIZE = ("tune", "train", "evaluate")
_TERMINATED = 143


def main() -> int:
    """Run the active study of params.yaml; returns the exit code of what failed, or 0."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with prepare(Path.cwd(), None, None, logging.getLogger("figure4")) as checkout:
            code = _dvc("repro", *_BEFORE) or _run_sizes(checkout) or _dvc("repro")
            if code == 0:
                with suppress(OSError, ValueError, KeyError, TypeError):  # the study is whole
                    note(checkout.root, checkout.profile)
            return code
    except CheckoutError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)  # and not at once, which would leave DVC behind


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode


def _run_sizes(checkout: Checkout) -> int:
    """Run what belongs to each size, several at a time; a lone slot leaves it to `dvc repro`.

    A size that fails does not end the others. `_BEFORE` has looked at the code by now, without
    which DVC does not see that it has changed.
    """
    at_a_time = len(checkout.devices)
    stages = [f"{stage}@{size}" for size in checkout.sizes for stage in _OF_A_SIZE]
    if at_a_time == 1 or _dvc("status", "--quiet", *stages) == 0:
        return 0
    runner = StageRunner(checkout.root, devices=checkout.devices, grace_s=GRACE_S)
    # The runner is left first: it ends the stages that the pool waits for.
    with ThreadPoolExecutor(at_a_time) as pool, runner:
        # The largest take longest: begun last, they would run alone at the end.
        largest_first = list(reversed(checkout.sizes))
        codes = list(pool.map(lambda size: _run_size(runner, size), largest_first))
    return next(filter(None, codes), 0)


def _run_size(runner: StageRunner, size: str) -> int:
    for stage in _OF_A_SIZE:
        if runner.stopping:
            return _TERMINATED
        code = runner.run(f"{stage}@{size}", _say).code
        if code:
            return code
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
