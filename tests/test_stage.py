"""The frame around every stage, by a stage made for that: real processes, real signals."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from pipeline.errors import EXIT_INTERRUPTED, EXIT_RETRY, EXIT_TERMINATED
from pipeline.files import open_atomic, replace_path
from pipeline.progress import Progress
from pipeline.work_folder import COMPLETE, fingerprint, hash_input, sweep_stale

SCRIPT = Path(__file__).parent / "made_stage.py"


class MadeStage:
    """Starts the made stage in a folder of its own."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        (folder / "documents").mkdir()
        (folder / "documents" / "a.txt").write_text("words")
        (folder / "params.yaml").write_text((project / "params.yaml").read_text())
        self._started: list[subprocess.Popen[str]] = []

    def does(self, code: str) -> None:
        """What the stage does before its work."""
        (self.folder / "does.py").write_text(code)

    def set(self, old: str, new: str) -> None:
        """Change params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def start(self) -> subprocess.Popen[str]:
        """Start the stage, with its log in a pipe."""
        options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *options],
            cwd=self.folder,
            env=os.environ | {"MADE_STAGE_DOES": "does.py"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self) -> tuple[int, str]:
        """Run to the end; the exit code and what was logged."""
        process = self.start()
        log = process.communicate(timeout=60)[1]
        return process.returncode, log

    def work(self) -> list[Path]:
        """The work folders, one a fingerprint."""
        folder = self.folder / "work" / "tiny" / "dedup"
        return [path for path in folder.iterdir() if path.is_dir()]

    def metrics(self) -> dict[str, object]:
        """What the stage published of itself."""
        metrics: dict[str, object] = json.loads((self.out / "metrics.json").read_text())
        return metrics

    def close(self) -> None:
        """End whatever still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def made(tmp_path: Path, project: Path) -> Iterator[MadeStage]:
    stage = MadeStage(tmp_path, project)
    yield stage
    stage.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


HANG = "import pathlib, time; pathlib.Path('there').touch(); time.sleep(60)"


def test_a_finished_stage_publishes_its_entries_and_metrics(made: MadeStage) -> None:
    assert made.run()[0] == 0
    assert (made.out / "kept" / "a.txt").read_text() == "WORDS"
    metrics = made.metrics()
    assert metrics["characters"] == 5
    assert metrics["attempts"] == 1
    assert metrics["stage"] == "dedup"


def test_finished_work_is_published_again_without_running(made: MadeStage) -> None:
    made.run()
    first = made.metrics()
    made.does("raise AssertionError('ran again')")
    code, log = made.run()
    assert code == 0, log
    assert made.metrics() == first


def test_a_killed_stage_goes_on_from_its_work_folder(made: MadeStage) -> None:
    made.does(
        "import os, signal, time; done = stage.work / 'half'\n"
        "if not done.exists():\n    done.write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert made.run()[0] == -signal.SIGKILL
    assert not made.out.exists()
    assert made.run()[0] == 0
    assert made.metrics()["attempts"] == 2
    assert [path.name for path in made.work()[0].iterdir() if path.name == "half"] == []


def test_half_files_of_a_killed_attempt_are_removed(made: MadeStage) -> None:
    made.does(
        "import os, signal\n"
        "half = stage.work / 'state' / '.part.tmp-1'\n"
        "if half.parent.is_dir():\n    assert not half.exists()\n"
        "else:\n    half.parent.mkdir(); half.write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    made.run()
    code, log = made.run()
    assert code == 0, log


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, EXIT_TERMINATED), (signal.SIGINT, EXIT_INTERRUPTED)]
)
def test_a_stopped_stage_says_so_and_publishes_nothing(
    made: MadeStage, number: int, code: int
) -> None:
    made.does(HANG)
    process = made.start()
    until((made.folder / "there").exists)
    process.send_signal(number)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "the same command goes on from here" in log
    assert "Traceback" not in log
    assert not made.out.exists()


def test_a_second_sigterm_does_not_cut_short_the_tidying_after_the_first(made: MadeStage) -> None:
    made.does(
        "import os, pathlib, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "finally:\n    os.kill(os.getpid(), signal.SIGTERM); pathlib.Path('tidied').touch()"
    )
    assert made.run()[0] == EXIT_TERMINATED
    assert (made.folder / "tidied").exists()


