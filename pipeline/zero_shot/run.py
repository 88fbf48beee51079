"""The sets once, then model after model by the study's own evaluate stage, then the differences.

A model that cannot be scored costs its own numbers alone, and is known before any set is prepared
wherever its files can tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
import torch

from pipeline.eval_sets.__main__ import DEFINITION as EVAL_SETS
from pipeline.evaluate.__main__ import DEFINITION as EVALUATE
from pipeline.shared.errors import RetryableError, UserError
from pipeline.shared.files import open_atomic, read_json, remove_path
from pipeline.shared.formats.foreign_tokenizer import AnyTokenizer
from pipeline.shared.params.profile import EvaluateParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.running.stage import run_stage
from pipeline.shared.scores.results import read_results
from pipeline.zero_shot.command import Asked
from pipeline.zero_shot.differences import as_text, differences
from pipeline.zero_shot.weights import (
    Weights,
    check_weights,
    find_folders,
    open_weights,
    tokenizer_of,
)

Given = TypeVar("Given")


class Ready(NamedTuple):
    """A model of which all files were read and fit together."""

    model: Weights
    tokenizer: AnyTokenizer


@dataclass
class _Failures:
    """The models that cannot be scored, each with its reason; the others go on."""

    log: logging.Logger
    num_asked: int
    errors: dict[str, UserError] = field(default_factory=dict)

    def attempt(self, name: str, work: Callable[[], Given]) -> Given | None:
        """What `work` gives for a model, or None where it fails by what a user can mend."""
        try:
            return work()
        except UserError as error:
            self.errors[name] = error
        except torch.OutOfMemoryError:
            self.errors[name] = UserError(
                "the GPU's memory does not suffice; lower evaluate.batch_tokens, or run on the CPU"
            )
        if self.num_asked > 1:
            self.log.error("%s: left out: %s", name, self.errors[name])
        return None

    def tell(self) -> None:
        """Raise for those that failed: the error itself where one model was asked for."""
        if not self.errors:
            return
        errors = list(self.errors.values())
        if self.num_asked == 1:
            raise errors[0]
        again = all(isinstance(error, RetryableError) for error in errors)
        raise (RetryableError if again else UserError)(
            f"{len(errors)} of {self.num_asked} models have no numbers, for the reasons above: "
            f"{', '.join(self.errors)}"
        )


def run(asked: Asked, log: logging.Logger) -> None:
    """Score every model and write `differences.csv`; prints it as a table.

    Raises:
        UserError: a model or all sets are not to be had, or a file of theirs is damaged; of several
            models, after the others are done.
    """
    names = find_folders(asked.models)
    failures = _Failures(log, len(names))
    ready = _prepare(names, asked.study.params.evaluate, failures)
    if ready:
        sets = asked.out / "eval_sets"
        run_stage(EVAL_SETS, asked.study, log, inputs={}, out=sets, work=asked.work)
        scored = []
        for one in ready:
            if failures.attempt(one.model.name, partial(_score, one, asked, sets / "test", log)):
                scored.append(one.model)
        if scored:
            _compare(scored, asked, sets / "test")
    failures.tell()


def _prepare(names: list[str], params: EvaluateParams, failures: _Failures) -> list[Ready]:
    """The models that can be scored, smallest first.

    Raises:
        UserError: two of them have one name.
    """
    opened = [found for n in names if (found := failures.attempt(n, partial(open_weights, n)))]
    _refuse_same_names(opened)
    ready: list[Ready] = []
    for model in sorted(opened, key=lambda weights: weights.parameters):
        checked = failures.attempt(model.name, partial(_check, model, params, failures.log))
        if checked is not None:
            ready.append(checked)
    return ready


def _check(model: Weights, params: EvaluateParams, log: logging.Logger) -> Ready:
    """Read all of a model's files, the cheapest first."""
    _check_context(model, params)
    tokenizer = tokenizer_of(model, log)
    return Ready(check_weights(model), tokenizer)


def _refuse_same_names(models: list[Weights]) -> None:
    for one in models:
        same = [str(other.folder) for other in models if other.name == one.name]
        if len(same) > 1:
            raise UserError(
                f"{' and '.join(same)}: both would be called {one.name}; rename one, or ask for "
                "them in two calls with an --out of their own"
            )


def _score(ready: Ready, asked: Asked, sets: Path, log: logging.Logger) -> bool:
    model = ready.model
    log.info("%s: %s parameters, from %s", model.name, f"{model.parameters:,}", model.folder)
    folder = asked.out / model.name
    remove_path(folder / "tokens")  # of an earlier call, whose tokenizer may have had other files
    ready.tokenizer.save(folder / "tokens" / "tokenizer")
    run_stage(
        EVALUATE,
        asked.study,
        log,
        inputs={"model": model.folder, "tokens": folder / "tokens", "eval_sets": sets},
        out=folder / "scores",
        work=asked.work,
        size=model.name,
    )
    return True


def _compare(models: list[Weights], asked: Asked, sets: Path) -> None:
    sources = read_json(sets / MANIFEST)["sets"]
    table = pd.concat(
        differences(model, read_results(asked.out / model.name / "scores"), sources)
        for model in models
    )
    with open_atomic(asked.out / "differences.csv", "w") as file:
        table.to_csv(file, index=False, lineterminator="\n")
    print(as_text(table))
    print(f"\nEvery number, variants and intervals included: {asked.out / 'differences.csv'}")


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
