"""What the training text holds of samples and examples, for the page's section on memory."""

from __future__ import annotations

import pandas as pd

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.study import Study

_MOST_CHARACTERS = 160


def copied(study: Study) -> pd.DataFrame:
    """How long a passage real completions and each size's samples copy, one row each.

    Columns: kind, size, texts, with_span_percent, median_words, percentile_90_words,
    longest_words, document, span. Words are empty where the quantile is shorter than an n-gram;
    document and span are those of the longest passage.
    """
    rows = []
    spans = study.overlap["copied_spans"].fillna({"size": ""})
    for (kind, size), own in spans.groupby(["kind", "size"], sort=False):
        name = "_".join(part for part in (str(kind), str(size)) if part)
        summary = study.stages["overlap"]["copied_spans"][name]
        longest = own.sort_values(["words", "id"], ascending=[False, True]).iloc[0]
        rows.append({
            "kind": kind,
            "size": size,
            **summary,
            "document": longest["document"],
            "span": longest["span"],
        })
    columns = ["texts", "with_span_percent", "median_words", "percentile_90_words"]
    columns = ["kind", "size", *columns, "longest_words", "document", "span"]
    words = ["median_words", "percentile_90_words", "longest_words"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(words, "Int64"))


def too_short_to_read(study: Study) -> list[str]:
    """How many completions of each kind have no n-gram, in words; empty where all have one."""
    counts = study.stages["overlap"].get("completions_shorter_than_an_ngram", {})
    return [f"{count:,} {completions(study, name)}" for name, count in counts.items()]


def completions(study: Study, name: str) -> str:
    """What overlap calls real, or sample and a size with an underscore between, in words."""
    kind, _, size = name.partition("_")
    return f"samples of {study.label(size)}" if kind == "sample" else "real completions"


def copied_to_read(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """`copied` for the page: lengths that have no number as "under 8", long passages cut."""
    under = f"under {study.params.overlap.ngram_words}"
    words = ["median_words", "percentile_90_words", "longest_words"]
    names = [
        completions(study, f"{kind}_{size}")
        for kind, size in zip(table["kind"], table["size"], strict=True)
    ]
    shown = table.drop(columns=["kind", "size"])
    for column in words:
        shown[column] = [under if pd.isna(value) else f"{value:,}" for value in shown[column]]
    shown["span"] = shown["span"].map(_shorten, na_action="ignore")
    return pd.concat([pd.Series(names, name="text"), shown], axis=1)


def highest_to_read(study: Study) -> pd.DataFrame:
    """The example of each set that overlaps most, with the document that holds it."""
    table = study.overlap["highest_overlap"].drop_duplicates("set")
    return pd.DataFrame({
        "set": [EVAL_SETS[name].title for name in table["set"]],
        "example": table["id"].astype(str).map(lambda id_: _shorten(id_, 20)).to_numpy(),
        "shared": [
            f"{held:,} of {all_:,}"
            for held, all_ in zip(table["num_overlapping"], table["num_ngrams"], strict=True)
        ],
        "percent": table["overlap_percent"].to_numpy(),
        "documents": table["num_documents"].to_numpy(),
        "held_most_by": table["url"].to_numpy(),
        "longest_passage": [_shorten(span) for span in table["span"]],
    })


def domains_to_read(study: Study) -> pd.DataFrame:
    """CoQA by domain for `domains_size`; F1 in percent to one decimal."""
    table = study.overlap["coqa_domains"]
    if table.empty:
        return table
    last = pd.DataFrame(table[table["size"] == domains_size(study)]).drop(columns=["size"])
    percents = ["f1_held", "f1_others", "difference", "low", "high"]
    last[percents] = (100 * last[percents]).round(1)
    return last


def domains_size(study: Study) -> str:
    """The largest size whose F1 by domain there is; empty where there is none."""
    sizes = study.overlap["coqa_domains"]["size"]
    return str(sizes.iloc[-1]) if len(sizes) else ""


def clean_to_read(study: Study) -> pd.DataFrame:
    """The clean subsets, differences and their intervals to three digits."""
    table = study.labelled(study.overlap["clean_subset"])
    for column in ("difference", "low", "high"):
        table[column] = [float(f"{value:.3g}") for value in table[column]]
    return table


def table6_means(study: Study) -> dict[str, int]:
    """Over how many sets Table 6's means are: of the training text, and of own train texts."""
    table = study.overlap["table6"].set_index("set")
    if "mean" not in table.index:
        return {"sets": 0, "own": 0}
    papers = table.iloc[: table.index.get_loc("mean")]
    return {"sets": len(papers), "own": int(papers["own_train_percent"].notna().sum())}


def _shorten(text: str, most: int = _MOST_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
