"""One training on the devices of several nodes: a launcher starts the stage once a device.

Rank 0 is the stage as usual. The others follow it: each training they are handed they do their part
of, and they touch nothing else of the stage. Ranks talk through the key-value store by which torch
forms its process group. A word left there waits for nobody, so a rank whose peer has died, or that
sits in a collective operation which will never return, still hears that all is over.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shlex
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from torch.distributed import DistError, is_torchelastic_launched
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from pipeline.shared.errors import EXIT_FATAL, NonFiniteLossError, UserError
from pipeline.shared.running import stage
from pipeline.shared.running.stage import Definition, Stage
from pipeline.shared.training.job import Job, Listeners, job_from_json
from pipeline.shared.training.ranks import Work

if TYPE_CHECKING:  # Lightning is imported only where a launcher has started a group
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

_LOG = logging.getLogger("figure4")  # the stage's own
_JOIN_S = 600.0  # for a slow node's imports
_LISTEN_S = 0.2
_GOODBYE_S = 10.0  # for living ranks to hear the last word: fifty times what they need
_SILENT = Listeners(lambda point: None, lambda tokens, note: None, lambda spike: None)


def main(definition: Definition, work: Work) -> NoReturn:
    """Run the stage from the command line or, on any rank but 0 of a group, follow it.

    `work(job, rank, listeners)` is one rank's part of a training. All ranks end with the exit code
    of the first that ends.
    """
    group = joined_group()
    if group is None:
        stage.main(definition)
    if group.rank:
        group.follow(work)
    code: object = EXIT_FATAL
    try:
        stage.main(definition)
    except SystemExit as stop:
        code = stop.code
        raise
    finally:
        group.end(code if isinstance(code, int) else EXIT_FATAL)


@cache  # a process is in one group for all its life
def joined_group() -> RankGroup | None:
    """The group that this process was started into, or None if it was started by itself."""
    environment = _find_environment()
    return RankGroup(environment) if environment else None


def _find_environment() -> ClusterEnvironment | None:
    """Torchrun's or srun's. srun can start torchrun, so torchrun comes first."""
    if is_torchelastic_launched():
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

        return TorchElasticEnvironment()
    # The shell of salloc and the script of sbatch have SLURM's other variables too, but only srun
    # sets those of a step; a process alone in its step may start its ranks itself.
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        # Lightning asks for what only an option sets; the step's own is true without it.
        per_node = os.environ["SLURM_STEP_TASKS_PER_NODE"].split("(")[0]  # "4(x2)": 4 on 2 nodes
        os.environ["SLURM_NTASKS_PER_NODE"] = per_node
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

        return SLURMEnvironment(auto_requeue=False)  # checkpoints and SIGTERM are ours
    return None


class RankGroup:
    """The processes that a launcher started for one stage, seen from one of them."""

    def __init__(self, environment: ClusterEnvironment) -> None:
        """Meet the others; the process ends if they do not come."""
        self.environment = environment
        """Lightning's view of the group."""
        self.rank: int = environment.global_rank()
        self.size: int = environment.world_size()
        torchrun = is_torchelastic_launched()
        self.per_node = os.environ["LOCAL_WORLD_SIZE" if torchrun else "SLURM_NTASKS_PER_NODE"]
        """Processes on each node; under SLURM not always one number ("2,1")."""
        self._store = self._meet()
        self._num_jobs = 0
        self._jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _meet(self) -> Store:
        """Connect to the store; rank 0 serves it, or torchrun on its node, and waits for all."""
        place = f"{self.environment.main_address}:{self.environment.main_port}"
        address, port = place.rsplit(":", 1)
        os.environ.update(MASTER_ADDR=address, MASTER_PORT=port)  # what Lightning would set later
        try:
            store, _, _ = next(
                rendezvous("env://", self.rank, self.size, timeout=timedelta(seconds=_JOIN_S))
            )
        except DistError as error:
            sys.exit(
                f"rank {self.rank} of {self.size}: the ranks did not meet at {place}: {error}; "
                "start them all together, set MASTER_ADDR to a name of rank 0's node that all "
                "nodes know and MASTER_PORT to a port that is free there"
            )
        # Torchrun's store outlives an attempt of the group that it starts again.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return PrefixStore(f"figure4/{attempt}", store)

    def hand_out(self, job: Job) -> None:
        """As rank 0: have all others begin this training."""
        self._num_jobs += 1
        self._store.set(_name_of_job(self._num_jobs), job.to_json())

    def follow(self, work: Work) -> NoReturn:
        """As any other: do each training that rank 0 hands out, until a last word comes."""
        # Rank 0 gets these too, and decides what becomes of the group.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        where = f"rank {self.rank} on {socket.gethostname()}"
        try:
            while True:
                job = job_from_json(self._jobs.get())
                with suppress(NonFiniteLossError, SystemExit):  # which all ranks meet at one step
                    work(job, self.rank, _SILENT)
        except UserError as error:
            self.end(error.exit_code, f"{where}: {error}")
            sys.exit(error.exit_code)
        except OSError as error:
            remedy = "all nodes must see the same files in the same places"
            self.end(EXIT_FATAL, f"{where}: {error}; {remedy}")
            sys.exit(EXIT_FATAL)
        except BaseException as error:
            self.end(EXIT_FATAL, f"{where}: {type(error).__name__}: {error}")
            raise

    def end(self, code: int, reason: str = "") -> None:
        """Have all ranks end with this code, unless one has had the last word before.

        Rank 0 logs the reason. Returns when all have heard, so that the store may fall.
        """
        # Torchrun's, who sees other ranks end and means well.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        word = json.dumps([self.rank, code, reason])
        with suppress(DistError):  # the others are gone
            self._store.compare_set(_END, "", word)
            self._wait_until_all_have_heard()

    def _wait_until_all_have_heard(self) -> None:
        until_s = time.monotonic() + _GOODBYE_S
        while self._store.add(_HEARD, 0) < self.size and time.monotonic() < until_s:
            time.sleep(_LISTEN_S / 4)

    def _listen(self) -> None:
        """Pass on trainings and end the process at another's last word, whatever it is doing.

        It ends as by kill -9, which the stage is made for: the main thread may never return.
        """
        try:
            self._pass_on_jobs()
            rank, code, reason = json.loads(self._store.get(_END))
            self._store.add(_HEARD, 1)
            if self.rank == 0 != rank:  # the store falls with this process
                self._wait_until_all_have_heard()
        except DistError:  # killed, torchrun perhaps, and this process must not live on for ever
            _LOG.error("rank %s: lost the others; the same command goes on from here", self.rank)
            os._exit(EXIT_FATAL)
        if rank == self.rank:
            return  # the main thread is ending
        if reason and self.rank == 0:
            _LOG.error("%s", reason)
        os._exit(code)

    def _pass_on_jobs(self) -> None:
        while not self._store.check([_END]):
            name = _name_of_job(self._num_jobs + 1)
            if self.rank and self._store.check([name]):
                self._num_jobs += 1
                self._jobs.put(self._store.get(name).decode())
            else:
                time.sleep(_LISTEN_S)


