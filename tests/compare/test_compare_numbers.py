"""Every number of a comparison, computed again from the files in plain Python."""

from __future__ import annotations

import logging
import math
import random
import shutil
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_studies import change_training, copy_study, scale, write_params
from shipped_sizes import SIZES

from pipeline.compare.command import CompareOptions, Named
from pipeline.compare.compared import Compared
from pipeline.compare.measure import measure
from pipeline.compare.run import compare
from pipeline.compare.sources import find
from pipeline.compare.studies import Group, read_study
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.files import read_json, write_json
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.metrics import RatioMetric
from pipeline.shared.tracking.labels import NO_SETTINGS

_LOG = logging.getLogger("test")
DRAWS = Draws(2000, 1)


def _compare(tmp_path: Path, *studies: Path | tuple[str, Path]) -> Compared:
    named = [
        Named(str(study[1]), study[0]) if isinstance(study, tuple) else Named(str(study))
        for study in studies
    ]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return compare(CompareOptions(named, tmp_path / "out"), scratch, _LOG)


def _scores(folder: Path, size: str, name: str = "webtext_test") -> pd.DataFrame:
    return pd.read_parquet(folder / "evaluate" / size / f"{name}.examples.parquet")


def _loss(folder: Path, size: str) -> float:
    table = _scores(folder, size)
    return sum(table["loss_nats"]) / sum(table["num_units"])


