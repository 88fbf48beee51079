"""Real `dvc repro`s with the real stage `watch`: what runs again after which edit."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from copied_code import CopiedCode
from small_study import Checkout

from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json
from pipeline.shared.params.file import load_params
from pipeline.shared.running.deciders import SEEN, WATCHED, deciders, digest
from pipeline.shared.running.recorded import is_recorded
from pipeline.shared.running.stage import Definition, run_stage
from pipeline.watch.run import STAGES_FILE, look, watch

pytestmark = pytest.mark.long

# Of the chain these, as dvc.yaml has them but for the work: a few bytes in place of a result.
WORK = "mkdir -p data/tiny/{0} && date +%s.%N > data/tiny/{0}/metrics.json"
METRICS = "data/tiny/{}/metrics.json"
FOLDER = "data/tiny/{}"
OUTS: dict[str, dict[str, Any]] = {
    "extract": {"metrics": [{METRICS: {"cache": False}}]},
    "tokenize": {"outs": [METRICS]},
    "report": {"outs": [FOLDER]},
}


@pytest.fixture(scope="module")
def chain(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout of the code with four stages, which have run, a corpus, and DVC without Git."""
    root = CopiedCode(project, tmp_path_factory.mktemp("chain")).root
    shipped = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    stages = {"watch": shipped["watch"]}
    for name, outs in OUTS.items():
        params = [entry for entry in shipped[name]["params"] if isinstance(entry, dict)]
        own = yaml.safe_load(yaml.safe_dump(outs).replace("{}", name))
        stages[name] = {"cmd": WORK.format(name), "params": params} | own
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["profiles"]["tiny"]["links"]["source"] = "none"
    params["profiles"]["tiny"]["extract"] |= {"source": "corpus", "location": "corpus"}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "corpus").mkdir()
    (root / "corpus" / "a.jsonl").write_text("{}")
    shutil.copy(project / ".dvcignore", root)
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True
    )
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    chain = Checkout(root)
    chain.first_run = chain.repro()
    return chain


def edit(chain: Checkout, path: str, old: str, new: str) -> None:
    file = chain.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_second_repro_runs_nothing_but_the_look_at_the_code(chain: Checkout) -> None:
    assert set(chain.first_run) == {"watch", *OUTS}
    assert chain.repro() == ["watch"]
    assert chain.run("dvc", "status", *OUTS, "--quiet", check=False).returncode == 0


def test_an_edit_of_a_module_that_is_imported_late_reruns_its_stage(chain: Checkout) -> None:
    late = "pipeline/tokenize/train_bpe.py"
    edit(chain, late, "from __future__ import annotations\n", "_EDITED = 1\n")
    edit(chain, "pipeline/extract/rules.py", '"""', '"""Prose. ')
    assert chain.repro() == ["watch", "tokenize"]


def test_an_edit_of_the_style_sheet_reruns_the_report(chain: Checkout) -> None:
    edit(chain, "pipeline/report/page.css", "{", "{ ")
    assert chain.repro() == ["watch", "report"]


def test_a_file_added_to_the_corpus_reruns_its_reading_and_says_why(chain: Checkout) -> None:
    (chain.folder / "corpus" / "b.jsonl").write_text("{}")
    said = chain.run("dvc", "repro")
    assert re.findall(r"Running stage '([^']+)'", said.stdout) == ["watch", "extract"]
    assert "changed: extract.location corpus, read by extract" in said.stderr


def test_another_pin_reruns_who_imports_the_package_also_stage_by_stage(chain: Checkout) -> None:
    edit(chain, "constraints.txt", "tokenizers==", "tokenizers==99.")
    ran = []
    for stage in ("watch", *OUTS):
        ran += re.findall(
            r"Running stage '([^']+)'", chain.run("dvc", "repro", "--single-item", stage).stdout
        )
    assert ran == ["watch", "tokenize"]


def test_what_dvc_recorded_is_known_by_its_metrics(
    chain: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(chain.folder)
    for stage in OUTS:
        out = Path(f"data/tiny/{stage}")
        finished = tmp_path / stage
        shutil.copytree(out, finished)
        assert is_recorded(finished, out), stage
        assert not is_recorded(finished, Path("data/other") / stage)
        (finished / "metrics.json").chmod(0o644)
        (finished / "metrics.json").write_text("of another attempt")
        assert not is_recorded(finished, out)
    monkeypatch.chdir(tmp_path)
    assert not is_recorded(chain.folder / "data/tiny/extract", Path("data/tiny/extract"))


def test_the_work_folder_goes_by_the_same_hash(project: Path, tmp_path: Path) -> None:
    log, study = logging.getLogger("test_watch"), load_params(project / "params.yaml", "tiny")
    for stage, found in look(study, tmp_path, log).items():
        own = deciders(stage, study, work=tmp_path, log=log)
        assert digest(own.all) == digest(found), stage


def test_a_stage_of_dvc_refuses_code_that_is_no_longer_as_watch_saw_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would record what `watch` saw, for a result of other code."""
    log, study = logging.getLogger("test_watch"), load_params(project / "params.yaml", "tiny")
    asked = Definition(
        name="overlap", description="", inputs={}, sections=["overlap"], run=lambda stage: {}
    )

    def run() -> None:
        run_stage(asked, study, log, inputs={}, out=tmp_path / "out", work=tmp_path)

    monkeypatch.setenv("DVC_STAGE", "overlap")
    watch(study, log, work=tmp_path, out=tmp_path)
    run()
    note = tmp_path / "tiny" / WATCHED / SEEN
    seen = read_json(note)
    seen["overlap"] |= {"pipeline/overlap/spans.py": "other", "scipy==": "0"}
    seen["report"]["pipeline/report/page.css"] = "other"
    note.write_text(json.dumps(seen))
    with pytest.raises(UserError, match=r"^pipeline/overlap/spans.py, scipy: changed since this"):
        run()
    monkeypatch.delenv("DVC_STAGE")
    run()


def test_every_hash_is_a_line_of_the_file(chain: Checkout, project: Path) -> None:
    written = yaml.safe_load((chain.folder / "data/tiny/watch" / STAGES_FILE).read_text())
    study = load_params(project / "params.yaml", "tiny")
    assert list(written) == list(look(study, chain.folder, logging.getLogger("test_watch")))
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in written.values())