def test_sigterm_ends_the_workers_of_a_pool_too(made: MadeStage) -> None:
    made.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made.start()
    until(lambda: len(list(made.folder.glob("waiting-*"))) == 2)
    workers = [int(path.name.removeprefix("waiting-")) for path in made.folder.glob("waiting-*")]
    process.terminate()
    assert process.wait(timeout=60) == EXIT_TERMINATED
    assert not any(map(alive, workers))


def waiting_workers(made: MadeStage) -> set[int]:
    """Those that have begun to wait, now or before."""
    return {int(path.name.removeprefix("waiting-")) for path in made.folder.glob("waiting-*")}


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_kill_9_ends_the_workers_of_a_pool_too(made: MadeStage) -> None:
    made.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made.start()
    until(lambda: len(list(made.folder.glob("waiting-*"))) == 2)
    workers = waiting_workers(made)
    process.kill()
    process.wait()
    until(lambda: not any(map(alive, workers)))


@pytest.mark.parametrize("which", [0, 1], ids=["oldest", "newest"])
def test_the_work_of_a_killed_worker_is_begun_again(made: MadeStage, which: int) -> None:
    made.does("import made_stage; made_stage.in_workers([3.0, 3.0])")
    process = made.start()
    until(lambda: len(list(made.folder.glob("waiting-*"))) == 2)
    os.kill(sorted(waiting_workers(made))[which], signal.SIGKILL)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 0, log
    assert log.count("a worker process was killed; its work begins again") == 1


def test_workers_killed_again_and_again_are_an_error_that_names_the_remedy(
    made: MadeStage,
) -> None:
    made.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made.start()
    seen: set[int] = set()
    for _ in range(4):
        kill_new_worker(made, seen)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "killed 4 times in a row" in log
    assert "lower compute.workers" in log
    assert "Traceback" not in log


def kill_new_worker(made: MadeStage, seen: set[int]) -> None:
    """Kill one that is not in `seen`, as soon as there is one; then all are."""
    until(lambda: waiting_workers(made) - seen)
    new = waiting_workers(made) - seen
    os.kill(min(new), signal.SIGKILL)
    seen |= new


def test_a_second_process_is_kept_out_with_a_code_worth_a_retry(made: MadeStage) -> None:
    made.does(HANG)
    first = made.start()
    until((made.folder / "there").exists)
    code, log = made.run()
    assert code == EXIT_RETRY
    assert f"(pid {first.pid})" in log


def test_a_second_process_waits_for_one_that_is_ending(made: MadeStage) -> None:
    made.does(HANG)
    first = made.start()
    until((made.folder / "there").exists)
    made.does("")
    second = made.start()
    time.sleep(0.5)
    first.terminate()
    log = second.communicate(timeout=60)[1]
    assert second.returncode == 0, log


def test_a_fault_of_ours_keeps_its_traceback(made: MadeStage) -> None:
    made.does("1 / 0")
    code, log = made.run()
    assert code == 1
    assert "ZeroDivisionError" in log
    assert "Traceback" in log


def test_a_users_fault_is_one_line(made: MadeStage) -> None:
    made.set("    dedup:\n", "    dedup:\n      no_such_key: 1\n")
    code, log = made.run()
    assert code == 1
    (line,) = log.splitlines()
    assert "profiles.tiny.dedup.no_such_key is no known key" in line


def test_a_missing_input_names_its_option_and_the_remedy(made: MadeStage) -> None:
    (made.folder / "documents").rename(made.folder / "elsewhere")
    code, log = made.run()
    assert code == 1
    assert "--documents documents: no such file or folder; run the stage that makes it" in log


def test_a_full_disk_is_one_line_and_loses_nothing(made: MadeStage) -> None:
    made.does(
        "(stage.work / 'state').write_text('kept')\n"
        "with open('/dev/full', 'w') as file:\n    file.write('x' * 100_000)"
    )
    code, log = made.run()
    assert code == 1
    assert "No space left on device" in log
    assert "MiB are free; free some space and run the same command again" in log
    assert "Traceback" not in log
    assert (made.work()[0] / "state").read_text() == "kept"
    made.does("assert (stage.work / 'state').read_text() == 'kept'")
    assert made.run()[0] == 0


