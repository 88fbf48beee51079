"""What DVC compares: a file a size with Figure 4's numbers and Table 3's.

`dvc metrics show` is Table 3 then, a row a size. Names are short and numbers have five digits, so
that a row fits 200 columns; the whole numbers are in figure4.csv and table3.csv.
"""

from __future__ import annotations

import pandas as pd

_FIGURE_4 = ["parameters", "train_perplexity", "test_perplexity"]
_NO_NUMBERS = ["size", "parameters", "not_run"]
_SHORT = {
    "parameters": "params",
    "perplexity": "ppl",
    "accuracy": "acc",
    "bits_per_byte": "bpb",
    "bits_per_character": "bpc",
    "one_billion_word": "1bw",
    "wikitext": "wt",
    "cbt_": "",
}


def scores_to_compare(figure4: pd.DataFrame, table3: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Size -> name -> number, without what was not measured."""
    numbers = figure4[_FIGURE_4].join(table3.drop(columns=_NO_NUMBERS))
    return {
        size: {_short(str(name)): _five_digits(v) for name, v in row.items() if pd.notna(v)}
        for size, row in zip(figure4["size"], numbers.to_dict("records"), strict=True)
    }


def _short(name: str) -> str:
    """A column's name in few letters.

    >>> _short("cbt_cn_accuracy"), _short("one_billion_word_perplexity")
    ('cn_acc', '1bw_ppl')
    """
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return name


def _five_digits(value: float) -> float:
    """An integer where the number is one, or is one in five digits.

    >>> _five_digits(1557611200), _five_digits(365542.14), _five_digits(0.2790697)
    (1557611200, 365540, 0.27907)
    """
    number = float(value)
    rounded = number if number.is_integer() else float(f"{number:.5g}")
    return int(rounded) if rounded.is_integer() else rounded
