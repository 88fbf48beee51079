"""The frame around every stage, by a stage made for that: real processes."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import cast

import pytest
from copied_code import CopiedCode
from damaged_files import flip_a_byte
from started_stage import HANG, MadeStage
from waiting import until

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import open_atomic, replace_path
from pipeline.shared.running.listing import COMPLETE, hash_input
from pipeline.shared.running.work_folder import fingerprint, sweep_stale


def test_a_finished_stage_publishes_its_entries_and_metrics(made_stage: MadeStage) -> None:
    assert made_stage.run()[0] == 0
    assert (made_stage.out / "kept" / "a.txt").read_text() == "WORDS"
    metrics = made_stage.metrics()
    assert metrics["characters"] == 5
    assert metrics["attempts"] == 1
    assert metrics["stage"] == "dedup"


def test_finished_work_is_published_again_without_running(made_stage: MadeStage) -> None:
    made_stage.does("wait(0.5)")
    made_stage.run()
    first = made_stage.metrics()
    assert 0.5 < cast(float, first["seconds"]) < 30
    made_stage.does("raise AssertionError('ran again')")
    code, log = made_stage.run()
    assert code == 0, log
    assert made_stage.metrics() == first


def test_finished_work_that_was_damaged_through_its_hard_link_is_made_again(
    made_stage: MadeStage,
) -> None:
    made_stage.run()
    flip_a_byte(made_stage.out / "kept" / "a.txt")
    code, log = made_stage.run()
    assert code == 0, log
    assert "out/kept/a.txt: finished work is damaged there; it is made again" in log
    assert (made_stage.out / "kept" / "a.txt").read_text() == "WORDS"
    assert "already done by an earlier attempt" in made_stage.run()[1]


def test_with_damaged_work_goes_the_note_beside_it_that_says_what_was_written(
    made_stage: MadeStage,
) -> None:
    made_stage.does(
        "note = stage.work / 'written'\n"
        "if not note.exists(): (stage.staging / 'shard').write_text('rows')\n"
        "note.touch()\n"
    )
    made_stage.run()
    (work,) = made_stage.work()
    (work / "written").touch()  # as a kill leaves it, after the work and before its publication
    flip_a_byte(made_stage.out / "shard")
    code, log = made_stage.run()
    assert code == 0, log
    assert (made_stage.out / "shard").read_text() == "rows"
    assert made_stage.metrics()["attempts"] == 2


def test_what_a_stage_made_is_listed_as_sha256sum_writes_it(made_stage: MadeStage) -> None:
    made_stage.run()
    kept, table = cast(list[str], made_stage.metrics()["sha256"])
    digest = hashlib.sha256((made_stage.out / "table.csv").read_bytes()).hexdigest()
    assert table == f"{digest}  table.csv"
    assert kept == f"{hash_input(made_stage.out / 'kept')}  kept"


def test_an_input_that_is_not_what_its_stage_listed_is_an_error_with_the_remedy(
    made_stage: MadeStage,
) -> None:
    made_stage.run()
    for read, damaged in (("table.csv", "table.csv"), ("kept", "kept/a.txt"), (".", "kept/a.txt")):
        hash_input(made_stage.out / read)
        flip_a_byte(made_stage.out / damaged)
        with pytest.raises(CorruptDataError, match=r"out/.*: damaged, not what metr.*repair`"):
            hash_input(made_stage.out / read)
        flip_a_byte(made_stage.out / damaged)
    table = made_stage.out / "table.csv"  # a note may stand for what is too large to bring along
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    table.unlink()
    table.write_text(f"it stays elsewhere: {digest}")
    hash_input(table)


def test_a_fault_of_ours_keeps_its_traceback(made_stage: MadeStage) -> None:
    made_stage.does("1 / 0")
    code, log = made_stage.run()
    assert code == 1
    assert "ZeroDivisionError" in log
    assert "Traceback" in log


def test_a_users_fault_is_one_line(made_stage: MadeStage) -> None:
    made_stage.set("    dedup:\n", "    dedup:\n      no_such_key: 1\n")
    code, log = made_stage.run()
    assert code == 1
    (line,) = log.splitlines()
    assert "profiles.tiny.dedup.no_such_key is no known key" in line


def test_a_missing_input_names_its_option_and_the_remedy(made_stage: MadeStage) -> None:
    (made_stage.folder / "documents").rename(made_stage.folder / "elsewhere")
    code, log = made_stage.run()
    assert code == 1
    assert "--documents documents: no such file or folder; run the stage that makes it" in log


def test_a_full_disk_is_one_line_and_loses_nothing(made_stage: MadeStage) -> None:
    made_stage.does(
        "(stage.work / 'state').write_text('kept')\n"
        "with open('/dev/full', 'w') as file:\n    file.write('x' * 100_000)"
    )
    code, log = made_stage.run()
    assert code == 1
    assert "No space left on device" in log
    assert "MiB are free; free some space and run the same command again" in log
    assert "Traceback" not in log
    assert (made_stage.work()[0] / "state").read_text() == "kept"
    made_stage.does("assert (stage.work / 'state').read_text() == 'kept'")
    assert made_stage.run()[0] == 0


def test_a_changed_parameter_starts_afresh_and_one_unfinished_attempt_is_kept(
    made_stage: MadeStage,
) -> None:
    made_stage.does(HANG)
    for seed in (1, 2, 3):
        process = made_stage.start()
        until((made_stage.folder / "there").exists)
        process.kill()
        process.wait()
        (made_stage.folder / "there").unlink()
        made_stage.set(f"corpus: {seed},", f"corpus: {seed + 1},")
        assert len(made_stage.work()) <= 2
    made_stage.does("")
    code, log = made_stage.run()
    assert code == 0
    assert "it goes on when they are set back" in log
    assert len(made_stage.work()) == 2
    assert made_stage.metrics()["attempts"] == 1


def test_another_stages_parameter_does_not_undo_work(made_stage: MadeStage) -> None:
    made_stage.run()
    made_stage.does("raise AssertionError('ran again')")
    made_stage.set("min_document_words: 50", "min_document_words: 51")
    assert made_stage.run()[0] == 0


def test_a_changed_input_starts_afresh(made_stage: MadeStage) -> None:
    made_stage.run()
    (made_stage.folder / "documents" / "a.txt").write_text("other words")
    assert made_stage.run()[0] == 0
    assert (made_stage.out / "kept" / "a.txt").read_text() == "OTHER WORDS"


def test_metrics_appear_last(made_stage: MadeStage) -> None:
    made_stage.run()
    times = {path.name: path.stat().st_ctime_ns for path in made_stage.out.iterdir()}
    assert max(times, key=lambda name: times[name]) == "metrics.json"


def test_an_edit_of_code_that_is_imported_late_starts_afresh_but_prose_does_not(
    made_stage: MadeStage,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = CopiedCode(project, tmp_path_factory.mktemp("code"))
    monkeypatch.setenv("PYTHONPATH", str(code.root))
    late = code.path("pipeline.dedup.language")  # the made stage has the name of dedup
    made_stage.run()
    late.write_text(late.read_text() + "\n# prose\n")
    assert "already done by an earlier attempt" in made_stage.run()[1]
    late.write_text(late.read_text() + "\n_EDITED = 1\n")
    assert "starting in" in made_stage.run()[1]


def test_settings_inputs_and_what_else_decides_change_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("a")
    first = fingerprint({"seed": 1}, {"documents": path}, {})
    assert fingerprint({"seed": 2}, {"documents": path}, {}) != first
    assert fingerprint({"seed": 1}, {"documents": path}, {"a.py": "0"}) != first
    path.write_text("b")
    assert fingerprint({"seed": 1}, {"documents": path}, {}) != first


def test_a_folder_is_hashed_by_its_files_but_not_by_durations(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("a")
    first = hash_input(tmp_path)
    (tmp_path / "metrics.json").write_text('{"seconds": 1}')
    assert hash_input(tmp_path) == first
    (tmp_path / "sub" / "a").write_text("b")
    assert hash_input(tmp_path) != first


def made_work(folder: Path, name: str, *, finished: bool, age_s: int) -> Path:
    (folder / name / "out").mkdir(parents=True)
    (folder / name / "out" / "pages").write_bytes(bytes(3 * 2**20))
    if finished:
        (folder / name / COMPLETE).write_text("{}")
    os.utime(folder / name, (1e9 - age_s, 1e9 - age_s))
    return folder / name


def test_only_work_that_dvc_has_recorded_is_swept_with_all_but_the_newest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, age_s in (("current", 0), ("recorded", 1), ("a", 2), ("b", 3), ("c", 4)):
        made_work(tmp_path, name, finished=True, age_s=age_s)
    for name, age_s in (("half", 5), ("old-half", 6)):
        made_work(tmp_path, name, finished=False, age_s=age_s)
    recorded = tmp_path / "recorded" / "out"
    log = logging.getLogger("test_stage")
    sweep_stale(tmp_path, "current", log, is_recorded=lambda out: out == recorded)
    assert {path.name for path in tmp_path.iterdir()} == {"current", "a", "b", "half"}
    assert [line.split(":")[0].rpartition("/")[2] for line in caplog.messages] == ["a", "b", "half"]
    assert "kept, finished work that DVC has not recorded" in caplog.messages[0]
    assert "(3.0 MiB)" in caplog.messages[0]


def test_finished_work_that_dvc_never_recorded_is_published_when_its_parameters_are_back(
    made_stage: MadeStage,
) -> None:
    made_stage.run()
    first = made_stage.metrics()
    made_stage.set("corpus: 1,", "corpus: 2,")
    assert "finished work that DVC has not recorded" in made_stage.run()[1]
    made_stage.set("corpus: 2,", "corpus: 1,")
    assert "already done by an earlier attempt" in made_stage.run()[1]
    assert made_stage.metrics() == first


# Files


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