def test_a_changed_parameter_starts_afresh_and_one_unfinished_attempt_is_kept(
    made: MadeStage,
) -> None:
    made.does(HANG)
    for seed in (1, 2, 3):
        process = made.start()
        until((made.folder / "there").exists)
        process.kill()
        process.wait()
        (made.folder / "there").unlink()
        made.set(f"seed: {seed}", f"seed: {seed + 1}")
        assert len(made.work()) <= 2
    made.does("")
    code, log = made.run()
    assert code == 0
    assert "it goes on when they are set back" in log
    assert len(made.work()) == 2
    assert made.metrics()["attempts"] == 1


def test_another_stages_parameter_does_not_undo_work(made: MadeStage) -> None:
    made.run()
    made.does("raise AssertionError('ran again')")
    made.set("min_document_words: 50", "min_document_words: 51")
    assert made.run()[0] == 0


def test_a_changed_input_starts_afresh(made: MadeStage) -> None:
    made.run()
    (made.folder / "documents" / "a.txt").write_text("other words")
    assert made.run()[0] == 0
    assert (made.out / "kept" / "a.txt").read_text() == "OTHER WORDS"


def test_metrics_appear_last(made: MadeStage) -> None:
    made.run()
    times = {path.name: path.stat().st_ctime_ns for path in made.out.iterdir()}
    assert max(times, key=lambda name: times[name]) == "metrics.json"


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_a_stage_of_dvc_ends_when_dvc_is_killed(made: MadeStage) -> None:
    made.does(HANG)
    options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
    parent = (  # a command line that names dvc, as the real one does
        "dvc = 0; import subprocess, sys; p = subprocess.Popen(sys.argv[1:]);"
        "print(p.pid, flush=True);"
        "p.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, sys.executable, str(SCRIPT), *options],
        cwd=made.folder,
        env=os.environ | {"MADE_STAGE_DOES": "does.py", "DVC_STAGE": "dedup"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    stage = int(process.stdout.readline())
    until((made.folder / "there").exists)
    process.kill()
    process.communicate()
    until(lambda: not alive(stage))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent is looked up as Linux shows it")
def test_a_stage_whose_dvc_was_killed_before_it_began_does_no_work(made: MadeStage) -> None:
    made.does(HANG)
    options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
    started = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # names no dvc
    code = subprocess.call(
        [sys.executable, "-c", started, sys.executable, str(SCRIPT), *options],
        cwd=made.folder,
        env=os.environ | {"MADE_STAGE_DOES": "does.py", "DVC_STAGE": "dedup"},
        timeout=60,
    )
    assert code == 143
    assert not (made.folder / "there").exists()


# The fingerprint


def made_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    (tmp_path / "made_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_module", raising=False)
    __import__("made_module")
    return fingerprint({"seed": 1}, {}, ["made_module"])


def test_code_changes_the_fingerprint_but_prose_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(source: str) -> str:
        return made_module(tmp_path, monkeypatch, source)

    plain = of("def f():\n    return 1\n")
    assert of('"""Module."""\n\ndef f():\n    """Doc."""\n    return 1  # comment\n') == plain
    assert of("def f():\n    return 2\n") != plain


def test_settings_and_inputs_change_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("a")
    first = fingerprint({"seed": 1}, {"documents": path}, [])
    assert fingerprint({"seed": 2}, {"documents": path}, []) != first
    path.write_text("b")
    assert fingerprint({"seed": 1}, {"documents": path}, []) != first


def test_a_folder_is_hashed_by_its_files_but_not_by_durations(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("a")
    first = hash_input(tmp_path)
    (tmp_path / "metrics.json").write_text('{"seconds": 1}')
    assert hash_input(tmp_path) == first
    (tmp_path / "sub" / "a").write_text("b")
    assert hash_input(tmp_path) != first


def test_finished_work_of_other_parameters_is_swept(tmp_path: Path) -> None:
    for name in ("old", "unfinished", "current"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / COMPLETE).write_text("{}")
    sweep_stale(tmp_path, "current", logging.getLogger("test_stage"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "unfinished"]


# Files, workers, progress


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), open_atomic(path, "w") as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_a_folder_whole(tmp_path: Path) -> None:
    for name, file in (("new", "b"), ("old", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(name)
    replace_path(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["b"]
    assert (tmp_path / "new" / "b").exists()


def test_a_progress_line_tells_rate_and_time_left() -> None:
    progress = Progress("train", total=100, unit="tokens", log=logging.getLogger(), done=50)
    progress.done = 75
    line = progress.line("loss 3.2")
    assert line.startswith("train: 75 of 100 tokens, ")
    assert line.endswith(" left; loss 3.2")
