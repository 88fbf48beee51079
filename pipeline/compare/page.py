"""The page of a comparison, in the report's look: everything inline, no other host asked."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pandas as pd

from pipeline.compare.budget_law import BudgetLaw
from pipeline.compare.compared import Compared
from pipeline.compare.words import changed, is_repeated, limits, members, summary
from pipeline.report import markup
from pipeline.report.tables import factor

_HEADINGS = {"size": "model", "num_examples": "examples", "parameters_counted": "counted"}


def render(compared: Compared, folder: Path) -> str:
    """The HTML; reads `compare.svg` in `folder`."""
    lines = summary(compared.groups, compared.figure4)
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([
            jinja2.PackageLoader("pipeline.compare", "."),
            jinja2.PackageLoader("pipeline.report", "."),  # page.css
        ]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table"] = lambda frame, caption: markup.html_table(
        frame, caption, _HEADINGS
    )
    return environment.get_template("comparison.html").render(
        title=_title(compared),
        summary=lines,
        limits=limits(compared.groups, compared.figure4),
        figure=markup.inline_svg(folder / "compare.svg", "compare", " ".join(lines)),
        several=len(compared.groups) > 1,
        reference=compared.groups[0].label,
        figure4=_figure4(compared.tables["compare"]),
        steps=_steps(compared.tables["compare"]),
        ratios=_against(compared.tables["ratios"], "ratio"),
        differences=_against(compared.tables["ratios"], "difference"),
        slopes=_slopes(compared.tables["slopes"]),
        floors=_floors(compared.tables["slopes"]),
        laws=_laws(compared.budgets),
        untold={count: law for count, law in compared.budgets.items() if isinstance(law, str)},
        repeated=is_repeated(compared.groups),
        members=pd.DataFrame(members(compared.groups)),
        changed=pd.DataFrame(changed(compared.groups)),
        downloads={
            name: markup.data_uri(frame.to_csv(index=False, lineterminator="\n"))
            for name, frame in compared.tables.items()
        },
    )


def _title(compared: Compared) -> str:
    names = [group.label for group in compared.groups]
    if len(names) == 1:
        return f"{names[0]}, {len(compared.groups[0].studies)} times"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _figure4(table: pd.DataFrame) -> pd.DataFrame:
    columns = {name: table[name] for name in ("study", "size", "parameters", "replicates")}
    for split in ("train", "test"):
        columns[f"{split} perplexity"] = _spans(table, f"{split}_perplexity")
        columns[f"{split} sd"] = table[f"{split}_perplexity_sd"]
        columns[f"{split} bits per byte"] = table[f"{split}_bits_per_byte"]
    return pd.DataFrame(columns)


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[table["test_step"].notna() | table["train_step"].notna()]
    columns = {"study": shown["study"], "to": shown["size"]}
    for split in ("train", "test"):
        columns[f"{split} ratio"] = _spans(shown, f"{split}_step")
        falls = zip(shown[f"{split}_step_falls_in"], shown["replicates"], strict=True)
        columns[f"{split} falls in"] = pd.Series(
            ["-" if pd.isna(n) else f"{int(n)} of {of}" for n, of in falls], index=shown.index
        )
    return pd.DataFrame(columns)


def _against(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    shown = table[table["kind"] == kind].copy()
    scale = shown["metric"].map(factor) if kind == "difference" else 1.0
    for name in ("ours", "theirs", "value", "low", "high"):
        shown[name] = pd.to_numeric(shown[name]) * scale
    return pd.DataFrame({
        "study": shown["study"],
        "size": shown["size"],
        "set": shown["title"],
        "metric": shown["metric"].map(markup.words),
        "its": shown["ours"],
        "reference": shown["theirs"],
        kind: _spans(shown, "value", ends=("low", "high")),
        "examples": shown["num_examples"],
        "remark": shown["remark"],
    })


def _slopes(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    return pd.DataFrame({
        "study": table["study"],
        "split": table["split"],
        "parameters": table["parameters_counted"],
        "exponent": _spans(table, "exponent"),
        "interval over": table["interval_covers"],
    })


def _floors(table: pd.DataFrame) -> list[str]:
    """Each floor, or why there is none, once."""
    lines = []
    for row in table.to_dict("records"):
        told = row["floor_told"]
        if told == "yes":
            told = f"{row['floor_nats']:.2f} nats [{row['floor_low']:.2f}, {row['floor_high']:.2f}]"
        lines.append(
            f"{row['study']}, {row['split']}, parameters {row['parameters_counted']}: {told}."
        )
    return lines


def _laws(budgets: dict[str, BudgetLaw | str]) -> pd.DataFrame:
    rows = []
    for count, law in budgets.items():
        if isinstance(law, BudgetLaw):
            fitted = {"E, nats": law.floor, "alpha": law.alpha, "beta": law.beta}
            rows.append(
                {"parameters": count}
                | {name: _span(*value) for name, value in fitted.items()}
                | {"A": law.scale_of_size, "B": law.scale_of_tokens}
                | {"N grows as C to": _span(*law.optimal_share)}
                | {"largest error, %": 100 * law.largest_error, "runs": law.num_runs}
            )
    return pd.DataFrame(rows)


def _spans(table: pd.DataFrame, name: str, ends: tuple[str, str] | None = None) -> pd.Series:
    low, high = ends or (f"{name}_low", f"{name}_high")
    rows = zip(table[name], table[low], table[high], strict=True)
    return pd.Series([_span(*row) for row in rows], index=table.index, dtype=object)


def _span(value: float, low: float, high: float) -> str:
    """A number with its interval.

    >>> _span(1.23456, 1.0, 1.5), _span(150.0, float("nan"), float("nan"))
    ('1.235 [1, 1.5]', '150.0')
    """
    if pd.isna(value):
        return "-"
    text = markup.number(float(value))
    return text if pd.isna(low) else f"{text} [{markup.number(low)}, {markup.number(high)}]"
