"""`python -m pipeline.tune`."""

from pipeline import stage
from pipeline.tune.run import run

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="tune",
            description="Find one size's learning rate by held-out loss after short trainings.",
            inputs=("tokens",),
            sections=("seed", "tune", "train", "models"),
            run=run,
            sized=True,
        )
    )
