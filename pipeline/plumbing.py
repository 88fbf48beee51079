"""The modules that start, log, track and print: no result depends on how they do it.

The one list of what a stage's code leaves out (`code_closure.py`), each with its reason. Whatever
is not here counts. tests/test_plumbing.py holds the list to its word: nothing here computes with
arrays, hands a computation to a stage, or hides one behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

_REASONS: Mapping[str, str] = {
    "before_torch": "settings of threads and memory, for speed alone",
    "cluster": "where shards are worked on; results come back in their order",
    "code_closure": "says what counts; a change of its rules shows in what it finds",
    "deciders": "puts together what the modules beside it find",
    "errors": "words and exit codes of an attempt that makes no result",
    "executor": "how many processes; results come back in their order",
    "mlflow_view": "how MLflow's page looks",
    "outside": "lists places that a profile names; the list itself counts",
    "package_pins": "reads versions; the versions themselves count",
    "params": "checks numbers, which count themselves, as parsed and as written",
    "params_file": "reads numbers, which count themselves",
    "params_text": "as params",
    "params_types": "as params",
    "params_web": "as params",
    "plumbing": "this list: what leaves it appears in what counts",
    "progress": "bars and lines of a terminal",
    "recorded": "what DVC has already, so that work is kept until then",
    "run_store": "writes to MLflow what is known already",
    "shard_memory": "keeps what a step made of a shard; the step itself counts",
    "stage": "arguments, log, work folder and publication around a stage's own work",
    "storage": "where inputs and outs lie; their bytes count as inputs",
    "study_record": "reads results for MLflow",
    "tracked_run": "sends points of a curve to MLflow",
    "tracking": "the door to MLflow",
    "work_folder": "where unfinished work lies, and the names of manifests",
    "yaml12": "parses numbers, which count themselves",
}

# Put together here: a module that a string names in full counts as imported.
PLUMBING: Mapping[str, str] = {f"pipeline.{name}": reason for name, reason in _REASONS.items()}
