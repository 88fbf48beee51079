"""text8: Wikipedia's words in lower case, by the character: a to z and space."""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet, by_size
from pipeline.eval_sets.running_text import blocks, first_nine_tenths, last_twentieth
from pipeline.eval_sets.sources import Form, PublishedFile

_FILE = PublishedFile(
    folder="text8",
    forms=(
        Form("text8"),
        Form(
            "text8_prefix_derived.txt",
            "sha256:f3413b8d00bc41ef9dda3f92d1c7d028545d385ed476e518fdb0491f57e5a137",
            "a prefix of 3.0 of 100 million characters, derived from enwik8 by the published "
            "rules: not the test part of the literature",
        ),
    ),
    url="http://mattmahoney.net/dc/text8.zip",
    member="text8",
    archive_digest="sha256:a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
)

TEXT8 = EvalSet(
    name="text8",
    title="text8",
    scoring="running_text",
    metrics=("bits_per_character",),
    higher_is_better=False,
    together="neighbours",
    unit="character",
    licence="GFDL (Wikipedia 2006)",
    odd=(
        "No punctuation, no case, numbers spelled out digit by digit: far from what GPT-2 read. "
        "The test part is the last twentieth, the literature's last 5 of 100 million characters."
    ),
    test={"text8": _FILE},
    read_test=lambda files: blocks(last_twentieth(files["text8"].read_bytes())),
    train={"text8": _FILE},
    read_train=lambda files: blocks(first_nine_tenths(files["text8"].read_bytes())),
    paper={"bits_per_character": by_size(1.17, 1.06, 1.02, 0.98)},
    baselines={"bits_per_character": {"state of the art": 1.08}},
)
