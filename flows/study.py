"""`make flow`: the same DVC stages as `dvc repro`, watched on Prefect's page and cancelled there.

Prefect is told what happens and decides nothing: a run ends well or badly by its stages alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from flows.carry_out import Ended, Wishes, carry_out, run_name
from flows.chain.chain import Told
from flows.checkout.leavings import CheckoutError
from flows.page.deployment import labels_of
from flows.page.prefect_api import Api, find_api
from flows.page.run_page import RunPage
from flows.servers.addresses import STATE, free_port, running_prefect_api
from flows.servers.pages import prefect_server
from flows.servers.serving import one_at_a_time, serving

_TERMINATED = 128 + signal.SIGTERM
_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _interrupt)
    page = RunPage(logging.getLogger("figure4").warning)
    try:
        try:
            connect = _show(page, options)
        except CheckoutError as error:
            print(error, file=sys.stderr)
            return 1
        wishes = Wishes(options.profile, options.overrides, options.max_parallel)
        ended = carry_out(wishes, page, connect=connect)
    except KeyboardInterrupt:
        ended = _stopped("Stopped by Ctrl-C", _INTERRUPTED)
    except SystemExit:
        ended = _stopped("Its process was told to end", _TERMINATED)
    page.end(ended.told)
    page.close()
    print(f"\n{ended.told.message}", file=sys.stderr if ended.code else sys.stdout, flush=True)
    if ended.code or options.run:
        return ended.code
    return subprocess.run([sys.executable, "-m", "pipeline.report.show"], check=False).returncode


def _show(
    page: RunPage, options: argparse.Namespace
) -> Callable[[], AbstractContextManager[Api]] | None:
    """Open the run's page where a server is up; else how to start one once there is work.

    Raises:
        CheckoutError: the server that is named does not answer.
    """
    root, name = Path.cwd(), run_name(options.profile)
    api = find_api()
    if options.run:
        page.attach(options.run, labels=labels_of(root))
        page.running(name)
    else:
        page.begin(name, parameters=_given(options), labels=labels_of(root))
    if api is None:
        return lambda: _own_server(root)
    if not api.answers():
        raise CheckoutError(
            f"Prefect: {api.address} does not answer. Start that server, or take away "
            "PREFECT_API_URL (`prefect config view` says where it is set): then the run is shown "
            "by `make ui`"
        )
    page.open(lambda: nullcontext(api), own=api.own)
    return None


def _given(options: argparse.Namespace) -> dict[str, Any]:
    wishes = {name: getattr(options, name) for name in ("profile", "overrides", "max_parallel")}
    return {name: value for name, value in wishes.items() if value}


@contextmanager
def _own_server(root: Path) -> Iterator[Api]:
    """A server for this run alone, over the database that `make ui` shows later."""
    with ExitStack() as stack:
        with one_at_a_time(STATE.parent):
            address = running_prefect_api()  # a `make ui` that was starting too
            if address is None:
                server = prefect_server(free_port())
                logs = root / ".prefect" / "logs" / "flow"
                stack.enter_context(serving([server], logs, command="python -m flows.ui"))
                address = f"{server.address}/api"
        yield Api(address, own=True)


def _stopped(why: str, code: int) -> Ended:
    message = f"{why}; the stages saved their state, and the next run goes on from there"
    return Ended(Told("CANCELLED", "Cancelled", message), code)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """Once: while the stages save their state there is nothing more to interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(_TERMINATED)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows.study",
        description="Run the study, shown by Prefect: the same stages as `dvc repro`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
Finished stages are not run again, and a stage that was stopped goes on where it was.
Ctrl-C, or Cancel on the run's page, stops the study; the running stages save their state first.

To watch it in a browser, run `make ui` in another terminal before: the flow finds that server by
itself. Without any server one is started for the run, which shows up in `make ui` later.
PREFECT_API_URL names a server elsewhere. `python -m flows.schedule` runs the study on a schedule.
""",
    )
    parser.add_argument(
        "--profile", help="study of params.yaml to make the active one (writes `profile:` there)"
    )
    parser.add_argument(
        "--max-parallel",
        type=int,
        metavar="N",
        help="stages at a time (default: as many as have GPUs or threads of their own)",
    )
    parser.add_argument(
        "--overrides",
        type=json.loads,
        metavar="JSON",
        help="values to write into params.yaml first, e.g. '{\"train.tokens\": 500000}'",
    )
    parser.add_argument("--run", help=argparse.SUPPRESS)  # a deployment's, of flows.schedule
    options = parser.parse_args(arguments)
    if options.max_parallel is not None and options.max_parallel < 1:
        parser.error(f"--max-parallel {options.max_parallel}: must be at least 1")
    if options.overrides is not None and not isinstance(options.overrides, dict):
        parser.error("--overrides: must be a mapping of keys to values in braces")
    return options


if __name__ == "__main__":
    sys.exit(main())