def test_three_seeds_are_one_group_with_mean_spread_and_both_intervals(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    compared = _compare(tmp_path, *three_seeds)
    table = compared.tables["compare"]
    assert table["replicates"].tolist() == [3] * 4
    assert table["size"].tolist() == list(SIZES)
    for row in table.to_dict("records"):
        losses = [_loss(folder, row["size"]) for folder in three_seeds]
        assert row["test_perplexity"] == pytest.approx(math.exp(sum(losses) / 3))
        of_each = [math.exp(loss) for loss in losses]
        assert row["test_perplexity_sd"] == pytest.approx(statistics.stdev(of_each))
        assert row["test_interval_covers"] == "documents and seeds"
        nats = row["test_bits_per_byte"] * math.log(2) * 3  # three bytes a token
        assert nats == pytest.approx(sum(losses) / 3)


def test_an_interval_over_seeds_alone_is_student_s(three_seeds: list[Path], tmp_path: Path) -> None:
    """Documents that are all alike have no noise; what is left is the t interval of three."""
    for folder in three_seeds:
        for size in SIZES:
            path = folder / "evaluate" / size / "webtext_test.examples.parquet"
            table, loss = pd.read_parquet(path), _loss(folder, size)
            table["loss_nats"] = loss * table["num_units"]
            table.to_parquet(path, index=False)
    row = _compare(tmp_path, *three_seeds).tables["compare"].to_dict("records")[0]
    losses = [_loss(folder, "small") for folder in three_seeds]
    half = 4.303 * statistics.stdev(losses) / math.sqrt(3)
    measured = [math.log(row[f"test_perplexity_{end}"]) for end in ("low", "high")]
    assert measured[1] - measured[0] == pytest.approx(2 * half, rel=0.15)


def test_a_step_falls_in_as_many_replicates_as_it_does(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    scale(three_seeds[1] / "evaluate" / "medium", "webtext_test", 1.5)
    rows = {
        r["size"]: r for r in _compare(tmp_path, *three_seeds).tables["compare"].to_dict("records")
    }
    assert rows["medium"]["test_step_falls_in"] == 2
    assert rows["large"]["test_step_falls_in"] == 3
    fall = sum(_loss(f, "medium") - _loss(f, "large") for f in three_seeds) / 3
    assert rows["large"]["test_step"] == pytest.approx(math.exp(fall))


def test_two_studies_of_the_same_documents_are_compared_on_equal_draws(
    made: Path, tmp_path: Path
) -> None:
    """The interval of a ratio is that of pairs, far narrower than either study's own."""
    ours = copy_study(made, tmp_path / "ours", seed=5)
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    ratios = compared.tables["ratios"]
    row = ratios[(ratios["set"] == "webtext_test") & (ratios["size"] == "large")].iloc[0]
    left, right = _scores(ours, "large"), _scores(made, "large")
    pairs = list(zip(left["loss_nats"] - right["loss_nats"], left["num_units"], strict=True))
    assert row["value"] == pytest.approx(
        math.exp(sum(a for a, _ in pairs) / sum(left["num_units"]))
    )
    chance = random.Random(7)
    drawn = []
    for _ in range(2000):
        draw = chance.choices(pairs, k=len(pairs))
        drawn.append(math.exp(sum(a for a, _ in draw) / sum(b for _, b in draw)))
    low, high = sorted(drawn)[50], sorted(drawn)[1950]
    assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.15)
    assert row["low"] == pytest.approx(low, abs=0.3 * (high - low))
    assert row["interval_covers"] == "documents, on the same examples"


def test_a_difference_of_accuracy_has_the_interval_of_pairs(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    path = ours / "evaluate" / "xl" / "cbt_cn.examples.parquet"
    table = pd.read_parquet(path)
    table["correct"] = [1] * 5 + [0] * (len(table) - 5)
    table.to_parquet(path, index=False)
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    assert _row(compared, "cbt_cn", "low").isna().all(), "scores that are not the reported number"
    result = ours / "evaluate" / "xl" / "cbt_cn.json"
    old = float(_scores(made, "xl", "cbt_cn")["correct"].mean())
    new = 5 / len(table)
    result.write_text(result.read_text().replace(f'"accuracy": {old}', f'"accuracy": {new}'))
    (tmp_path / "scratch").rename(tmp_path / "before")
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    row = _row(compared, "cbt_cn", "value"), _row(compared, "cbt_cn", "low")
    assert row[0].iloc[-1] == pytest.approx(new - old)
    assert row[1].iloc[-1] < new - old
    assert row[0].iloc[0] == 0 and math.isnan(row[1].iloc[0])  # the same examples and answers


def _row(compared: Compared, eval_set: str, column: str) -> pd.Series:
    ratios = compared.tables["ratios"]
    return ratios[ratios["set"] == eval_set][column]


def test_other_documents_are_not_paired(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    for size in SIZES:
        path = ours / "evaluate" / size / "webtext_test.examples.parquet"
        table = pd.read_parquet(path)
        table["id"] = [f"other{n}" for n in range(len(table))]
        table.to_parquet(path, index=False)
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    same, other = (
        compared.tables["ratios"].query("set == @name and size == 'xl'").iloc[0]
        for name in ("webtext_train", "webtext_test")
    )
    assert same["value"] == 1 and math.isnan(same["low"]) and math.isnan(same["high"])
    assert other["low"] < 1 < other["high"]
    assert other["interval_covers"] == "documents, on examples of their own"


def test_other_tokenizers_are_compared_by_bits_per_byte(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    change_training(ours, tokenizer_sha256="cd" * 32)
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    ratios = compared.tables["ratios"].query("kind == 'ratio'")
    assert set(ratios["metric"]) == {"bits_per_byte"}
    assert ratios["remark"].str.contains("tokenizers differ").all()
    row = ratios.query("set == 'webtext_test' and size == 'small'").iloc[0]
    table = _scores(ours, "small")
    bits = sum(table["loss_nats"]) / math.log(2) / sum(table["num_bytes"])
    assert row["ours"] == pytest.approx(bits)
    assert "tokenizers differ" in str(compared.budgets["all"])


def test_the_same_label_makes_replicates_of_folders_that_tell_no_parameters(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    for folder in three_seeds:
        (folder.parent.parent / "params.yaml").unlink()
    compared = _compare(tmp_path, *(("seeds", folder) for folder in three_seeds))
    assert [group.label for group in compared.groups] == ["seeds"]
    (tmp_path / "scratch").rename(tmp_path / "before")
    assert len(_compare(tmp_path, *three_seeds).groups) == 3


def test_replicates_of_other_tokenizers_are_refused(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    change_training(three_seeds[1], tokenizer_sha256="cd" * 32)
    with pytest.raises(UserError, match="another tokenizer"):
        _compare(tmp_path, *(("seeds", folder) for folder in three_seeds))


def test_a_budget_is_no_seed(three_seeds: list[Path], tmp_path: Path) -> None:
    write_params(three_seeds[2].parent.parent, 3, tokens=750_000)
    compared = _compare(tmp_path, *three_seeds)
    assert [len(group.studies) for group in compared.groups] == [2, 1]


@pytest.mark.parametrize("section", sorted(NO_SETTINGS))
def test_what_decides_no_result_parts_no_replicates(
    three_seeds: list[Path], tmp_path: Path, section: str
) -> None:
    for number, folder in enumerate(three_seeds):
        path = folder.parent.parent / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params["profiles"]["tiny"][section] = {"any": number}
        path.write_text(yaml.safe_dump(params))
    (group,) = _compare(tmp_path, *three_seeds).groups
    assert len(group.studies) == 3


def test_sizes_of_other_documents_are_told(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    path = ours / "evaluate" / "large" / "webtext_test.examples.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    with pytest.raises(CorruptDataError, match="small and large were scored on different examples"):
        _compare(tmp_path, ours)


def test_slopes_stand_on_both_counts_with_their_intervals(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    slopes = _compare(tmp_path, *three_seeds).tables["slopes"]
    assert set(slopes["parameters_counted"]) == {"all", "without embeddings"}
    row = slopes.query("split == 'test' and parameters_counted == 'all'").iloc[0]
    counts = [math.log(n) for n in (38_128, 95_104, 289_344, 1_071_872)]
    losses = [sum(_loss(f, size) for f in three_seeds) / 3 for size in SIZES]
    wanted = statistics.linear_regression(counts, losses).slope
    assert row["exponent"] == pytest.approx(wanted)
    assert row["exponent_low"] < wanted < row["exponent_high"]


def test_what_one_side_lacks_is_a_row_with_the_reason(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    write_json(
        ours / "evaluate" / "xl" / "cbt_cn.json", {"set": "cbt_cn", "not_run": "out of memory"}
    )
    compared = _compare(tmp_path, ("reference", made), ("ours", ours))
    row = compared.tables["ratios"].query("set == 'cbt_cn' and size == 'xl'").iloc[0]
    assert math.isnan(row["value"]) and math.isnan(row["ours"])
    assert row["theirs"] == pytest.approx(_scores(made, "xl", "cbt_cn")["correct"].mean())
    assert row["remark"] == "ours: out of memory"


def test_a_size_without_signal_takes_no_other_s_interval(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    path = ours / "evaluate" / "xl" / "cbt_cn.examples.parquet"
    table = pd.read_parquet(path)
    table["correct"] = [1] * 5 + [0] * (len(table) - 5)
    table.to_parquet(path, index=False)
    result = read_json(ours / "evaluate" / "xl" / "cbt_cn.json")
    result["metrics"]["accuracy"] = 5 / len(table)
    write_json(ours / "evaluate" / "xl" / "cbt_cn.json", result)
    result = read_json(ours / "evaluate" / "small" / "cbt_cn.json")
    del result["metrics"]["accuracy"]
    result["no_signal"] = {"accuracy": "every answer is the same"}
    write_json(ours / "evaluate" / "small" / "cbt_cn.json", result)
    rows = _compare(tmp_path, ("reference", made), ("ours", ours)).tables["ratios"]
    rows = rows[rows["set"] == "cbt_cn"].set_index("size")
    assert rows.loc["small", "remark"] == "ours: every answer is the same"
    assert rows.loc["xl", "low"] < rows.loc["xl", "value"] < rows.loc["xl", "high"]


def test_a_step_over_a_rung_that_is_missing_is_not_told(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    shutil.rmtree(ours / "evaluate" / "medium")
    table = _compare(tmp_path, ours).tables["compare"].set_index("size")
    assert math.isnan(table.loc["large", "test_step"])
    fall = _loss(ours, "large") - _loss(ours, "xl")
    assert table.loc["xl", "test_step"] == pytest.approx(math.exp(fall))


def test_replicates_of_other_budgets_are_refused(three_seeds: list[Path], tmp_path: Path) -> None:
    change_training(three_seeds[1], tokens=750_000)
    with pytest.raises(UserError, match="750,000 tokens"):
        _compare(tmp_path, *(("seeds", folder) for folder in three_seeds))


def test_rates_of_replicates_that_differ_are_all_told(
    three_seeds: list[Path], tmp_path: Path
) -> None:
    for folder, rate in zip(three_seeds, (0.01, 0.02, 0.01), strict=True):
        change_training(folder, learning_rate=rate)
    table = _compare(tmp_path, *three_seeds).tables["compare"]
    assert table["learning_rate"].tolist() == ["0.01 0.02 0.01"] * 4


def test_questions_about_one_story_are_drawn_together(made: Path, tmp_path: Path) -> None:
    ours = copy_study(made, tmp_path / "ours")
    group = read_study(find(str(ours), tmp_path, tmp_path))
    measured = measure(
        Group("ours", [group], ["xl"]), "coqa", RatioMetric("f1", "", np.asarray), DRAWS
    )
    assert measured is not None
    table = _scores(ours, "xl", "coqa").sort_values("id")
    stories: dict[object, list[float]] = {}
    for story, f1 in zip(table["cluster"], table["f1"], strict=True):
        stories.setdefault(story, []).append(f1)
    assert 1 < len(stories) < len(table) == measured.num_examples
    assert len(measured.ids) == len(stories)
    chance, drawn = random.Random(3), []
    for _ in range(4000):
        own = [f1 for one in chance.choices(list(stories.values()), k=len(stories)) for f1 in one]
        drawn.append(sum(own) / len(own))
    low, high = sorted(drawn)[100], sorted(drawn)[3900]
    found = measured.at("xl")
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_groups_that_differ_in_more_than_their_budget_have_no_law(
    made: Path, tmp_path: Path
) -> None:
    half, other = copy_study(made, tmp_path / "half"), copy_study(made, tmp_path / "other")
    write_params(half.parent.parent, 1, tokens=750_000)
    write_params(other.parent.parent, 1, tokens=375_000, batch=16)
    reference = copy_study(made, tmp_path / "whole")
    compared = _compare(tmp_path, ("whole", reference), ("half", half))
    assert "there are 4 sizes" in str(compared.budgets["all"])
    (tmp_path / "scratch").rename(tmp_path / "before")
    compared = _compare(tmp_path, ("whole", reference), ("half", half), ("other", other))
    assert compared.budgets["all"] == (
        "whole and other differ in more than their budget: train.batch"
    )
