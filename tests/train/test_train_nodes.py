"""One training in processes that a launcher starts, as on several nodes: torchrun, and srun.

Torchrun is the real one. Of srun a training sees nothing but its variables, so they are given by
hand to processes that are started side by side.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from training_runs import TrainingRuns, make_tokens

from pipeline.shared.errors import (
    EXIT_DONE,
    EXIT_FATAL,
    EXIT_NON_FINITE,
    EXIT_RETRY,
    EXIT_TERMINATED,
)

pytestmark = pytest.mark.long

RATE = 0.01
# Dropout draws per process, so it must be off for the losses to agree with those of one.
SMOOTH: Mapping[str, Any] = {"dropout": 0.0}
TWO_NODES: Mapping[str, Any] = {"nodes": 2, "workers": 1}  # of one thread each


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenize")
    make_tokens(folder)
    return folder


@pytest.fixture
def runs(project: Path, tmp_path: Path, tokens: Path) -> TrainingRuns:
    return make_runs(project, tmp_path, tokens)


def make_runs(project: Path, folder: Path, tokens: Path) -> TrainingRuns:
    (folder / "tokens").symlink_to(tokens)
    runs = TrainingRuns("train", project, folder)
    runs.set_params(train=SMOOTH, compute=TWO_NODES)
    runs.set_learning_rate(RATE)
    return runs


@pytest.fixture
def port() -> str:
    return free_port()


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def srun(rank: int, port: str, *, tasks: int = 2, per_node: int = 1) -> dict[str, str]:
    """The variables of one task, as srun of SLURM 22.05 sets them in a job of sbatch."""
    nodes = tasks // per_node
    values = {
        "JOB_ID": 4242,
        "JOB_NAME": "study",
        "NODELIST": "localhost",
        "NNODES": nodes,
        "NTASKS": tasks,
        "PROCID": rank,
        "LOCALID": rank % per_node,
        "NODEID": rank // per_node,
        "STEP_ID": 0,
        "STEP_NUM_TASKS": tasks,
        "STEP_TASKS_PER_NODE": f"{per_node}(x{nodes})" if nodes > 1 else per_node,
    }
    return {f"SLURM_{name}": str(value) for name, value in values.items()} | {"MASTER_PORT": port}


def start_tasks(runs: TrainingRuns, port: str, **shape: int) -> list[BaseProcess]:
    tasks = shape.get("tasks", 2)
    return [runs.start("out", environment=srun(rank, port, **shape)) for rank in range(tasks)]


def codes_of(tasks: list[BaseProcess], *, within_s: float = 120.0) -> list[int | None]:
    """Exit codes; a task that does not end in time has None, and is ended."""
    until_s = time.monotonic() + within_s
    for task in tasks:
        task.join(max(0.0, until_s - time.monotonic()))
    codes = [task.exitcode for task in tasks]
    for task in tasks:
        task.kill()
        task.join()
    return codes


def wait_for(condition: Callable[[], bool], runs: TrainingRuns) -> None:
    until_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until_s, f"never came to it: {runs.log()}"
        time.sleep(0.001)


def assert_same_artefacts(out: Path, other: Path) -> None:
    for name in ("model.safetensors", "loss_curve.csv"):
        assert (out / name).read_bytes() == (other / name).read_bytes(), name


@pytest.fixture(scope="module")
def undisturbed(project: Path, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training on two nodes leaves that was never cut."""
    runs = make_runs(project, tmp_path_factory.mktemp("undisturbed"), tokens)
    assert codes_of(start_tasks(runs, free_port())) == [EXIT_DONE, EXIT_DONE], runs.log()
    # Once done it is done for all: the same command again, and DVC's own in a single process.
    again = start_tasks(runs, free_port())
    assert codes_of(again, within_s=30) == [EXIT_DONE, EXIT_DONE], runs.log()
    assert runs.run() == EXIT_DONE
    assert runs.log().count("already done by an earlier attempt; publishing it") == 2
    return runs.folder / "out"


