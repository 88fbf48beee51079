"""enwik8 and text8: Wikipedia of 2006, its XML by the byte, its words by the character.

text8 has a to z and space alone.
"""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet, by_size
from pipeline.eval_sets.running_text import blocks, first_nine_tenths, last_twentieth
from pipeline.eval_sets.sources import Form, PublishedFile

_ENWIK8 = PublishedFile(
    folder="enwik8",
    forms=(
        Form(
            "enwik8",
            "sha256:2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8",
        ),
        Form(
            "enwik8_prefix_4154064.bin",
            "sha256:d8b3b95fb4993726ea7dcc93ae3c9e08a1a04cc540d05d7656fd267cc8ab5d6a",
            "the first 4.15 of 100 MB only: not the test part of the literature",
        ),
    ),
    url="http://mattmahoney.net/dc/enwik8.zip",
    member="enwik8",
    archive_digest="sha256:547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
)

ENWIK8 = EvalSet(
    name="enwik8",
    title="enwik8",
    scoring="running_text",
    metrics=("bits_per_byte",),
    higher_is_better=False,
    together="neighbours",
    unit="byte",
    licence="GFDL (Wikipedia 2006)",
    odd=(
        "Markup and all, which WebText hardly has. The test part is the last twentieth, the "
        "literature's last 5 of 100 MB; the paper does not name its part. Characters cut at the "
        "ends of a part are left out."
    ),
    test={"enwik8": _ENWIK8},
    read_test=lambda files: blocks(last_twentieth(files["enwik8"].read_bytes())),
    train={"enwik8": _ENWIK8},
    read_train=lambda files: blocks(first_nine_tenths(files["enwik8"].read_bytes())),
    paper={"bits_per_byte": by_size(1.16, 1.01, 0.97, 0.93)},
    baselines={"bits_per_byte": {"state of the art": 0.99}},
)

_TEXT8 = PublishedFile(
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
    test={"text8": _TEXT8},
    read_test=lambda files: blocks(last_twentieth(files["text8"].read_bytes())),
    train={"text8": _TEXT8},
    read_train=lambda files: blocks(first_nine_tenths(files["text8"].read_bytes())),
    paper={"bits_per_character": by_size(1.17, 1.06, 1.02, 0.98)},
    baselines={"bits_per_character": {"state of the art": 1.08}},
)