_END, _HEARD = "end", "heard"


def _name_of_job(number: int) -> str:
    return f"job {number}"


def check_start(stage: Stage, job: Job, group: RankGroup | None) -> None:
    """Refuse to train in other processes than `compute` speaks of.

    Raises:
        UserError: with the commands that start the right ones.
    """
    nodes, devices = job.compute.nodes, job.compute.devices
    if group is None and nodes > 1:
        started = "was started as a single process"
    elif group and (group.size, group.per_node) != (nodes * devices, str(devices)):
        started = f"was started as {group.size} processes, {group.per_node} on a node"
    else:
        return
    command = shlex.join(["-m", f"pipeline.{stage.name}", *sys.argv[1:]])
    raise UserError(
        f"params.yaml: compute.nodes = {nodes} and compute.devices = {devices}, but the stage "
        f"{started}; change them, or run on each node (N = 0, 1, ...; HOST is the name of node 0)\n"
        f"  torchrun --nnodes {nodes} --node-rank N --nproc-per-node {devices} --master-addr HOST "
        f"--master-port 29500 {command}\n"
        "or once, under SLURM,\n"
        f"  srun --nodes {nodes} --ntasks-per-node {devices} --kill-on-bad-exit=1 "
        f"python {command}\n"
        f"and then `dvc commit {stage.title}`, which records the result"
    )
