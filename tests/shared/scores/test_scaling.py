"""Slopes, steps and floors against plain arithmetic, and against simulated laws that are known."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from pipeline.shared.scores.scaling import (
    Floats,
    Floor,
    Losses,
    change,
    differences,
    draw_losses,
    estimate,
    fit_floor,
    fit_floors,
    of_size,
    power_law,
    slope,
    step_ratio,
    with_training_noise,
)

PARAMETERS = np.array([1e6, 4e6, 16e6, 64e6])


def simulate(
    means: Floats, seed: int, *, documents: int = 300, replicates: int = 0, spread: float = 0.0
) -> tuple[Floats, Floats]:
    """Losses of documents that differ in difficulty, around a mean by size; and their tokens."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(50, 500, documents).astype(float)
    hardness = generator.normal(0, 0.5, (documents, 1))
    own = generator.normal(0, 0.03, (documents, len(means)))
    nats = (means + hardness + own) * tokens[:, None]
    if not replicates:
        return nats, tokens
    luck = generator.normal(0, spread, (replicates, 1, len(means)))
    return nats[None] + luck * tokens[None, :, None], tokens


def test_drawn_losses_are_those_of_plain_resampling() -> None:
    nats, tokens = simulate(np.array([4.0, 3.5]), 0, documents=40)
    losses = draw_losses(nats, tokens, samples=3000, seed=1)
    plain = random.Random(2)
    means = []
    for _ in range(3000):
        picked = [plain.randrange(40) for _ in range(40)]
        total = sum(float(tokens[p]) for p in picked)
        means.append([sum(float(nats[p, s]) for p in picked) / total for s in (0, 1)])
    whole = sum(float(n) for n in nats[:, 1]) / sum(float(t) for t in tokens)
    assert of_size(losses, 1).value == pytest.approx(whole)
    expected = np.percentile([b for _, b in means], [2.5, 97.5])
    assert of_size(losses, 1)[1:] == pytest.approx(tuple(expected), abs=0.02)
    ratios = np.percentile([math.exp(a - b) for a, b in means], [2.5, 97.5])
    assert step_ratio(losses, 0, 1)[1:] == pytest.approx(tuple(ratios), abs=0.002)
    assert change(losses, 0, 1).value == pytest.approx(-math.log(step_ratio(losses, 0, 1).value))


