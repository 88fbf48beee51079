"""The way back from damage: what an error prints is followed to its end, through a real DVC."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from damaged_files import flip_a_byte
from made_checkout import dvc
from started_stage import SCRIPT, MadeStage

from flows.repair import repair_cache, repair_outs
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.running.listing import hash_input

pytestmark = pytest.mark.long

STAGE = f"{sys.executable} {SCRIPT} --profile tiny --documents documents --out out"
CHAIN = f"""
stages:
  dedup:
    cmd: {STAGE}
    deps: [documents]
    outs: [out/kept, out/table.csv]
    metrics: [out/metrics.json: {{cache: false}}]
"""


@pytest.fixture
def checkout(made_stage: MadeStage, project: Path, monkeypatch: pytest.MonkeyPatch) -> MadeStage:
    """A checkout in which DVC has run the made stage, with the project's own cache settings."""
    root = made_stage.folder
    (root / "dvc.yaml").write_text(CHAIN)
    dvc(root, "init", "--no-scm", "--quiet")
    own = (project / ".dvc" / "config").read_text()
    (root / ".dvc" / "config").write_text(own.replace("[core]", "[core]\n    no_scm = true"))
    monkeypatch.setenv("MADE_STAGE_DOES", "does.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project), str(project / "tests")]))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    dvc(root, "repro")
    return made_stage


@pytest.mark.slow
def test_the_printed_remedy_brings_back_what_one_flipped_byte_damaged_everywhere(
    checkout: MadeStage,
) -> None:
    right = {path: path.read_bytes() for path in checkout.out.rglob("*.[tc][xs][tv]")}
    for name in ("kept/a.txt", "table.csv"):
        flip_a_byte(checkout.out / name)
    with pytest.raises(CorruptDataError) as caught:
        hash_input(checkout.out / "table.csv")
    for command in re.findall("`([^`]+)`", str(caught.value)):
        done = subprocess.run(
            command, shell=True, cwd=checkout.folder, capture_output=True, text=True, check=True
        )
        if "repair" in command:
            assert done.stdout.count(": damaged, dropped") == 4  # two files, each in the cache too
            assert done.stdout.endswith("Now run `dvc repro`\n")
    assert {path: path.read_bytes() for path in right} == right
    assert len(right) == 2
    hash_input(checkout.out)
    assert dvc(checkout.folder, "status") == "Data and pipelines are up to date.\n"
    again = subprocess.run(
        [sys.executable, "-m", "flows.repair"],
        cwd=checkout.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert again.stdout == "Nothing is damaged\n"


def put(cache: Path, data: bytes, ending: str = "") -> tuple[Path, str]:
    md5 = hashlib.md5(data).hexdigest() + ending
    path = cache / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path, md5


def test_what_is_whole_in_a_cache_stays(tmp_path: Path) -> None:
    files = [put(tmp_path, bytes([n]) * 100)[0] for n in range(20)]
    listing, _ = put(tmp_path, b"[]", ".dir")
    for path in (files[3], listing):
        flip_a_byte(path)
    assert sorted(repair_cache(tmp_path)) == sorted([files[3], listing])
    assert {path for path in tmp_path.glob("*/*")} == {*files} - {files[3]}


def test_files_of_the_checkout_are_compared_with_what_dvc_recorded(tmp_path: Path) -> None:
    cache, data = tmp_path / "cache", tmp_path / "data"
    data.mkdir()
    listed = []
    for name in ("a", "b", "gone"):
        (data / name).write_text(name)
        listed.append({"md5": put(cache, name.encode())[1], "relpath": name})
    _, folder = put(cache, json.dumps(listed).encode(), ".dir")
    (tmp_path / "table.csv").write_text("x")
    outs = [{"path": "data", "md5": folder}, {"path": "table.csv", "md5": put(cache, b"x")[1]}]
    lock = {"schema": "2.0", "stages": {"a": {"cmd": "true", "outs": outs}}}
    (tmp_path / "dvc.lock").write_text(json.dumps(lock))
    (data / "gone").unlink()
    assert repair_outs(tmp_path, cache) == []
    (data / "unrecorded").touch()
    flip_a_byte(data / "b")
    flip_a_byte(tmp_path / "table.csv")
    assert repair_outs(tmp_path, cache) == [data / "b", tmp_path / "table.csv"]
    assert {path.name for path in data.iterdir()} == {"a", "unrecorded"}
