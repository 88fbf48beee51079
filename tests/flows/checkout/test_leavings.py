"""What a killed DVC or Git leaves is mended, or named with the remedy, before anything runs."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path

import pytest

from flows.checkout import leavings
from flows.checkout.leavings import CheckoutError, mend_lock_file, read_lock_file, refuse_gits_lock
from flows.doctor import check_leavings, check_path

LOG = logging.getLogger("test_leavings")
LOCK = """schema: '2.0'
stages:
  links:
    cmd: python work.py links
    outs:
    - path: data/tiny/links
      hash: md5
      md5: 9ba6cf0d5836bf535101604d8ed8ad8b.dir
"""


def test_a_whole_lock_file_stays_as_it_is(tmp_path: Path) -> None:
    assert read_lock_file(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    mend_lock_file(tmp_path, LOG)
    assert (tmp_path / "dvc.lock").read_text() == LOCK
    assert list(read_lock_file(tmp_path)["stages"]) == ["links"]


@pytest.mark.parametrize("kept", [0, 7, 14, 22, 73, 85, 110])
def test_what_a_kill_left_of_a_lock_file_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    (tmp_path / "dvc.lock").write_text(LOCK[:kept])
    mend_lock_file(tmp_path, LOG)
    assert not (tmp_path / "dvc.lock").exists()
    assert (tmp_path / ".dvc" / "tmp" / "dvc.lock.torn").read_text() == LOCK[:kept]
    assert "not whole" in caplog.text and "Finished stages are recorded again" in caplog.text


def test_a_merge_conflict_is_left_to_the_user(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(f"<<<<<<< HEAD\n{LOCK}=======\n>>>>>>> other\n")
    with pytest.raises(CheckoutError, match=r"git checkout dvc\.lock"):
        mend_lock_file(tmp_path, LOG)
    assert (tmp_path / "dvc.lock").is_file()


def test_a_lock_of_git_that_stays_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leavings, "_GIT_WAIT_S", 0.1)
    refuse_gits_lock(tmp_path)  # no repository
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    refuse_gits_lock(tmp_path)
    (tmp_path / ".git" / "index.lock").touch()
    with pytest.raises(CheckoutError, match=r"index\.lock: Git's lock.*rm .*index\.lock$"):
        refuse_gits_lock(tmp_path)


def test_the_lock_of_a_worktree_is_found_where_git_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leavings, "_GIT_WAIT_S", 0.1)
    main, other = tmp_path / "main", tmp_path / "other"
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", "-C", str(main)]
    subprocess.run(["git", "init", "--quiet", main], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "m"], check=True)
    subprocess.run([*git, "worktree", "add", "--quiet", other], check=True, capture_output=True)
    refuse_gits_lock(other)
    (main / ".git" / "worktrees" / "other" / "index.lock").touch()
    with pytest.raises(CheckoutError, match=r"worktrees/other/index\.lock: Git's lock"):
        refuse_gits_lock(other)


@pytest.mark.parametrize("content", [b"", b"schema: '2.0'\nstag", b"[1, 2"])
def test_the_doctor_tells_of_a_torn_lock_file(tmp_path: Path, content: bytes) -> None:
    assert list(check_leavings(tmp_path)) == []
    (tmp_path / "dvc.lock").write_bytes(content)
    ((level, line),) = check_leavings(tmp_path)
    assert level == "wrong"
    assert "dvc.lock: not whole" in line


@pytest.mark.parametrize("name", ["Mein Büro", "a#b", "a?b"])
def test_a_path_in_which_dvc_copies_no_checkout_is_told(name: str, tmp_path: Path) -> None:
    assert list(check_path(tmp_path)) == []
    (tmp_path / name).mkdir()
    ((level, line),) = check_path(tmp_path / name)
    assert level == "note"
    assert "--temp" in line


@pytest.mark.slow
def test_dvc_still_fails_to_copy_a_checkout_in_such_a_path(tmp_path: Path) -> None:
    """Once it does not, the line is to go."""
    folders = [tmp_path / name for name in ("a 100% 'b'", "a#b")]
    codes = []
    for folder in folders:
        folder.mkdir()
        for command in ("git init -q", "dvc init -q"):
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        (folder / "params.yaml").write_text("a: 1\n")
        stage = {"cmd": "cp params.yaml out.txt", "params": ["a"], "outs": ["out.txt"]}
        (folder / "dvc.yaml").write_text(json.dumps({"stages": {"copy": stage}}))
        named = "git -c user.name=x -c user.email=x@example.org"
        for command in ("git add -A", f"{named} commit -qm x"):
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        run = ["dvc", "exp", "run", "--quiet", "--temp", "--set-param", "a=2"]
        codes.append(subprocess.run(run, cwd=folder, check=False, capture_output=True).returncode)
    assert codes[0] == 0
    assert codes[1] != 0
