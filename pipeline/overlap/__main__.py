"""Run with `python -m pipeline.overlap --help`."""

from pipeline.overlap.run import run
from pipeline.shared.running.stage import Definition, main

if __name__ == "__main__":
    main(
        Definition(
            name="overlap",
            description="Count the 8-grams that evaluation texts, real completions and samples "
            "share with the training documents (Table 6, Figure 5), find the longest passages that "
            "are copied, and score every set again without the examples that share any n-gram. "
            "`python -m pipeline.overlap.find` asks for one text.",
            inputs={
                "documents": "folder of documents that the dedup stage kept",
                "trained": "folder of what the train stage made, by size",
                "eval_sets": "what the eval_sets stage made",
                "results": "folder of what the evaluate stage made, by size",
            },
            sections=("sizes", "seeds.sampling", "evaluate.bootstrap_samples", "overlap"),
            reads={"trained": ("*/documents.parquet",)},
            run=run,
        )
    )
