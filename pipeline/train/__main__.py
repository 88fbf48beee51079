"""`python -m pipeline.train`."""

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.shared.running import stage
from pipeline.shared.training.group import main
from pipeline.shared.training.run import fit
from pipeline.train.run import run

DEFINITION = stage.Definition(
    name="train",
    description="Train GPT-2 of one size on the train split.",
    inputs={
        "tokens": "what the tokenize stage made",
        "tuned": "what the tune stage made for this size",
    },
    sections=("seeds.order", "seeds.initialisation", "train", "models"),
    reads={"tokens": ("tokenizer", "train", "valid"), "tuned": ("learning_rate.json", "state/*")},
    run=run,
    sized=True,
)

if __name__ == "__main__":
    main(DEFINITION, fit)
