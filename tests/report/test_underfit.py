"""The verdict on "still underfits": each of its kinds, and each of its numbers recomputed."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made_study import MadeStudy
from shipped_sizes import SIZES

from pipeline.report.figure4 import read_figure4
from pipeline.report.losses import SizedLosses, gaps
from pipeline.report.study import read_study
from pipeline.report.underfit import CurveEnd, Verdict, curve_end, judge
from pipeline.shared.scores.results import read_scores
from pipeline.shared.scores.scaling import Estimate, Losses

NAMES = {size: size.upper() for size in SIZES}
FALLING = CurveEnd(Estimate(-0.3, -0.35, -0.25), 0.25, 0.3, 0.1)
FLAT = CurveEnd(Estimate(-0.01, -0.05, 0.03), 0.25, 0.3, 0.1)
RISING = CurveEnd(Estimate(0.05, 0.02, 0.08), 0.25, 0.3, 0.1)


def sized(means: list[float], noise: float, seed: int) -> SizedLosses:
    """Losses whose draws differ by a part that the sizes share and a part of their own."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.05, (500, 1))
    own = generator.normal(0, noise, (500, len(means)))
    mean = np.array(means)
    return SizedLosses(list(SIZES), Losses(mean, mean + shared + own))


def verdict(
    train: list[float],
    test: list[float],
    ends: list[CurveEnd | None],
    noise: float = 0.002,
    bytes_per_token: tuple[float, float] = (3.0, 3.0),
) -> Verdict:
    splits = {"train": sized(train, noise, 1), "test": sized(test, noise, 2)}
    by_byte = {
        name: SizedLosses(part.sizes, Losses(part.losses.mean / size, part.losses.draws / size))
        for (name, part), size in zip(splits.items(), bytes_per_token, strict=True)
    }
    return judge(splits, gaps(splits), gaps(by_byte), dict(zip(SIZES, ends, strict=True)), NAMES)


DOWN = [4.8, 4.5, 4.3, 4.2]


def test_it_holds_where_unseen_text_gains_as_much_and_the_curves_fall() -> None:
    found = verdict(DOWN, [x + 0.02 for x in DOWN], [FALLING] * 4)
    assert found.kind == "holds"
    assert "3 of 3 steps to a larger model" in found.reasons[0]
    assert "within its interval of zero for every size. For XL it is +0.020" in found.reasons[1]
    assert "does not change with size beyond its interval" in found.reasons[2]
    assert "fell from 30 % to 10 % of its highest" in found.reasons[3]
    assert "not what more tokens would bring" in found.reasons[3]


def test_where_no_step_is_clear_nothing_is_said_to_be_left_unlearned() -> None:
    found = verdict(DOWN, DOWN, [FALLING] * 4, noise=1)
    assert found.reasons[0].startswith("0 of 3 steps")
    assert "unlearned" not in found.reasons[0]
    assert "unlearned" in verdict(DOWN, DOWN, [FALLING] * 4).reasons[0]


def test_a_gap_that_no_draw_varies_has_no_interval_in_words() -> None:
    means = np.array(DOWN)
    same = SizedLosses(list(SIZES), Losses(means, np.tile(means, (20, 1))))
    splits = {"train": same, "test": same}
    found = judge(splits, gaps(splits), gaps(splits), dict.fromkeys(SIZES, FALLING), NAMES)
    assert "it is +0.000 nats (-)" in found.reasons[1]
    assert not any("nan" in reason for reason in found.reasons)


def test_it_holds_in_part_where_the_gap_grows_with_size() -> None:
    found = verdict(DOWN, [4.8, 4.53, 4.36, 4.29], [FALLING] * 4)
    assert found.kind == "in part"
    assert "The gap grows with size by +0.090 nats" in found.reasons[2]
    assert "train loss falls by 0.600 nats and test loss by 0.510" in found.reasons[2]


def test_gap_that_shrinks_is_said_and_is_no_reason_against_it() -> None:
    found = verdict(DOWN, [4.9, 4.56, 4.33, 4.2], [FALLING] * 4)
    assert found.kind == "holds"
    assert "The gap shrinks with size by -0.100 nats" in found.reasons[2]


def test_it_fails_where_unseen_text_gets_harder_with_size() -> None:
    found = verdict(DOWN, [4.8, 4.6, 4.5, 4.56], [FALLING] * 4)
    assert found.kind == "fails"
    assert "from LARGE to XL unseen text gets harder" in found.sentence


def test_it_fails_where_held_out_loss_rises_at_the_end() -> None:
    found = verdict(DOWN, DOWN, [FALLING, FALLING, FALLING, RISING])
    assert found.kind == "fails"
    assert "held-out loss of XL was rising when its training ended" in found.sentence


@pytest.mark.parametrize(
    ("ends", "noise"),
    [([FALLING, FLAT, FALLING, FALLING], 0.002), ([FALLING, None] * 2, 0.002), ([FALLING] * 4, 1)],
)
def test_it_stays_open_where_a_sign_is_within_its_noise(
    ends: list[CurveEnd | None], noise: float
) -> None:
    found = verdict(DOWN, DOWN, ends, noise)
    assert found.kind == "open"
    missing = [NAMES[size] for size, end in zip(SIZES, ends, strict=True) if end is None]
    assert any(f"Of {', '.join(missing)} the curve has fewer" in r for r in found.reasons) == bool(
        missing
    )


def test_it_stays_open_where_a_size_was_not_measured() -> None:
    whole = sized(DOWN, 0.002, 1)
    part = SizedLosses(["small", "xl"], Losses(np.array([4.8, 4.2]), whole.losses.draws[:, [0, 3]]))
    splits = {"train": whole, "test": part}
    found = judge(splits, gaps(splits), gaps(splits), dict.fromkeys(SIZES, FALLING), NAMES)
    assert found.kind == "open" and "not every size was measured" in found.sentence


