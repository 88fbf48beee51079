"""Where in a study's folder, data/<profile>/, each artefact lies that is read from outside a stage.

Each path stands here once. In a place, `{size}` and the like stand for a name, or for all of them.
"""

from __future__ import annotations

import re

from pipeline.shared.formats.loss_curve import LOSS_CURVE
from pipeline.shared.running.listing import MANIFEST, METRICS

STAGES = ("sample_web", "eval_sets", "links", "crawl", "extract", "dedup", "tokenize")
"""Those before the sizes, in the order of the chain."""
SIZED_STAGES = ("tune", "train", "evaluate")
"""Those of each size."""
OVERLAP_TABLES = (
    "table6",
    "figure5",
    "clean_subset",
    "coqa_domains",
    "copied_spans",
    "highest_overlap",
)

STAGE = "{stage}"
SIZED_STAGE = "{stage}/{size}"
COUNTS = f"{STAGE}/{METRICS}"
SIZED_COUNTS = f"{SIZED_STAGE}/{METRICS}"

LINKS = "links/kept"
DOCUMENTS = "dedup/kept"
QUESTIONS = "eval_sets/test/{set}.parquet"
SPLIT = "tokenize/{split}"
SPLIT_MANIFEST = f"{SPLIT}/{MANIFEST}"
SWEEP = "tune/{size}/sweep.csv"
MODEL = "train/{size}"
CURVE = f"{MODEL}/{LOSS_CURVE}"
SHAPE = f"{MODEL}/config.json"
WEIGHTS = f"{MODEL}/model.safetensors"
RESULTS = "evaluate/{size}"
RESULT = f"{RESULTS}/{{set}}.json"
SCORES = f"{RESULTS}/{{set}}.examples.parquet"
SAMPLES = f"{RESULTS}/samples.parquet"
OVERLAP_TABLE = "overlap/{table}.csv"
NGRAMS = "overlap/index"
REPORT = "report"

# In the report's folder, which lies elsewhere until it is published.
TABLE = "{table}.csv"
PAGE = "index.html"


def every(place: str, **names: str) -> str:
    """The pattern of all files of a place, or of those with these names.

    >>> every(SIZED_COUNTS), every(SIZED_COUNTS, stage="train")
    ('*/*/metrics.json', 'train/*/metrics.json')
    """
    return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "*"), place)
