"""A bare node, without DVC and MLflow and with a part of the tokens, makes the same of a study."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_documents import english_passages
from stage_processes import start_stage
from training_runs import EVALUATE, MODEL, TRAIN, make_tokens

from pipeline.node.chain import STAGES, NodeTask, read_chain
from pipeline.node.outcome import write_results
from pipeline.node.pack import pack, unpack
from pipeline.node.run import open_payload
from pipeline.node.take import put_results
from pipeline.shared.files import write_json
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.formats.tokenizer import load_tokenizer
from pipeline.shared.params.file import ActiveStudy, load_params
from pipeline.shared.running.listing import MANIFEST

LOG = logging.getLogger("figure4")
# What the project needs elsewhere and a node has not. (What Lightning or transformers look for by
# themselves, though no stage needs it, cannot be taken away: they trust pip's list.)
ABSENT = (
    *("dvc", "prefect", "mlflow", "git", "upath", "distributed", "fastapi", "sqlalchemy"),
    *("resiliparse", "trafilatura", "fastwarc", "warcio", "rensa"),
)
SMALLER: dict[str, dict[str, Any]] = {
    "tune": {"learning_rates": [0.003, 0.01], "compare_at": [0.5], "keep": [], "max_extensions": 0},
    "compute": {"checkpoint_every_s": 1e6},
    "train": {**TRAIN, "tokens": 12_000},
    "evaluate": {
        **EVALUATE,
        **{"train_documents": 5, "test_documents": 5, "bootstrap_samples": 20},
        **{"summary_tokens": 8, "answer_tokens": 8, "translation_tokens": 8},
        **{"figure5_documents": 2, "figure5_context_tokens": 16, "figure5_sample_tokens": 8},
    },
}


@pytest.fixture
def study(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> ActiveStudy:
    """A checkout, the working folder, in which the data stages have run."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("pipeline", "models", "dvc.yaml", "constraints.txt"):
        (home / name).symlink_to(project / name)
    params = yaml.safe_load((project / "params.yaml").read_text())
    for section, changes in SMALLER.items():
        params["profiles"]["tiny"][section].update(changes)
    params["profiles"]["tiny"]["models"]["small"].update(MODEL)
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    data = home / "data" / "tiny"
    make_tokens(data / "tokenize")
    _write_test_split(data / "tokenize")
    write_json(data / "eval_sets" / "test" / MANIFEST, {"sets": {}, "not_available": {}})
    monkeypatch.chdir(home)
    return load_params(home / "params.yaml", "tiny")


def _write_test_split(folder: Path) -> None:
    tokenizer = load_tokenizer(folder / "tokenizer")
    documents = [
        TokenDocument(
            f"test{n}", np.array([*tokenizer.encode(text), tokenizer.end_of_text], np.uint16)
        )
        for n, text in enumerate(english_passages(70)[60:])
    ]
    write_token_shards(folder / "test", documents, tokenizer_sha256=tokenizer.sha256)


def _run_stages(folder: Path) -> None:
    """The stages of the small size, in a folder with data/ below it, as DVC would start them."""
    chain = read_chain(load_params(folder / "params.yaml", "tiny"))
    for stage in STAGES:
        arguments = chain.command(NodeTask(stage, "small"))[3:]
        process = start_stage(stage, arguments, folder=folder, log=folder / "stages.log")
        process.join()
        assert process.exitcode == 0, (folder / "stages.log").read_text()


@pytest.mark.long
def test_of_what_is_packed_the_stages_make_what_they_make_beside_all_data(
    study: ActiveStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "payload"
    pack(study, node, LOG)
    unpack(node)
    carried = open_split(node / "data/tiny/tokenize/train")
    assert carried.num_tokens < open_split(Path("data/tiny/tokenize/train")).num_tokens
    _run_stages(node)
    _run_stages(Path.cwd())
    here = _numbers()
    with monkeypatch.context() as there:
        there.chdir(node)
        write_results(open_payload(LOG), Path("results"), weights_bytes=0)
    put_results(study, node / "results", LOG)
    taken = _numbers()
    assert here.keys() == taken.keys()
    assert {name for name in here if here[name] != taken[name]} == set()


def test_no_stage_of_a_node_imports_what_a_node_has_not() -> None:
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in ABSENT)]
    lines += [f"import pipeline.{stage}.__main__" for stage in STAGES]
    lines += ["import pipeline.node.run"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# What a clock or a memory meter read, and the list of hashes of files that hold such (what else is
# in these is compared itself); and the fingerprint, which covers the modules of the process, and
# that of a test has all of them.
MEASURED = {
    "sha256",
    *("seconds", "peak_memory_mib", "tokens_per_s", "start_up_s", "first_step_s", "attempts"),
    *("model_flops_per_s", "peak_flops_per_s", "mfu", "fingerprint"),
}


def _numbers() -> dict[str, Any]:
    """All that the stages published but times and what stays on the node; hashes stand for that."""
    found: dict[str, Any] = {}
    for stage in STAGES:
        folder = Path("data/tiny", stage, "small")
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to("data/tiny"))
            if path.suffix == ".json" and path.parent.name != "state":
                content = json.loads(path.read_text())
                found |= {f"{name}: {key}": content[key] for key in content.keys() - MEASURED}
            elif path.suffix in {".csv", ".parquet", ".txt"}:
                found[name] = path.read_bytes()
    assert found["train/small/metrics.json: train_sha256"]
    return found
