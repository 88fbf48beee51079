"""The stage: every set scored by one loaded model; each result is kept as soon as it is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from pipeline.eval_sets.eval_set import NUM_PAIRS, EvalSet, Pair
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate import (
    cloze,
    conversation,
    documents,
    last_word,
    pronoun,
    question,
    running_text,
    summary,
    translation,
)
from pipeline.evaluate.departures import departures
from pipeline.evaluate.outcome import CannotRun, LacksPackage, Outcome, Task
from pipeline.evaluate.packages import LACKED, LACKING, can_run_now
from pipeline.evaluate.samples import write_samples
from pipeline.evaluate.session import Session, open_session
from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.training_documents import read_training_documents
from pipeline.shared.params.profile import EvaluateParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.running.stage import Stage
from pipeline.shared.scores.results import Result, read_result, write_result

Method = Callable[[Session, Task], Outcome]
METHODS: dict[str, Method] = {
    "running_text": running_text.evaluate,
    "last_word": last_word.evaluate,
    "cloze": cloze.evaluate,
    "pronoun": pronoun.evaluate,
    "conversation": conversation.evaluate,
    "summary": summary.evaluate,
    "translation": translation.evaluate,
    "question": question.evaluate,
}


def run(stage: Stage) -> dict[str, Any]:
    """Score every set of the registry; returns the main metrics and what was not run."""
    _check(stage.params.evaluate)
    session = open_session(
        stage.inputs["model"],
        stage.inputs["tokens"] / "tokenizer",
        params=stage.params.evaluate,
        compute=stage.params.compute,
        seed=stage.params.seeds.sampling,
    )
    results = _score_sets(stage, session)
    num_samples = _write_samples(stage, session)
    main = {
        name: {m: result.metrics[m] for m in EVAL_SETS[name].metrics if m in result.metrics}
        for name, result in results.items()
        if not result.not_run
    }
    not_run = {name: result.not_run for name, result in results.items() if result.not_run}
    no_signal = {name: result.no_signal for name, result in results.items() if result.no_signal}
    protocols = {name: result.protocol for name, result in results.items()}
    return {
        "num_figure5_samples": num_samples,
        "scores": main,
        "not_run": not_run,
        LACKING: {name: told[LACKED] for name, told in protocols.items() if LACKED in told},
        "no_signal": no_signal,
    }


def _check(params: EvaluateParams) -> None:
    """Refuse what cannot be done as it is asked for."""
    if unknown := set(params.leave_out) - set(EVAL_SETS):
        raise UserError(
            f"params.yaml: evaluate.leave_out names {', '.join(sorted(unknown))}, which is no set; "
            f"choose from {', '.join(EVAL_SETS)}"
        )
    if params.few_shot_pairs > NUM_PAIRS:
        raise UserError(
            f"params.yaml: evaluate.few_shot_pairs = {params.few_shot_pairs}, and the eval_sets "
            f"stage sets aside {NUM_PAIRS} example pairs of a set; lower it to {NUM_PAIRS}"
        )


def _score_sets(stage: Stage, session: Session) -> dict[str, Result]:
    manifest = read_json(stage.inputs["eval_sets"] / MANIFEST)
    results: dict[str, Result] = {}
    done = sum((stage.staging / f"{name}.json").is_file() for name in EVAL_SETS)
    with stage.progress("all sets", total=len(EVAL_SETS), unit="sets", done=done) as progress:
        for name, eval_set in EVAL_SETS.items():
            path = stage.staging / f"{name}.json"
            if not path.is_file() or can_run_now(read_result(path)):
                _score_set(stage, session, eval_set, manifest)
                progress.update(note=name)
            results[name] = read_result(path)
    return results


def _write_samples(stage: Stage, session: Session) -> int:
    path, documents = stage.staging / "samples.parquet", stage.inputs["tokens"] / "test"
    if not documents.is_dir():  # as `webtext_test` says
        return 0
    if not path.is_file():
        with stage.progress("samples", total=None, unit="tokens") as progress:
            write_samples(replace(session, tick=progress.update), documents, path)
    return int(pq.read_metadata(path).num_rows)


def _score_set(stage: Stage, session: Session, eval_set: EvalSet, manifest: dict[str, Any]) -> None:
    """Write one set's result, or why there is none."""
    started_s = time.monotonic()
    try:
        with stage.progress(eval_set.name, total=None, unit="tokens") as progress:
            outcome = _score(stage, replace(session, tick=progress.update), eval_set, manifest)
    except CannotRun as reason:
        result = _not_run(stage, eval_set.name, reason)
        if eval_set.name in manifest["sets"]:  # of the others, the eval_sets stage has told
            stage.log.warning("%s: not run: %s", eval_set.name, result.not_run)
        write_result(stage.staging, result)
        return
    result = Result(
        set=eval_set.name,
        protocol=outcome.protocol
        | {"precision": session.params.precision, "interval_draws": outcome.interval_draws},
        metrics=outcome.metrics,
        intervals=outcome.intervals,
        no_signal=outcome.no_signal,
        num_examples=len(outcome.ids),
        seconds=round(time.monotonic() - started_s, 3),
    )
    write_result(stage.staging, result, outcome.rows())


def _not_run(stage: Stage, name: str, reason: CannotRun) -> Result:
    if not isinstance(reason, LacksPackage):
        return Result(set=name, not_run=str(reason))
    again = "the same command"
    if "DVC_STAGE" in os.environ:  # DVC sees no change in what is installed
        again = f"`dvc repro --force --single-item {stage.title}` and `dvc repro`"
    told = f"{reason}, then {again}"
    return Result(set=name, protocol={LACKED: reason.package}, not_run=told)


def _score(stage: Stage, session: Session, eval_set: EvalSet, manifest: dict[str, Any]) -> Outcome:
    if eval_set.name in stage.params.evaluate.leave_out:
        raise CannotRun("left out of this study: evaluate.leave_out in params.yaml")
    if eval_set.scoring == "documents":
        return _score_documents(stage, session, eval_set)
    if eval_set.name not in manifest["sets"]:
        reason = manifest["not_available"].get(eval_set.name, "the eval_sets stage made none")
        raise CannotRun(reason)
    record = manifest["sets"][eval_set.name]
    task = Task(
        eval_set,
        list(read_examples(stage.inputs["eval_sets"] / f"{eval_set.name}.parquet")),
        [Pair(*pair) for pair in record["example_pairs"]],
    )
    outcome = METHODS[eval_set.scoring](session, task)
    outcome.protocol["files"] = record["sources"]
    own = departures(session, eval_set, scored=len(outcome.ids), prepared=len(task.examples))
    outcome.protocol["departures"] = record.get("departures", []) + own
    return outcome


def _score_documents(stage: Stage, session: Session, eval_set: EvalSet) -> Outcome:
    """Score documents of one of the study's own splits; of train, those that were trained on."""
    split = eval_set.name.removeprefix("webtext_")
    params = session.params
    count = params.train_documents if split == "train" else params.test_documents
    folder = stage.inputs["tokens"] / split
    among = None
    if split == "train" and folder.is_dir():
        among = read_training_documents(stage.inputs["model"])
    outcome = documents.evaluate(session, folder, num_documents=count, among=among)
    there = open_split(folder, verify=False).num_documents if among is None else len(among)
    outcome.protocol["departures"] = departures(
        session, eval_set, scored=len(outcome.ids), prepared=there
    )
    return outcome
