"""Data stages on a real Dask cluster: the same results, and deaths that cost little."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster_work import process_id, wait_for_go
from compute_settings import compute
from dask_cluster import DaskCluster, dask_cluster
from made_documents import make_documents
from stage_runs import StageRuns, read_bytes, write_shards
from waiting import until

from pipeline.shared.errors import RetryableError, UserError
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.running.cluster import _Task, hash_code
from pipeline.shared.running.executor import map_shards

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as cluster:
        yield cluster


def on(cluster: DaskCluster) -> dict[str, object]:
    return {"executor": "dask", "scheduler": cluster.address}


def test_items_go_to_all_workers_and_results_keep_their_order(cluster: DaskCluster) -> None:
    results = list(map_shards(process_id, range(20), compute=compute(**on(cluster))))
    assert [item for item, _ in results] == list(range(20))
    assert {pid for _, pid in results} == {worker.pid for worker in cluster.workers}


def test_the_error_of_one_item_is_raised_as_it_is(cluster: DaskCluster) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_shards(int, ["1", "x", "2"], compute=compute(**on(cluster))))


TOKENIZE = {"vocab_size": 400, "test_fraction": 0.3, "valid_fraction": 0.2}


def make_stage(name: str, project: Path, folder: Path, inputs: Path) -> StageRuns:
    """A data stage over several shards or files."""
    pages = make_documents(60)
    documents = write_shards(inputs / "documents", [pages[:40], [*pages[20:]]])
    write_examples(inputs / "sets" / "ptb.parquet", [Example(id="e", text=pages[0].text)])
    for number, page in enumerate(pages[:4]):
        (inputs / "sets" / f"{number}.jsonl").write_text(json.dumps({"text": page.text}))
    places = {"dedup": {"documents": documents, "eval_sets": inputs / "sets"},
              "tokenize": {"documents": documents},
              "extract": {"pages": inputs}}  # fmt: skip
    return StageRuns(name, project, folder, places[name])


@pytest.mark.parametrize("name", ["extract", "dedup", "tokenize"])
def test_a_stage_gives_the_same_bytes_as_in_processes(
    cluster: DaskCluster, project: Path, tmp_path: Path, name: str
) -> None:
    outs = []
    for place, changes in (("there", on(cluster)), ("here", {"workers": 2})):
        stage = make_stage(name, project, tmp_path / place, tmp_path / "inputs")
        corpus = {"source": "corpus", "location": str(tmp_path / "inputs" / "sets")}
        stage.set_params(
            compute=changes, tokenize=TOKENIZE, links={"source": "none"}, extract=corpus
        )
        outs.append(read_bytes(stage.run()))
    assert outs[0] == outs[1]


def test_a_worker_killed_in_the_middle_of_a_stage_changes_nothing(
    project: Path, tmp_path: Path
) -> None:
    shards = [make_documents(60 + n)[n:] for n in range(30)]
    inputs = {"documents": write_shards(tmp_path / "documents", shards)}
    here = StageRuns("tokenize", project, tmp_path / "here", inputs)
    here.set_params(compute={"workers": 1}, tokenize=TOKENIZE)
    there = StageRuns("tokenize", project, tmp_path / "there", inputs)
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster, ThreadPoolExecutor(1) as thread:
        there.set_params(compute=on(cluster), tokenize=TOKENIZE)
        running = thread.submit(there.run)
        until(lambda: any(there.remembered()))
        cluster.workers[0].kill()
        assert len(there.remembered()) < 30
        assert read_bytes(running.result()) == read_bytes(here.run())


def test_a_killed_worker_costs_only_the_time_of_its_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster:
        results = map_shards(wait_for_go, [0, 1, 2, 3, 4], compute=compute(**on(cluster)))
        first, second = next(results), next(results)  # they do not wait
        until(lambda: len(_begun(tmp_path)) == 4)
        victim = cluster.workers[0].pid
        os.kill(victim, signal.SIGKILL)
        (tmp_path / "go").touch()
        assert [first, second, *results] == [0, 1, 2, 3, 4]
    begun = Counter(item for item, _ in _begun(tmp_path))
    lost = {item for item, pid in _begun(tmp_path) if pid == victim and begun[item] == 2}
    assert len(lost) == 1
    assert begun == Counter(range(5)) + Counter(lost)


def _begun(folder: Path) -> list[tuple[int, int]]:
    """Item and process id of everything begun."""
    return [tuple(map(int, path.name.split("-")[1:])) for path in folder.glob("begun-*")]  # type: ignore[misc]


def test_a_lost_scheduler_is_an_error_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with dask_cluster(tmp_path / "cluster", workers=1) as cluster:
        results = map_shards(wait_for_go, [0, 1], compute=compute(**on(cluster)))
        next(results)
        cluster.scheduler.kill()
        with pytest.raises(RetryableError, match="the scheduler was lost"):
            next(results)


def test_no_scheduler_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.shared.running.cluster._CONNECT_S", 0.5)
    lost = compute(executor="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"tcp://127\.0\.0\.1:9: no scheduler answers"):
        list(map_shards(abs, [1], compute=lost))


def test_no_worker_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.shared.running.cluster._FIRST_WORKER_S", 0.5)
    with (
        dask_cluster(tmp_path, workers=0) as cluster,
        pytest.raises(UserError, match="has had no worker"),
    ):
        list(map_shards(abs, [1], compute=compute(**on(cluster))))


def test_a_worker_refuses_another_folder_and_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    assert _Task(abs, str(tmp_path), inode, hash_code())(-1) == 1
    for folder, number in ((str(tmp_path / "missing"), inode), (str(tmp_path), inode + 1)):
        with pytest.raises(UserError, match="does not see the stage's folder"):
            _Task(abs, folder, number, hash_code())(-1)
    with pytest.raises(UserError, match="runs other code"):
        _Task(abs, str(tmp_path), inode, "0" * 64)(-1)
