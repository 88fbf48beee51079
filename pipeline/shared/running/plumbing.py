"""The modules that start, log, track and print: no result depends on how they do it.

The one list of what a stage's code leaves out (`code_closure.py`), each with its reason. Whatever
is not here counts. tests/test_plumbing.py holds the list to its word: nothing here computes with
arrays, hands a computation to a stage, or hides one behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

_REASONS: Mapping[str, str] = {
    "running.attempts": "how often and how long work was tried",
    "running.before_torch": "settings of threads and memory, for speed alone",
    "running.cluster": "where shards are worked on; results come back in their order",
    "running.code_closure": "says what counts; a change of its rules shows in what it finds",
    "running.command": "log, signals and exit code of an attempt",
    "running.deciders": "puts together what the modules beside it find",
    "errors": "words and exit codes of an attempt that makes no result",
    "running.executor": "how many processes; results come back in their order",
    "running.faults": "words for faults of the machine",
    "running.listing": "hashes of inputs and outs, which count as inputs",
    "tracking.view": "how MLflow's page looks",
    "running.open_files": "how many files a process may hold open at once",
    "running.origin": "where the checkout lies that a user looks at",
    "running.outside": "lists places that a profile names; the list itself counts",
    "running.package_pins": "reads versions; the versions themselves count",
    "params.profile": "checks numbers, which count themselves, as parsed and as written",
    "params.file": "reads numbers, which count themselves",
    "params.text": "as params",
    "params.types": "as params",
    "params.web": "as params",
    "running.plumbing": "this list: what leaves it appears in what counts",
    "running.progress": "bars and lines of a terminal",
    "running.recorded": "what DVC has already, so that work is kept until then",
    "tracking.store": "writes to MLflow what is known already",
    "running.shard_memory": "keeps what a step made of a shard; the step itself counts",
    "running.stage": "arguments, log, work folder and publication around a stage's own work",
    "running.storage": "where inputs and outs lie; their bytes count as inputs",
    "tracking.labels": "names of runs",
    "tracking.models": "puts finished models into MLflow's registry",
    "tracking.owner": "which process writes a run of MLflow",
    "tracking.study": "what MLflow is told of a study",
    "tracking.values": "names and units of what MLflow is sent",
    "tracking.place": "where MLflow keeps what is known already",
    "tracking.live": "sends points of a curve to MLflow",
    "tracking.record": "the run of MLflow beside a training",
    "tracking.finished": "puts what is finished into MLflow",
    "tracking.door": "the door to MLflow",
    "running.work_folder": "where unfinished work lies, and the names of manifests",
    "params.yaml_file": "parses numbers, which count themselves",
}

# Put together here: a module that a string names in full counts as imported.
PLUMBING: Mapping[str, str] = {
    f"pipeline.shared.{name}": reason for name, reason in _REASONS.items()
}
