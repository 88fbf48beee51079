"""`python -m pipeline.train`."""

from pipeline import stage
from pipeline.train.run import run

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="train",
            description="Train GPT-2 of one size on the train split.",
            inputs=("tokens", "learning_rate"),
            sections=("seed", "train", "models"),
            run=run,
            sized=True,
        )
    )
