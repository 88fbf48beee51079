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
from pathlib import Path
from types import FrameType
from typing import NoReturn

from flows.chain.chain import Chain, Told, read_by
from flows.chain.dvc_stage import StageRunner
from flows.checkout.checkout import Checkout, prepare
from flows.checkout.leavings import CheckoutError
from flows.page.history import note
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
    """Run what belongs to the sizes, several at a time; a lone slot leaves it to `dvc repro`.

    A size that fails does not end the others. What was run before has looked at the code by now,
    without which DVC does not see that it has changed.
    """
    sized = {
        name: [other for other in reads if "@" in other]
        for name, reads in stages.items()
        if "@" in name
    }
    if len(checkout.devices) == 1 or _dvc("status", "--quiet", *sized) == 0:
        return 0
    runner = StageRunner(checkout.root, devices=checkout.devices, grace_s=GRACE_S)
    ends = Chain(runner, _Terminal(), reads=sized, stale=None).run(lambda: False)
    return next(filter(None, (end.code for end in ends.values())), 0)


class _Terminal:
    """Shows the lines of stages, and that one is tried again; the rest stands in the lines."""

    def stage(self, name: str, told: Told, *, after: Sequence[str]) -> None:
        if told.type == "SCHEDULED":
            print(f"{name}: {told.message}", flush=True)

    def line(self, name: str, line: str) -> None:
        print(line, flush=True)

    def finished(self, name: str) -> None:
        """What it left is shown at the end."""


if __name__ == "__main__":
    sys.exit(main())
