"""python -m pipeline.eval_sets: prepare the evaluation sets."""

from pipeline.eval_sets.prepare import run
from pipeline.shared.running.stage import Definition, main

DEFINITION = Definition(
    name="eval_sets",
    description="Prepare the evaluation sets: published files in, one Parquet file per set out.",
    inputs={"sample_web": "published files of the sample web"},
    sections=["seeds.corpus", "eval_sets"],
    run=run,
)

if __name__ == "__main__":
    main(DEFINITION)
