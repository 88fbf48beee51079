"""Serve the study on a schedule, as a deployment that the Prefect UI shows and can start.

One long-lived process in the checkout: it asks Prefect's server for runs that are due. A run finds
its data where the last one left it, and DVC runs only what has changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from flows.study import server, study

DEPLOYMENT = "scheduled"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    if not Path("dvc.yaml").is_file():
        print(f"{Path.cwd()}: holds no dvc.yaml; run in the project's folder", file=sys.stderr)
        return 1
    with server():
        if not PREFECT_API_URL.value():
            print(
                "No Prefect server: start one with `make ui` in another terminal, or name one by "
                "PREFECT_API_URL",
                file=sys.stderr,
            )
            return 1
        parameters = {"profile": options.profile, "max_parallel": options.max_parallel}
        study.serve(
            name=DEPLOYMENT,
            cron=options.cron,
            limit=1,  # DVC takes one runner in a checkout
            parameters=parameters,
            description="The whole study; stages that are up to date are not run again.",
        )
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows.schedule",
        description="Run the study on a schedule, and whenever it is started in the Prefect UI.",
        epilog='Example: --cron "0 3 1 * *" runs at 03:00 (UTC) on the first of each month. '
        "Without --cron it runs only when it is started in the UI.",
    )
    parser.add_argument("--cron", metavar="EXPRESSION", help="minute hour day month weekday")
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument("--max-parallel", type=int, metavar="N", help="stages at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
