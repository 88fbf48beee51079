"""Map a function over shards, in processes or on a cluster: results in order, one clear error."""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import TypeVar

from pipeline.shared.errors import EXIT_TERMINATED, UserError
from pipeline.shared.params.profile import ComputeParams

_LOG = logging.getLogger("figure4")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MOST_DEATHS = 3  # without a result between them, as Dask's `allowed-failures`

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_shards(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    compute: ComputeParams,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`.

    `function` must be importable (a module's top level, or a partial of one). With one worker it
    runs in this process. An exception of one item stops the rest and is raised here. The items of
    a worker that was killed are begun again, a few times: `function` must bear that.

    Raises:
        UserError: workers are killed again and again, or the cluster cannot be used.
    """
    results: Generator[Result]
    if compute.executor == "dask":
        from pipeline.shared.running.cluster import map_on_cluster  # its packages are an extra

        assert compute.scheduler is not None
        results = map_on_cluster(function, items, scheduler=compute.scheduler)
    elif compute.workers == 1 or len(items) <= 1:
        results = (function(item) for item in items)
    else:
        results = _map_in_processes(function, items, compute.workers)
    with closing(results):
        yield from results


def _map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Generator[Result]:
    """Results of a pool, and of a new one for the rest where a worker's death broke it."""
    done = deaths = 0
    while done < len(items):
        try:
            for result in _map_in_pool(function, items[done:], workers):
                yield result
                done, deaths = done + 1, 0
        except BrokenProcessPool:
            deaths += 1
            if deaths > _MOST_DEATHS:
                raise UserError(
                    f"a worker process was killed {deaths} times in a row: by whom, the system's "
                    "log tells (dmesg). If it was for want of memory, lower compute.workers in "
                    "params.yaml; then run the same command again, which goes on"
                ) from None
            _LOG.warning("a worker process was killed; its work begins again in a new one")


def _map_in_pool(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Generator[Result]:
    # spawn: forking a process that holds threads (torch, Arrow) can deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(items)),
        mp_context=context,
        initializer=_leave_signals_to_parent,
        initargs=(os.getpid(),),
    )
    with pool:
        futures = [pool.submit(function, item) for item in items]
        # The pool watches for the death of those workers that ran when it was last given work:
        # without this last piece, which finds them all running, the newest would die unseen.
        pool.submit(_nothing)
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise
        except BaseException:
            results = vars(pool)["_result_queue"]
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():  # leaving the pool waits for them
                worker.terminate()
            # One that died while it sent a result left half of it in the pipe. The pool waits for
            # the rest, at exit too, and for ever, unless the last writer's end is closed: ours.
            vars(results)["_writer"].close()
            raise


def _nothing() -> None:
    """Work that is none."""


def _leave_signals_to_parent(parent: int) -> None:
    """Ctrl-C reaches the whole group, but only the parent answers it; its death ends us too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool's worker does not notice that its parent was killed -9 and would live for ever.
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # killed while this process was still importing
        os._exit(EXIT_TERMINATED)


def end_with_parent(number: signal.Signals) -> None:
    """Have this process get a signal when its parent dies, however that dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
