"""`python -m pipeline.dedup`."""

from pipeline.dedup.run import run
from pipeline.shared.running import stage

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="dedup",
            description="Leave out duplicates, Wikipedia, other languages and evaluation texts.",
            inputs={
                "documents": "folder of documents that the extract stage made",
                "eval_sets": "what the eval_sets stage made",
            },
            sections=("seeds.corpus", "dedup"),
            run=run,
        )
    )
