"""python -m pipeline.evaluate: one model, zero-shot, on every evaluation set."""

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.evaluate.packages import could_add
from pipeline.evaluate.run import run
from pipeline.shared.running.stage import Definition, main

DEFINITION = Definition(
    name="evaluate",
    description="Score one model, zero-shot, on every evaluation set and the study's own splits.",
    inputs={
        "model": "folder of a model, as the train stage made it",
        "tokens": "what the tokenize stage made",
        "eval_sets": "what the eval_sets stage made",
    },
    sections=["seeds.sampling", "evaluate"],
    reads={
        # Weights may be in shards, with an index.
        "model": ["*.safetensors*", "config.json", "documents.parquet"],
        "tokens": ["tokenizer", "train", "test"],
    },
    run=run,
    sized=True,
    could_add=could_add,
)


if __name__ == "__main__":
    main(DEFINITION)
