"""The study's own train and test splits: Figure 4. They come from the token shards."""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet


def _split(split: str) -> EvalSet:
    return EvalSet(
        name=f"webtext_{split}",
        title=f"WebText {split}",
        scoring="documents",
        metrics=("perplexity",),
        higher_is_better=False,
        unit="token",
        licence="the pages' own",
        odd=(
            "Figure 4. The paper prints no numbers and tells neither window nor stride nor how "
            "many documents; every size reads the same documents, drawn by hash."
        ),
    )


WEBTEXT_TRAIN = _split("train")
WEBTEXT_TEST = _split("test")
