"""The modules that start, log, track and print: no result depends on how they do it.

The one list of what a stage's code leaves out (`code_closure.py`), each with its reason. Whatever
is not here counts. tests/test_plumbing.py holds the list to its word: nothing here computes with
arrays, hands a computation to a stage, or hides one behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

PLUMBING: Mapping[str, str] = {
    "pipeline.before_torch": "settings of threads and memory, for speed alone",
    "pipeline.cluster": "where shards are worked on; results come back in their order",
    "pipeline.code_closure": "says what counts; a change of its rules shows in what it finds",
    "pipeline.deciders": "puts together what the modules beside it find",
    "pipeline.errors": "words and exit codes of an attempt that makes no result",
    "pipeline.executor": "how many processes; results come back in their order",
    "pipeline.mlflow_view": "how MLflow's page looks",
    "pipeline.outside": "lists places that a profile names; the list itself counts",
    "pipeline.package_pins": "reads versions; the versions themselves count",
    "pipeline.params": "checks numbers, which count themselves, as parsed and as written",
    "pipeline.params_file": "reads numbers, which count themselves",
    "pipeline.params_text": "as pipeline.params",
    "pipeline.params_types": "as pipeline.params",
    "pipeline.plumbing": "this list: what leaves it appears in what counts",
    "pipeline.progress": "bars and lines of a terminal",
    "pipeline.recorded": "what DVC has already, so that work is kept until then",
    "pipeline.run_store": "writes to MLflow what is known already",
    "pipeline.stage": "arguments, log, work folder and publication around a stage's own work",
    "pipeline.storage": "where inputs and outs lie; their bytes count as inputs",
    "pipeline.study_record": "reads results for MLflow",
    "pipeline.tracked_run": "sends points of a curve to MLflow",
    "pipeline.tracking": "the door to MLflow",
    "pipeline.work_folder": "where unfinished work lies, and the names of manifests",
    "pipeline.yaml12": "parses numbers, which count themselves",
}
