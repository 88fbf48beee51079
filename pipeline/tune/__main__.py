"""`python -m pipeline.tune`."""

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.shared.running import stage
from pipeline.shared.training.group import main
from pipeline.shared.training.run import fit
from pipeline.tune.run import run

DEFINITION = stage.Definition(
    name="tune",
    description="Find one size's learning rate: trainings at several, compared on the way by "
    "held-out loss, of which the best goes on.",
    inputs={"tokens": "what the tokenize stage made"},
    sections=("seeds.order", "seeds.initialisation", "tune", "train", "models"),
    reads={"tokens": ("tokenizer", "train", "valid")},
    run=run,
    sized=True,
)

if __name__ == "__main__":
    main(DEFINITION, fit)
