"""A node's results back in the study: whole, of this study, and nothing that was there is lost."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from made_payload import MadePayload, make_payload, write_payload_json

from pipeline.node import pieces
from pipeline.node.take import put_results
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.params.file import ActiveStudy, load_params

LOG = logging.getLogger("figure4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, project: Path) -> MadePayload:
    """A node on which two sizes are done."""
    payload = make_payload(tmp_path_factory.mktemp("finished") / "node", project)
    assert payload.run("--sizes", "small", "medium")[0] == 0
    return payload


@pytest.fixture
def study(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> ActiveStudy:
    """The study that was packed, in the working folder; no size of it is trained."""
    home = make_payload(tmp_path / "home", project).folder
    monkeypatch.chdir(home)
    return load_params(home / "params.yaml", "tiny")


def test_stages_are_published_with_their_metrics_and_what_is_not_done_is_not_there(
    finished: MadePayload, study: ActiveStudy
) -> None:
    tasks = put_results(study, finished.folder / "results", LOG)
    assert [task.title for task in tasks] == [
        *("tune@small", "tune@medium", "train@small", "train@medium"),
        *("evaluate@small", "evaluate@medium"),
    ]
    assert Path("data/tiny/evaluate/medium/lambada.json").read_text() == "evaluate@medium"
    assert json.loads(Path("data/tiny/tune/small/metrics.json").read_text())["trials"] == 3
    assert not Path("data/tiny/train/large").exists()
    machine = json.loads(Path("data/tiny/node/results.json").read_text())["machine"]
    assert machine["packages"]["pydantic"]


def test_sizes_of_two_nodes_keep_the_logs_and_the_machine_of_both(
    finished: MadePayload, study: ActiveStudy, tmp_path: Path, project: Path
) -> None:
    second = make_payload(tmp_path / "second", project)
    assert second.run("--sizes", "large", "medium")[0] == 0
    for payload in (finished, second, second):
        put_results(study, payload.folder / "results", LOG)
    node = Path("data/tiny/node")
    logs = {path.name for path in (node / "logs").iterdir()}
    assert {f"tune.{size}.log" for size in ("small", "medium", "large")} <= logs
    stages = json.loads((node / "results.1.json").read_text())["stages"]
    assert "train@small" in stages
    assert "train@large" in json.loads((node / "results.json").read_text())["stages"]
    assert not (node / "results.2.json").exists()


def test_weights_that_were_copied_before_are_not_replaced_by_their_note(
    finished: MadePayload, study: ActiveStudy
) -> None:
    weights = finished.folder / "data/tiny/train/small/model.safetensors"
    here = Path("data/tiny/train/small/model.safetensors")
    here.parent.mkdir(parents=True)
    here.write_bytes(weights.read_bytes())
    other = Path("data/tiny/train/medium/model.safetensors")
    other.parent.mkdir(parents=True)
    other.write_bytes(b"of an older training")
    put_results(study, finished.folder / "results", LOG)
    assert here.read_bytes() == weights.read_bytes()
    assert "weights_are" in other.read_text()


def test_results_of_other_parameters_are_refused_by_name(
    finished: MadePayload, study: ActiveStudy
) -> None:
    train = study.params.train.model_copy(update={"weight_decay": 0.2})
    other = study.params.model_copy(update={"train": train})
    with pytest.raises(UserError, match=r"settings\.train\.weight_decay is 0\.1, not 0\.2"):
        put_results(ActiveStudy("tiny", other), finished.folder / "results", LOG)
    assert not Path("data/tiny/tune").exists()


def test_results_made_from_other_tokens_are_refused(
    finished: MadePayload, study: ActiveStudy
) -> None:
    Path("data/tiny/tokenize/tokenizer/ranks").write_text("abd")
    write_payload_json(Path.cwd())
    with pytest.raises(UserError, match="data/tiny/tokenize/tokenizer"):
        put_results(study, finished.folder / "results", LOG)


def test_results_of_other_code_are_refused_unless_told(
    finished: MadePayload, study: ActiveStudy
) -> None:
    for path, source in (("pipeline/train/__main__", "import models.gpt2"), ("models/gpt2", "")):
        Path(path).parent.mkdir(parents=True)
        Path(f"{path}.py").write_text(source)
    with pytest.raises(UserError, match=r"models/gpt2\.py.*--other-code"):
        put_results(study, finished.folder / "results", LOG)
    assert put_results(study, finished.folder / "results", LOG, other_code=True)


def test_a_damaged_piece_is_named_and_nothing_is_published(
    finished: MadePayload, study: ActiveStudy, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for path in (finished.folder / "results").iterdir():
        (results / path.name).write_bytes(path.read_bytes())
    piece = results / "results.tar.xz.00"
    content = bytearray(piece.read_bytes())
    content[len(content) // 2] ^= 1
    piece.write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"results\.tar\.xz\.00"):
        put_results(study, results, LOG)
    assert not Path("data/tiny/tune").exists()


def test_results_larger_than_one_piece_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)
    content = bytes(n * n * 31 % 251 for n in range(9000)) + Path(__file__).read_bytes()
    (tmp_path / "a").write_bytes(content)
    written = pieces.write_pieces(tmp_path / "out", {"train/small/a": tmp_path / "a"}, {"x": 1})
    files = sorted((tmp_path / "out").glob("results.tar.xz.*"))
    assert len(files) > 1
    assert max(path.stat().st_size for path in files) <= 1000
    assert written == sum(path.stat().st_size for path in files)
    assert pieces.read_pieces(tmp_path / "out", tmp_path / "back")["x"] == 1
    assert (tmp_path / "back" / "train" / "small" / "a").read_bytes() == content