def test_sizes_share_their_draws_and_seeds_decide_them() -> None:
    nats, tokens = simulate(np.array([4.0, 3.5]), 0)
    once, again, other = (draw_losses(nats, tokens, samples=100, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(once.draws, again.draws)
    assert not np.array_equal(once.draws, other.draws)
    apart = of_size(once, 0).high - of_size(once, 0).low
    together = change(once, 0, 1).high - change(once, 0, 1).low
    assert together < apart / 5


def test_slope_is_that_of_the_textbook_on_any_count_of_parameters() -> None:
    for counts in (PARAMETERS, PARAMETERS - 0.5e6):
        losses = [4.1, 3.7, 3.5, 3.4]
        x = [math.log(n) for n in counts]
        mx, my = sum(x) / 4, sum(losses) / 4
        top = sum((a - mx) * (b - my) for a, b in zip(x, losses, strict=True))
        expected = top / sum((a - mx) ** 2 for a in x)
        found, intercept = power_law(counts, np.array(losses))
        assert float(found) == pytest.approx(expected)
        assert float(intercept) == pytest.approx(my - expected * mx)


@pytest.mark.parametrize("replicates", [0, 2, 3, 6])
def test_the_slopes_interval_holds_the_true_slope_about_95_times_in_100(replicates: int) -> None:
    truth = 8.0 - 0.2 * np.log(PARAMETERS)
    held = 0
    for seed in range(200):
        nats, tokens = simulate(truth, seed, replicates=replicates, spread=0.02)
        found = slope(PARAMETERS, draw_losses(nats, tokens, samples=300, seed=seed))
        held += found.low <= -0.2 <= found.high
    assert 182 <= held <= 198  # of 200: 190 expected, with a standard error of 3


def test_replicates_widen_an_interval_by_the_noise_of_training() -> None:
    truth = 8.0 - 0.2 * np.log(PARAMETERS)
    nats, tokens = simulate(truth, 3, replicates=6, spread=0.1)
    all_of_them = slope(PARAMETERS, draw_losses(nats, tokens, samples=400, seed=0))
    one = slope(PARAMETERS, draw_losses(nats[0], tokens, samples=400, seed=0))
    assert all_of_them.high - all_of_them.low > 3 * (one.high - one.low)
    by_seed = [float(power_law(PARAMETERS, n.sum(axis=0) / tokens.sum())[0]) for n in nats]
    assert all_of_them.value == pytest.approx(sum(by_seed) / 6)
    student = 2.571 * float(np.std(by_seed, ddof=1)) / math.sqrt(6)  # t of 5 degrees, 97.5 %
    assert (all_of_them.high - all_of_them.low) / 2 == pytest.approx(student, rel=0.2)


def test_gap_between_two_samples_is_as_wide_as_both_make_it() -> None:
    train, train_tokens = simulate(np.array([3.9, 3.3]), 1)
    test, test_tokens = simulate(np.array([4.0, 3.5]), 2)
    left = draw_losses(train, train_tokens, samples=2000, seed=1)
    right = draw_losses(test, test_tokens, samples=2000, seed=2)
    gap = differences(right, left)
    assert of_size(gap, 0).value == pytest.approx(right.mean[0] - left.mean[0])
    spread = [float(np.std(losses.draws[:, 0])) for losses in (left, right, gap)]
    assert spread[2] == pytest.approx(math.hypot(*spread[:2]), rel=0.08)


def exact(means: Floats) -> Losses:
    """Losses without any noise of documents."""
    return Losses(means, np.tile(means, (50, 1)))


def test_floor_of_an_exact_law_is_found_again() -> None:
    found = fit_floor(PARAMETERS, exact(1.7 + 400 * PARAMETERS**-0.4))
    assert isinstance(found, Floor)
    assert found.floor == pytest.approx((1.7, 1.7, 1.7), abs=1e-3)
    assert (found.exponent, found.scale) == pytest.approx((0.4, 400), rel=2e-3)


@pytest.mark.parametrize(
    ("means", "reason"),
    [
        (np.array([4.0, 3.5, 3.3]), "need 4 sizes at least"),
        (np.array([4.0, 3.5, 3.6, 3.3]), "does not fall at every step"),
        (8.0 - 0.2 * np.log(PARAMETERS), "does not flatten"),
        (np.array([4.0, 3.8, 3.5, 3.0]), "does not flatten"),
        (np.array([4.0, 3.5, 3.22, 3.1]), ""),
        (np.array([4.0, 3.5, 3.3, 3.05]), "without size"),
    ],
)
def test_where_no_floor_can_be_told_the_reason_is(means: Floats, reason: str) -> None:
    found = fit_floor(PARAMETERS[: len(means)], exact(means))
    if reason:
        assert isinstance(found, str) and reason in found
    else:
        assert isinstance(found, Floor)


def test_draws_that_are_all_the_same_give_no_interval() -> None:
    found = change(exact(np.array([4.0, 3.5])), 0, 1)
    assert found.value == -0.5 and math.isnan(found.low) and math.isnan(found.high)


def test_noise_of_training_is_assumed_only_where_one_training_cannot_show_it() -> None:
    means = 1.7 + 400 * PARAMETERS**-0.4
    one, three = (
        fit_floors({"all": PARAMETERS}, exact(means), trainings=count, seed=1)["all"]
        for count in (1, 3)
    )
    assert isinstance(one, Floor) and isinstance(three, Floor)
    assert three.floor.high - three.floor.low < 0.002
    assert one.floor.high - one.floor.low > 0.01


def test_floor_that_other_documents_would_take_away_is_not_told() -> None:
    means = 1.0 + 40 * PARAMETERS**-0.2
    nats, tokens = simulate(means, 5, documents=12)
    nats += np.random.default_rng(6).normal(0, 0.4, nats.shape) * tokens[:, None]
    losses = draw_losses(nats, tokens, samples=300, seed=0)
    losses = Losses(means, losses.draws - losses.draws.mean(axis=0) + means)
    found = fit_floor(PARAMETERS, losses)
    assert isinstance(found, str) and "from 0 to" in found


def test_floor_that_is_told_lies_in_its_interval_and_none_is_told_where_there_is_none() -> None:
    told, held, invented = 0, 0, 0
    for seed in range(60):
        for has_floor in (True, False):
            law = 1.7 + 400 * PARAMETERS**-0.4 if has_floor else 8.0 - 0.2 * np.log(PARAMETERS)
            nats, tokens = simulate(law, seed)
            found = fit_floor(PARAMETERS, draw_losses(nats, tokens, samples=200, seed=seed))
            if isinstance(found, Floor):
                told += has_floor
                held += has_floor and found.floor.low <= 1.7 <= found.floor.high
                invented += not has_floor
    assert told > 50 and held >= 0.9 * told
    assert invented <= 3


def test_noise_of_trainings_widens_each_size_by_itself_and_can_hide_a_floor() -> None:
    means = 1.7 + 40 * PARAMETERS**-0.2
    quiet = Losses(means, np.tile(means, (4000, 1)))
    noisy = with_training_noise(quiet, 0.02, seed=3)
    assert np.std(noisy.draws, axis=0) == pytest.approx([0.02] * 4, rel=0.05)
    assert abs(np.corrcoef(noisy.draws.T)[0, 1]) < 0.06
    assert np.array_equal(noisy.mean, means)
    assert isinstance(fit_floor(PARAMETERS, quiet), Floor)
    few = Losses(means, noisy.draws[:500] + np.random.default_rng(1).normal(0, 0.1, (500, 4)))
    assert isinstance(fit_floor(PARAMETERS, few), str)


def test_estimate_keeps_the_middle_95_percent_of_its_draws() -> None:
    assert estimate(5.0, np.arange(1001.0)) == pytest.approx((5.0, 25.0, 975.0))