def test_where_one_split_was_scored_for_no_size_there_is_no_gap() -> None:
    none = SizedLosses([], Losses(np.empty(0), np.empty((0, 0))))
    splits = {"train": none, "test": sized(DOWN, 0.002, 1)}
    assert gaps(splits).sizes == []
    assert (
        judge(splits, gaps(splits), gaps(splits), dict.fromkeys(SIZES, FALLING), NAMES).kind
        == "open"
    )


def test_a_gap_that_both_units_show_is_told_once() -> None:
    found = verdict(DOWN, [x + 0.5 for x in DOWN], [FALLING] * 4)
    assert "above zero beyond its interval for SMALL, MEDIUM, LARGE, XL" in found.reasons[1]
    assert "Per byte" not in found.reasons[1]


def test_gap_per_token_that_is_none_per_byte_is_said_to_be_of_the_documents() -> None:
    test = [x * 1.05 for x in DOWN]  # as many nats a byte, in tokens that are 5 % longer
    found = verdict(DOWN, test, [FALLING] * 4, bytes_per_token=(3.0, 3.15))
    assert "is above zero beyond its interval for SMALL, MEDIUM, LARGE, XL" in found.reasons[1]
    assert "Per byte it is within its interval of zero for every size" in found.reasons[1]
    assert "may be of the documents and not of the training" in found.reasons[1]


def curve(tokens: list[int], losses: list[float]) -> pd.DataFrame:
    rates = np.linspace(1e-2, 1e-3, len(tokens))
    return pd.DataFrame({"tokens": tokens, "valid_loss": losses, "learning_rate": rates})


def test_slope_at_the_end_is_that_of_a_line_through_the_last_quarter() -> None:
    tokens = list(range(100, 2100, 100))
    losses = [6 - 0.3 * math.log2(t) + (0.01 if n % 2 else -0.01) for n, t in enumerate(tokens)]
    end = curve_end(curve(tokens, losses))
    assert end is not None
    last = [(math.log2(t), y) for t, y in zip(tokens, losses, strict=True) if t >= 1500]
    mx, my = (sum(column) / len(last) for column in zip(*last, strict=True))
    spread = sum((x - mx) ** 2 for x, _ in last)
    slope = sum((x - mx) * (y - my) for x, y in last) / spread
    left = sum((y - my - slope * (x - mx)) ** 2 for x, y in last)
    error = math.sqrt(left / (len(last) - 2) / spread)
    wide = 2.77645 * error  # Student's t of four degrees of freedom, 97.5 %
    assert end.slope == pytest.approx((slope, slope - wide, slope + wide))
    assert end.share == pytest.approx(0.25)
    assert (end.rate_from, end.rate_to) == pytest.approx((0.3368, 0.1), abs=1e-3)


def test_few_points_are_taken_from_the_second_half_and_none_from_the_first() -> None:
    four = curve_end(curve([100, 200, 520, 700, 900, 1000], [6.0, 5.5, 5.0, 4.9, 4.8, 4.75]))
    assert four is not None and four.share == pytest.approx(0.48) and four.slope.high < 0
    assert curve_end(curve([100, 200, 400, 700, 900, 1000], [6, 5.5, 5, 4.9, 4.8, 4.75])) is None
    assert curve_end(curve([900, 1000], [6, 5.5])) is None
    assert curve_end(curve([], [])) is None


def test_loss_that_turns_at_the_end_is_seen_to_rise() -> None:
    tokens = list(range(100, 1100, 100))
    end = curve_end(curve(tokens, [6, 5, 4.5, 4.2, 4.1, 4.0, 4.05, 4.1, 4.16, 4.21]))
    assert end is not None and end.slope.low > 0


def test_gap_of_the_table_is_the_ratio_of_the_two_perplexities(made: MadeStudy) -> None:
    table = read_figure4(read_study("tiny", made.params, made.folder)).table
    for row in table.to_dict("records"):
        per = {}
        for split in ("train", "test"):
            scores = read_scores(made.folder / "evaluate" / row["size"], f"webtext_{split}")
            nats = sum(scores["loss_nats"])
            per[split] = nats / sum(scores["num_units"]), nats / sum(scores["num_bytes"])
        gap, by_byte = (per["test"][n] - per["train"][n] for n in (0, 1))
        assert row["gap_nats"] == pytest.approx(gap)
        assert math.exp(gap) == pytest.approx(row["test_perplexity"] / row["train_perplexity"])
        assert row["gap_bits_per_byte"] == pytest.approx(by_byte / math.log(2))
        assert row["gap_nats_low"] < gap < row["gap_nats_high"]
        assert row["gap_bits_per_byte_low"] < row["gap_bits_per_byte"]


def test_gap_is_as_uncertain_as_two_samples_drawn_apart(made: MadeStudy) -> None:
    table = read_figure4(read_study("tiny", made.params, made.folder)).table.set_index("size")
    generator = np.random.default_rng(11)
    logs = {}
    for split in ("train", "test"):
        scores = read_scores(made.folder / "evaluate" / "large", f"webtext_{split}")
        picks = generator.integers(0, len(scores), (4000, len(scores)))
        nats, tokens = (scores[c].to_numpy()[picks].sum(axis=1) for c in ("loss_nats", "num_units"))
        logs[split] = nats / tokens
    low, high = np.percentile(logs["test"] - logs["train"], [2.5, 97.5])
    assert table.loc["large", "gap_nats_low"] == pytest.approx(low, abs=0.012)
    assert table.loc["large", "gap_nats_high"] == pytest.approx(high, abs=0.012)
