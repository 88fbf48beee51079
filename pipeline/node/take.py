"""A node's results into the study: checked, published, told to DVC and MLflow."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from models.weights_note import WEIGHTS, read_note
from pipeline.node.chain import NodeTask, read_chain
from pipeline.node.identity import hash_code, identify, require_same
from pipeline.node.pieces import RESULTS, read_pieces
from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json, replace_path, sha256_file
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.running.listing import METRICS
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.finished import record_study


def take(study: ActiveStudy, folder: Path, log: logging.Logger, *, other_code: bool) -> None:
    """Put what the node finished into data/<profile> and record it as if it had run here.

    Raises:
        UserError: the results are damaged or of another study, or DVC refuses.
    """
    taken = put_results(study, folder, log, other_code=other_code)
    for task in taken:
        log.info("%s: taken", task.title)
    _commit(taken)
    data = Path("data") / study.profile
    if any(task.stage == "train" for task in taken):
        record_study(study.profile, study.params, StudyFolder(data), log)
    left = [t.title for t in read_chain(study).tasks() if t not in taken]
    log.info("%s", f"not among them: {', '.join(left)}" if left else "`dvc repro` goes on")


def put_results(
    study: ActiveStudy, folder: Path, log: logging.Logger, *, other_code: bool = False
) -> list[NodeTask]:
    """Publish the results where dvc.yaml wants them; returns the stages, in their order.

    Raises:
        CorruptDataError: a piece is missing or damaged.
        UserError: parameters, inputs or code are not this study's.
    """
    chain = read_chain(study)
    with tempfile.TemporaryDirectory(prefix="node-") as temporary:
        results = read_pieces(folder, Path(temporary))
        here = identify(study.params, chain.inputs())
        require_same(results["identity"], here, f"the results in {folder}")
        _check_code(results["code"], log, other_code=other_code)
        tasks = [task for task in chain.tasks() if task.title in results["stages"]]
        for task in tasks:
            _publish(Path(temporary) / task.stage / task.size, chain.out(task))
        node = Path("data") / study.profile / "node"
        _keep_what_is_not_in(results["stages"], node)
        replace_path(folder / RESULTS, node / RESULTS)
        for path in sorted((Path(temporary) / "logs").glob("*.log")):
            replace_path(path, node / "logs" / path.name)
    return tasks


def _keep_what_is_not_in(stages: list[str], node: Path) -> None:
    """Sizes may come from several nodes: results.json of an earlier one tells of its machine."""
    if (old := node / RESULTS).is_file() and set(read_json(old)["stages"]) - set(stages):
        number = len(list(node.glob("results.*.json"))) + 1
        replace_path(old, node / f"results.{number}.json")


def _check_code(code: dict[str, str], log: logging.Logger, *, other_code: bool) -> None:
    here = hash_code(Path())
    differing = [name for name in sorted(here | code) if here.get(name) != code.get(name)]
    if differing and not other_code:
        raise UserError(
            f"the node ran other code than is here: {', '.join(differing)}; set it back, or take "
            "the results with --other-code if the difference shapes none of them"
        )
    for name in differing:
        log.warning("%s: the node's was another", name)


def _publish(source: Path, out: Path) -> None:
    """Each entry whole, metrics.json last; weights that a note stands for are not lost to it."""
    entries = sorted(source.iterdir(), key=lambda path: (path.name == METRICS, path.name))
    for entry in entries:
        if not (entry.name == WEIGHTS and _has_weights_of(entry, out, source)):
            replace_path(entry, out / entry.name)


def _has_weights_of(entry: Path, out: Path, source: Path) -> bool:
    present = out / WEIGHTS
    if read_note(entry) is None or not present.is_file():
        return False
    return bool(sha256_file(present) == read_json(source / METRICS)["model_sha256"])


def _commit(tasks: list[NodeTask]) -> None:
    """Have DVC record what is there as the stages' outcome.

    Raises:
        UserError: DVC refuses; its own words stand above.
    """
    command = [sys.executable, "-m", "dvc", "commit", "--force", *(task.title for task in tasks)]
    if tasks and subprocess.run(command, check=False).returncode:
        raise UserError(f"{' '.join(command[2:])} failed; the results are in place all the same")
