"""The processes of one training on several devices of this machine, one a device.

Lightning would start the other ranks by running the stage's command again, which would find the
stage locked. So the stage starts all ranks itself, listens to them and ends with them.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from models.loss_spikes import Spike
from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL, EXIT_TERMINATED, UserError
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.training.job import Job, Listeners

_LISTEN_S = 0.2
Work = Callable[[Job, int, Listeners], None]


def run_ranks(work: Work, job: Job, listeners: Listeners) -> None:
    """Call `work(job, rank, listeners)` in a process for each rank; return when all are done.

    SIGTERM reaches every rank, and they save before they end. A rank that fails ends the others.

    Raises:
        UserError: what a rank raised, or that it ended without a word.
        OSError: likewise.
        SystemExit: 143 when SIGTERM ended it.
    """
    # Forked from a server that has imported what they need once, and touched no device.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    events = context.Queue()
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    ranks: list[BaseProcess] = [
        context.Process(
            name=f"device {rank}", target=_run_rank, args=(work, job, rank, address, events)
        )
        for rank in range(job.num_ranks)
    ]
    for rank in ranks:
        rank.start()
    try:
        _listen(ranks, events, listeners)
    except SystemExit:  # SIGTERM, from the stage's handler
        for rank in ranks:
            rank.terminate()
        for rank in ranks:
            rank.join()
        raise
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()


def _listen(ranks: list[BaseProcess], events: Any, listeners: Listeners) -> None:
    """Pass on what ranks tell until all have ended well."""
    alive = True
    while alive:
        # Asked before the queue is emptied: what a rank said before its end is heard.
        alive = any(rank.is_alive() for rank in ranks)
        try:
            while True:
                event = events.get(timeout=_LISTEN_S)
                if isinstance(event, CurvePoint):
                    listeners.on_point(event)
                elif isinstance(event, Spike):
                    listeners.on_spike(event)
                elif isinstance(event, UserError | OSError):
                    raise event
                else:
                    listeners.on_progress(*event)
        except queue.Empty:
            pass
        failed = [rank for rank in ranks if rank.exitcode not in {None, EXIT_DONE}]
        if any(rank.exitcode == EXIT_TERMINATED for rank in failed):
            raise SystemExit(EXIT_TERMINATED)
        if failed:
            raise UserError(
                f"{failed[0].name}: its process ended with {failed[0].exitcode} (above is why, "
                "unless it was killed from outside, say for want of memory); the same command "
                "goes on from the last checkpoint"
            )


def _run_rank(work: Work, job: Job, rank: int, address: dict[str, str], events: Any) -> None:
    """A rank's process; Lightning reads its place from the environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the stage answers it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    place = {"LOCAL_RANK": rank, "RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": job.num_ranks}
    os.environ.update(address | {name: str(value) for name, value in place.items()})
    listeners = Listeners(events.put, lambda *progress: events.put(progress), events.put)
    try:
        work(job, rank, listeners)
    except (UserError, OSError) as error:
        events.put(error)
        raise SystemExit(EXIT_FATAL) from None


def _end_with_parent() -> None:
    """A killed stage must leave no rank behind that holds a device."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(EXIT_FATAL)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
