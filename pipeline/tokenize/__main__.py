"""`python -m pipeline.tokenize`."""

from pipeline.shared.running import stage
from pipeline.tokenize.run import run

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="tokenize",
            description="Make the tokenizer and the token shards of the three splits.",
            inputs={"documents": "folder of documents that the dedup stage kept"},
            sections=("seeds.split", "tokenize"),
            run=run,
        )
    )
