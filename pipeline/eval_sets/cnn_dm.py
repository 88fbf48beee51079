"""CNN / Daily Mail: summaries of news articles, asked for by `TL;DR:`."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.eval_sets.eval_set import EvalSet, Files
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.formats.examples import Example


def _read(files: Files) -> Iterator[Example]:
    for _, record in files["test"].records("id", "article", "highlights"):
        article, highlights = str(record["article"]), str(record["highlights"])
        yield Example(
            id=str(record["id"]),
            text=f"{article}\n{highlights}",
            context=article,
            references=[highlights],
        )


def _row(*numbers: float) -> dict[str, float]:
    systems = ("Bottom-Up Sum", "Lede-3", "Seq2Seq + Attn", "Random-3")
    return dict(zip(systems, numbers, strict=True))


CNN_DM = EvalSet(
    name="cnn_dm",
    title="CNN and Daily Mail",
    scoring="summary",
    metrics=("rouge_average", "rouge_1", "rouge_2", "rouge_l"),
    higher_is_better=True,
    licence="none stated; research use",
    odd=(
        "The non-anonymised version 3.0.0. Articles longer than the context lose their beginning "
        "or end; the paper does not say which."
    ),
    test={
        "test": PublishedFile(
            folder="cnndm",
            forms=(
                Form(
                    "test-00000-of-00001.parquet",
                    "sha256:04e322d2634a96dba76bf9a6294fbbe48e0b36abeae43f13d86ba2c3bebffe4e",
                ),
                Form("cnn_dailymail_test.jsonl"),
                Form(
                    "cnn_dailymail_test_first500.jsonl",
                    "sha256:582ab0e23271fef4cb7d59e2cb66edfa08e721ca91c7049a962191946f4d9598",
                    "the first 500 of 11,490 articles",
                ),
            ),
            url="https://huggingface.co/datasets/abisee/cnn_dailymail/resolve/main/3.0.0/"
            "test-00000-of-00001.parquet",
        )
    },
    read_test=_read,
    paper={
        "rouge_1": {"1542M": 0.2934},
        "rouge_2": {"1542M": 0.0827},
        "rouge_l": {"1542M": 0.2658},
        "rouge_average": {"1542M": 0.2140},
        "no_hint_rouge_1": {"1542M": 0.2158},
        "no_hint_rouge_2": {"1542M": 0.0403},
        "no_hint_rouge_l": {"1542M": 0.1947},
        "no_hint_rouge_average": {"1542M": 0.1503},
    },
    baselines={
        "rouge_1": _row(0.4122, 0.4038, 0.3133, 0.2878),
        "rouge_2": _row(0.1868, 0.1766, 0.1181, 0.0863),
        "rouge_l": _row(0.3834, 0.3662, 0.2883, 0.2552),
        "rouge_average": _row(0.3275, 0.3155, 0.2399, 0.2098),
    },
)
