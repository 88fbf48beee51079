"""Map a function over shards in processes: results in order, one clear error, workers joined."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from pipeline.errors import UserError
from pipeline.progress import Progress

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_shards(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`.

    `function` must be importable (a module's top level, or a partial of one). With one worker it
    runs in this process. An exception of one item stops the rest and is raised here.
    """
    if workers == 1 or len(items) <= 1:
        for item in items:
            result = function(item)
            if progress:
                progress.update()
            yield result
        return
    # spawn: forking a process that holds threads (torch, Arrow) can deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=context, initializer=_leave_signals_to_parent
    )
    with pool:
        futures = [pool.submit(function, item) for item in items]
        # The pool watches for the death of those workers that ran when it was last given work:
        # without this last piece, which finds them all running, the newest would die unseen.
        pool.submit(_nothing)
        try:
            for future in futures:
                result = future.result()
                if progress:
                    progress.update()
                yield result
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed, most likely for want of memory; lower "
                "compute.workers in params.yaml and run the same command again, which goes on"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():  # leaving the pool waits for them
                worker.terminate()
            raise


def _nothing() -> None:
    """Work that is none."""


def _leave_signals_to_parent() -> None:
    """Ctrl-C reaches the whole group, but only the parent answers it; its death ends us too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool's worker does not notice that its parent was killed -9 and would live for ever.
    end_with_parent(signal.SIGKILL)


def end_with_parent(number: signal.Signals) -> None:
    """Have this process get a signal when its parent dies, however that dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
