"""DVC around a finished study: pulled elsewhere whole, tried out in a copy, compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import s3_server
from small_study import Checkout

pytestmark = [pytest.mark.study, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def committed(study: Checkout) -> Checkout:
    """The study with its code and hashes in Git; its data are DVC's."""
    (study.folder / ".gitignore").write_text(
        "/data/\n/work/\n/archive/\nmlflow.db*\nmlartifacts/\n"
    )
    study.run("git", "config", "user.name", "test")
    study.run("git", "config", "user.email", "test@figure4.test")
    study.run("git", "add", "--all")
    study.run("git", "commit", "--quiet", "--message", "the study")
    return study


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where `dvc push` puts the study: a folder, or a bucket of a server on loopback."""
    if request.param == "folder":
        yield str(tmp_path / "remote")
        return
    with s3_server() as bucket:
        yield f"{bucket}/study"


def test_a_second_clone_pulls_the_study_whole_and_has_nothing_to_run(
    committed: Checkout, remote: str, tmp_path: Path
) -> None:
    committed.run("dvc", "remote", "add", "--force", "--local", "backup", remote)
    committed.run("dvc", "push", "--remote", "backup")
    committed.run("git", "clone", "--quiet", str(committed.folder), str(tmp_path / "clone"))
    clone = Checkout(tmp_path / "clone")
    clone.run("dvc", "remote", "add", "--local", "backup", remote)
    clone.run("dvc", "pull", "--remote", "backup")
    for name in ("index.html", "figure4.png"):
        pulled = clone.folder / "data" / "tiny" / "report" / name
        assert pulled.read_bytes() == (committed.folder / "data/tiny/report" / name).read_bytes()
    assert not (clone.folder / "archive").exists()
    assert clone.repro() == ["watch"]  # it looks at the code, each time
    assert not (clone.folder / "archive").exists()  # and no page was asked for


def test_an_experiment_in_a_copy_keeps_its_pages_and_runs_beside_the_checkout(
    committed: Checkout, tmp_path: Path
) -> None:
    # DVC finds no repository in a path with `#` or an umlaut, as `make doctor` says.
    committed = Checkout(Path(shutil.copytree(committed.folder, tmp_path / "plain", symlinks=True)))
    shutil.rmtree(committed.folder / ".dvc" / "tmp" / "exps", ignore_errors=True)
    before = {path: path.stat().st_mtime_ns for path in archived(committed)}
    assert before
    value = "defaults.extract.min_document_words=150"
    ran = committed.run("dvc", "exp", "run", "--temp", "--name", "longer", "--set-param", value)
    assert "Running stage 'extract'" in ran.stdout
    assert "Running stage 'crawl'" not in ran.stdout
    # The pages were read where they lie; none was fetched again, nor copied.
    assert {path: path.stat().st_mtime_ns for path in archived(committed)} == before
    assert committed.run("git", "status", "--porcelain").stdout == ""
    shown = json.loads(committed.run("dvc", "exp", "show", "--json").stdout)
    assert "longer" in json.dumps(shown)
    compared = committed.run("dvc", "metrics", "diff", "HEAD", "longer").stdout
    assert "test_ppl" in compared
    parameters = committed.run("dvc", "params", "diff", "HEAD", "longer").stdout
    assert "min_document_words" in parameters


def archived(checkout: Checkout) -> list[Path]:
    """The archive's files of pages."""
    return sorted((checkout.folder / "archive").rglob("*.warc.gz"))


def test_dvcs_table_of_a_study_is_table_3_on_one_screen(committed: Checkout) -> None:
    lines = committed.run("dvc", "metrics", "show").stdout.splitlines()
    names = lines[0].split()
    assert {"params", "train_ppl", "test_ppl", "cn_acc", "wt2_ppl"} <= {*names}
    assert len(lines) == 5
    assert max(map(len, lines)) <= 200