@pytest.fixture
def torchrun(
    runs: TrainingRuns, port: str
) -> Iterator[Callable[[], list[subprocess.Popen[bytes]]]]:
    """Start the stage as on two nodes, by an agent of torchrun on each."""
    agents: list[subprocess.Popen[bytes]] = []

    def start() -> list[subprocess.Popen[bytes]]:
        with (runs.folder / "out.log").open("a") as log:
            for node in range(2):
                options = f"--nnodes 2 --node-rank {node} --nproc-per-node 1 "
                options += f"--master-addr 127.0.0.1 --master-port {port} -m pipeline.train"
                command = [sys.executable, "-m", "torch.distributed.run", *options.split()]
                command += runs.arguments("out")
                agents.append(subprocess.Popen(command, cwd=runs.project, stderr=log))
        return agents[-2:]

    yield start
    for agent in agents:
        agent.kill()
        agent.wait()


@pytest.mark.slow
def test_two_nodes_of_torchrun_killed_on_the_way_end_as_if_they_were_not(
    runs: TrainingRuns,
    torchrun: Callable[[], list[subprocess.Popen[bytes]]],
    undisturbed: Path,
) -> None:
    agents = torchrun()
    wait_for(lambda: bool(runs.checkpoints), runs)
    for agent in agents:
        agent.kill()  # their processes are left behind, and must see to themselves
        agent.wait()
    agents = torchrun()
    assert [agent.wait() for agent in agents] == [EXIT_DONE, EXIT_DONE], runs.log()
    assert "going on after step" in runs.log()
    assert_same_artefacts(runs.folder / "out", undisturbed)


