"""What runs found, kept beside dvc.lock, and the page that sets them side by side."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from flows.page.history import drift_page, note, path_of, perplexities_on_test, read


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A checkout with what the stages leave, of the profile `tiny`."""
    report = {"cmd": "x", "outs": [{"path": "data/tiny/report"}]}
    lock = {"schema": "2.0", "stages": {"report": report}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    (tmp_path / "data/tiny/report").mkdir(parents=True)
    write(tmp_path, wikipedia=32, xl=90.84)
    return tmp_path


def write(root: Path, *, wikipedia: int, xl: float) -> None:
    found = {
        "documents": 3123,
        "kept": 3000 - wikipedia,
        "removed": {"wikipedia": wikipedia, "near_duplicate": 120},
        "overlap_percent": 2.5,
        "test_perplexity": {"small": 120.5, "xl": xl},
    }
    (root / "data/tiny/report/found.json").write_text(json.dumps(found))


def test_a_run_is_noted_once_and_only_where_something_changed(study: Path) -> None:
    (row,) = note(study, "tiny")
    assert {name: row[name] for name in row if name != "at"} == {
        "documents": 3123,
        "kept": 2968,
        "removed": {"wikipedia": 32, "near_duplicate": 120},
        "overlap_percent": 2.5,
        "test_perplexity": {"small": 120.5, "xl": 90.84},
    }
    assert note(study, "tiny") == [row]
    write(study, wikipedia=40, xl=88.91)
    assert [one["removed"]["wikipedia"] for one in note(study, "tiny")] == [32, 40]
    assert len(path_of(study, "tiny").read_text().splitlines()) == 2


def test_what_another_profile_left_is_not_taken_for_this_ones(study: Path) -> None:
    assert note(study, "laptop") == []
    assert not path_of(study, "laptop").exists()
    assert perplexities_on_test(study, "laptop") == {}
    assert list(perplexities_on_test(study, "tiny")) == ["small", "xl"]


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_file_of_the_report_is_no_run(study: Path, content: str) -> None:
    (study / "data/tiny/report/found.json").write_text(content)
    assert note(study, "tiny") == []
    assert perplexities_on_test(study, "tiny") == {}


@pytest.mark.parametrize(("setting", "seen"), [("true", "A "), ("false", "??")])
def test_git_is_given_the_history_with_dvc_lock(study: Path, setting: str, seen: str) -> None:
    git = ["git", "-C", str(study)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (study / ".dvc").mkdir()
    config = f"[core]\n    autostage = {setting}\n    analytics = false\n"
    (study / ".dvc" / "config").write_text(config)
    note(study, "tiny")
    told = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=all", "history"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout == f"{seen} history/tiny.jsonl\n"


def test_a_line_that_a_kill_has_torn_costs_that_line(study: Path) -> None:
    note(study, "tiny")
    with path_of(study, "tiny").open("a") as file:
        file.write('{"at": "2026-\n[1]\n')
    assert len(read(study, "tiny")) == 1


def test_the_page_shows_the_run_before_the_change_and_all_runs_in_a_picture(study: Path) -> None:
    note(study, "tiny")
    write(study, wikipedia=40, xl=88.91)
    text = drift_page("tiny", note(study, "tiny")).markdown
    assert "| removed wikipedia | 32 | 40 | \\+8 |" in text
    assert "| kept | 2,968 | 2,960 | -8 |" in text
    assert "| test perplexity xl | 90.84 | 88.91 | -1.93 |" in text
    assert "| overlap percent | 2.50 | 2.50 | \\+0 |" in text
    (image,) = re.findall(r"base64,([^)]+)\)", text)
    with Image.open(io.BytesIO(base64.b64decode(image))) as picture:
        assert picture.width > 600
    assert len(text) < 100_000  # it lies in Prefect's database


def test_a_first_run_has_no_run_before(study: Path) -> None:
    page = drift_page("tiny", note(study, "tiny"))
    assert page.key == "drift"
    assert "| removed wikipedia |  | 32 |  |" in page.markdown
    assert "base64" not in page.markdown


def test_a_size_that_is_new_has_no_change(study: Path) -> None:
    note(study, "tiny")
    huge = json.dumps({"test_perplexity": {"huge": 20.0}})
    (study / "data/tiny/report/found.json").write_text(huge)
    text = drift_page("tiny", note(study, "tiny")).markdown
    assert "| test perplexity huge |  | 20.00 |  |" in text
