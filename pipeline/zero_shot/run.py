"""The sets once, then model after model by the study's own evaluate stage, then the differences."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from pipeline.eval_sets.__main__ import DEFINITION as EVAL_SETS
from pipeline.evaluate.__main__ import DEFINITION as EVALUATE
from pipeline.shared.errors import UserError
from pipeline.shared.files import open_atomic, read_json
from pipeline.shared.params.profile import EvaluateParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.running.stage import run_stage
from pipeline.shared.scores.results import read_results
from pipeline.zero_shot.command import Asked
from pipeline.zero_shot.differences import as_text, differences
from pipeline.zero_shot.weights import Weights, find_weights, tokenizer_of


def run(asked: Asked, log: logging.Logger) -> None:
    """Score every model and write `differences.csv`; prints it as a table.

    Raises:
        UserError: a model or all sets are not to be had, or a file of theirs is damaged.
    """
    models = find_weights(asked.models)
    sets = asked.out / "eval_sets"
    run_stage(EVAL_SETS, asked.study, log, inputs={}, out=sets, work=asked.work)
    for model in models:
        _score(model, asked, sets / "test", log)
    sources = read_json(sets / "test" / MANIFEST)["sets"]
    table = pd.concat(
        differences(model, read_results(asked.out / model.name / "scores"), sources)
        for model in models
    )
    with open_atomic(asked.out / "differences.csv", "w") as file:
        table.to_csv(file, index=False, lineterminator="\n")
    print(as_text(table))
    print(f"\nEvery number, variants and intervals included: {asked.out / 'differences.csv'}")


def _score(model: Weights, asked: Asked, sets: Path, log: logging.Logger) -> None:
    log.info("%s: %s parameters, from %s", model.name, f"{model.parameters:,}", model.folder)
    _check_context(model, asked.study.params.evaluate)
    folder = asked.out / model.name
    tokenizer_of(model).save(folder / "tokens" / "tokenizer")
    run_stage(
        EVALUATE,
        asked.study,
        log,
        inputs={"model": model.folder, "tokens": folder / "tokens", "eval_sets": sets},
        out=folder / "scores",
        work=asked.work,
        size=model.name,
    )


def _check_context(model: Weights, params: EvaluateParams) -> None:
    """Refuse what the parameters ask of a context that this model has not."""
    context = model.config.n_positions
    if max(params.strides) > context:
        raise UserError(
            f"{model.folder}: a context of {context} tokens cannot be read in strides of "
            f"{max(params.strides)}; give --strides {context}"
        )
    longest = max(params.summary_tokens, params.answer_tokens, params.translation_tokens)
    if longest >= context:
        raise UserError(
            f"{model.folder}: a context of {context} tokens has no room for {longest} generated "
            "ones; take a --profile that asks for fewer"
        )