@pytest.mark.slow
def test_two_nodes_train_as_one_process_does(runs: TrainingRuns, undisturbed: Path) -> None:
    runs.set_params(train=SMOOTH)
    assert runs.run() == EXIT_DONE, runs.log()
    curves = [pd.read_csv(out / "loss_curve.csv") for out in (runs.folder / "out", undisturbed)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


@pytest.mark.slow
def test_a_killed_rank_ends_the_others_and_the_group_goes_on_when_started_again(
    runs: TrainingRuns, port: str, undisturbed: Path
) -> None:
    for victim in range(2):
        least = len(runs.checkpoints) and int(runs.checkpoints[-1].name[:8])
        tasks = start_tasks(runs, port)

        def further(least: int = least) -> bool:
            return bool(runs.checkpoints) and int(runs.checkpoints[-1].name[:8]) > least

        wait_for(further, runs)
        tasks[victim].kill()
        codes = codes_of(tasks, within_s=30)
        assert codes[victim] == -signal.SIGKILL
        assert codes[1 - victim] == EXIT_FATAL, runs.log()
    assert codes_of(start_tasks(runs, port)) == [EXIT_DONE, EXIT_DONE], runs.log()
    assert runs.log().count("going on after step") == 2
    assert_same_artefacts(runs.folder / "out", undisturbed)


def test_sigterm_saves_and_ends_all_with_the_code_of_the_unfinished(
    runs: TrainingRuns, port: str
) -> None:
    runs.set_params(train=SMOOTH, compute=TWO_NODES | {"checkpoint_every_s": 1e6})
    tasks = start_tasks(runs, port)
    wait_for(lambda: any(runs.work.glob("*/tracking.jsonl")), runs)  # the first point
    for task in tasks:
        task.terminate()
    assert codes_of(tasks, within_s=60) == [EXIT_TERMINATED, EXIT_TERMINATED], runs.log()
    assert [path.name[:8] >= "00000008" for path in runs.checkpoints] == [True]
    assert not (runs.folder / "out").exists()


def test_a_loss_that_is_no_number_ends_all_with_its_code(runs: TrainingRuns, port: str) -> None:
    runs.set_learning_rate(1e30)
    codes = codes_of(start_tasks(runs, port))
    assert codes == [EXIT_NON_FINITE, EXIT_NON_FINITE], runs.log()
    assert runs.log().count("the loss or gradient of step 1 is not finite") == 1


def test_an_error_before_any_training_ends_all_and_is_told_once(
    runs: TrainingRuns, port: str
) -> None:
    (runs.folder / "tuned" / "learning_rate.json").unlink()
    codes = codes_of(start_tasks(runs, port), within_s=60)
    assert codes == [EXIT_FATAL, EXIT_FATAL], runs.log()
    assert runs.log().count("learning_rate.json: no such file") == 1


@pytest.mark.parametrize(("tasks", "per_node"), [(2, 2), (3, 1)])
def test_a_group_of_another_shape_than_compute_says_is_refused(
    runs: TrainingRuns, port: str, tasks: int, per_node: int
) -> None:
    codes = codes_of(start_tasks(runs, port, tasks=tasks, per_node=per_node), within_s=60)
    assert codes == [EXIT_FATAL] * tasks, runs.log()
    assert runs.log().count("compute.nodes = 2 and compute.devices = 1, but the stage was") == 1
    assert f"started as {tasks} processes, {per_node} on a node" in runs.log()


def test_several_nodes_without_a_launcher_are_told_the_commands(runs: TrainingRuns) -> None:
    assert runs.run() == EXIT_FATAL
    command = "-m pipeline.train " + " ".join(runs.arguments("out"))
    assert (
        "  torchrun --nnodes 2 --node-rank N --nproc-per-node 1 --master-addr HOST "
        f"--master-port 29500 {command}\n"
    ) in runs.log()
    assert (
        f"  srun --nodes 2 --ntasks-per-node 1 --kill-on-bad-exit=1 python {command}\n"
    ) in runs.log()
    assert "`dvc commit train@small`" in runs.log()


def test_a_plain_command_in_a_job_of_slurm_starts_its_own_ranks(
    runs: TrainingRuns, port: str
) -> None:
    short = {"tokens": 2_048, "warmup_tokens": 256}
    runs.set_params(train=SMOOTH | short, compute={"devices": 2})
    step = ("SLURM_STEP", "SLURM_LOCALID", "MASTER")
    script = {k: v for k, v in srun(0, port, per_node=2).items() if not k.startswith(step)}
    tasks = [runs.start("out", environment=script)]
    assert codes_of(tasks) == [EXIT_DONE], runs.log()


@pytest.fixture
def elsewhere(runs: TrainingRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of the runs, but with a work folder of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("tokens", "params.yaml", "tuned"):
        (folder / name).symlink_to(runs.folder / name)
    return folder


def start_apart(runs: TrainingRuns, port: str, elsewhere: Path) -> list[BaseProcess]:
    """Start two tasks that see different files by the same names."""
    apart = TrainingRuns(runs.name, runs.project, Path())
    tasks = []
    for rank, folder in enumerate((runs.folder, elsewhere)):
        with chdir(folder):
            tasks.append(apart.start("out", environment=srun(rank, port)))
    return tasks


def test_a_node_without_the_tokens_ends_all_with_the_reason(
    runs: TrainingRuns, port: str, elsewhere: Path
) -> None:
    (elsewhere / "tokens").unlink()
    codes = codes_of(start_apart(runs, port, elsewhere), within_s=60)
    assert codes == [EXIT_FATAL, EXIT_FATAL], runs.log()
    assert f"rank 1 on {socket.gethostname()}: " in runs.log()
    assert "tokens/train" in runs.log()


def test_a_node_with_another_work_folder_does_not_train_on_from_another_step(
    runs: TrainingRuns, port: str, elsewhere: Path
) -> None:
    tasks = start_apart(runs, port, elsewhere)
    wait_for(lambda: bool(runs.checkpoints), runs)
    for task in tasks:
        task.kill()
    codes_of(tasks)
    codes = codes_of(start_apart(runs, port, elsewhere), within_s=60)
    assert codes == [EXIT_RETRY, EXIT_RETRY], runs.log()
    assert "the newest checkpoint here is of step 0, that of rank 0 of step" in runs.log()
