"""Map a function over shards on a Dask cluster, as `executor` does in processes of this machine.

The scheduler and its workers are the user's, and stay. A worker must run the same code and see the
same folder: shards, and the notes that say which are done, are written there. So a worker's death
costs its shards' time only, and one that was taken for dead can do no harm.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import pipeline
from pipeline.shared.errors import RetryableError, UserError

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10.0
_FIRST_WORKER_S = 60.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_cluster(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    scheduler: str,
) -> Generator[Result]:
    """Yield `function(item)` for each item, in the order of `items`; one failure stops the rest.

    Raises:
        UserError: no scheduler or no worker answers, a worker runs other code or sees another
            folder, or the workers on one item were killed again and again.
        RetryableError: the scheduler was lost on the way.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    task = _Task(function, os.getcwd(), os.stat(".").st_ino, hash_code())
    with _connected(scheduler) as client:
        futures = deque(client.submit(task, item, pure=False) for item in items)
        try:
            while futures:
                result = futures[0].result()
                futures.popleft()  # or the cluster would make it anew, were its worker lost now
                yield result
        except (FutureCancelledError, CommClosedError):
            raise RetryableError(
                f"{scheduler}: the scheduler was lost; start it and run the same command again, "
                "which goes on"
            ) from None
        except KilledWorker as error:
            client.cancel(list(futures), force=True)
            raise UserError(
                f"{scheduler}: the workers on one shard were killed again and again ({error}), "
                "most likely for want of memory; give workers more and run the same command again"
            ) from None
        except BaseException:
            client.cancel(list(futures), force=True)
            raise


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError:
        raise UserError(
            "params.yaml: compute.executor = dask needs the package distributed; "
            "pip install -c constraints.txt -e '.[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"params.yaml: compute.scheduler = {scheduler}: no scheduler answers there "
            f"({str(error) or type(error).__name__}); start `dask scheduler` or set the address it "
            "prints"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except TimeoutError:
            raise UserError(
                f"{scheduler}: has had no worker for {_FIRST_WORKER_S:.0f} s; start some with "
                f"`dask worker {scheduler} --nthreads 1` and run the same command again"
            ) from None
        yield client


@dataclass(frozen=True)
class _Task(Generic[Item, Result]):
    """What a worker is sent: the function, and what it must find around it."""

    function: Callable[[Item], Result]
    folder: str
    """The stage's current folder: its paths are relative to it."""
    folder_inode: int
    code: str

    def __call__(self, item: Item) -> Result:
        _go_to(self.folder, self.folder_inode)
        if hash_code() != self.code:
            raise UserError(
                f"the worker on {socket.gethostname()} runs other code than the stage; give all "
                "the same checkout and start the worker again"
            )
        return self.function(item)


def _go_to(folder: str, inode: int) -> None:
    """Work where the stage does; the inode tells a folder that is shared from one like it."""
    try:
        same = os.stat(folder).st_ino == inode
    except OSError:
        same = False
    if not same:
        raise UserError(
            f"the worker on {socket.gethostname()} does not see the stage's folder {folder}; mount "
            "it there under the same path (NFS, Lustre) and run the same command again"
        )
    if os.getcwd() != folder:  # a task of another study may have been here
        os.chdir(folder)


@functools.cache
def hash_code() -> str:
    """SHA-256 over the source of the package, as this process finds it."""
    package = Path(pipeline.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
