"""Differences between subsets, and their intervals, against resampling in plain Python."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pipeline.overlap.coqa_domains import _domains
from pipeline.overlap.difference import cluster_numbers, difference, terms_of
from pipeline.shared.scores.bootstrap import Draws

DRAWS = Draws(4000, seed=1)


def made_scores(count: int = 60) -> pd.DataFrame:
    dice = random.Random(5)
    return pd.DataFrame({
        "id": [f"story{n // 4}:{n % 4}" for n in range(count)],
        "cluster": [n // 4 for n in range(count)],
        "loss_nats": [dice.uniform(20, 60) for _ in range(count)],
        "num_units": [dice.randint(8, 20) for _ in range(count)],
        "f1": [dice.random() for _ in range(count)],
        "num_overlapping": [(n // 4) % 3 for n in range(count)],
        "num_ngrams": 3,
        "group": ["news" if n % 8 < 4 else "fiction" for n in range(count)],
    })


def perplexity(rows: list[dict[str, float]]) -> float:
    return math.exp(sum(r["loss_nats"] for r in rows) / sum(r["num_units"] for r in rows))


@pytest.mark.parametrize("together", [False, True])
def test_an_interval_is_what_drawing_the_clusters_in_plain_python_gives(together: bool) -> None:
    scores = made_scores() if together else made_scores().drop(columns="cluster")
    terms = terms_of("perplexity", scores)
    assert terms is not None
    everything = np.ones(len(scores), np.bool_)
    clean = (scores["num_overlapping"] == 0).to_numpy()
    found = difference(terms, everything, clean, cluster_numbers(scores), DRAWS)
    rows = scores.to_dict("records")
    assert found.difference == pytest.approx(
        perplexity(rows) - perplexity([row for row in rows if row["num_overlapping"] == 0])
    )
    clusters: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        key = row["id"].split(":")[0] if together else row["id"]
        clusters.setdefault(key, []).append(row)
    dice, values = random.Random(2), []
    for _ in range(4000):
        drawn = [r for own in dice.choices(list(clusters.values()), k=len(clusters)) for r in own]
        free = [row for row in drawn if row["num_overlapping"] == 0]
        if free:
            values.append(perplexity(drawn) - perplexity(free))
    values.sort()
    width = values[-100] - values[100]
    assert found.low == pytest.approx(values[100], abs=0.08 * width)
    assert found.high == pytest.approx(values[-100], abs=0.08 * width)


def test_stories_that_hang_together_widen_the_interval() -> None:
    scores = made_scores()
    scores["f1"] = [(n // 4) % 2 for n in range(len(scores))]
    terms = terms_of("f1", scores)
    assert terms is not None
    clean = (scores["num_overlapping"] == 0).to_numpy()
    alone, together = (
        difference(terms, clean, ~clean, cluster_numbers(rows), DRAWS)
        for rows in (scores.drop(columns="cluster"), scores)
    )
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_where_nothing_differs_or_one_side_is_empty_there_is_no_interval() -> None:
    scores = made_scores()
    terms = terms_of("f1", scores)
    assert terms is not None
    everything, clusters = np.ones(len(scores), np.bool_), cluster_numbers(scores)
    same = difference(terms, everything, everything, clusters, DRAWS)
    assert same.difference == 0 and math.isnan(same.low)
    none = difference(terms, everything, ~everything, clusters, DRAWS)
    assert all(math.isnan(value) for value in none)
    clean = (scores["num_overlapping"] == 0).to_numpy()
    one = difference(terms, everything, clean, np.zeros(len(scores), np.int64), DRAWS)
    assert one.difference != 0 and math.isnan(one.high)


def test_a_side_of_one_cluster_has_no_interval_however_many_the_other_has() -> None:
    scores = made_scores()
    terms = terms_of("f1", scores)
    assert terms is not None
    everything, clusters = np.ones(len(scores), np.bool_), cluster_numbers(scores)
    for sides in ((everything, clusters == 3), (clusters == 3, clusters != 3)):
        alone = difference(terms, *sides, clusters, DRAWS)
        assert alone.difference != 0 and math.isnan(alone.low) and math.isnan(alone.high)
    assert math.isfinite(difference(terms, everything, clusters > 12, clusters, DRAWS).low)


@pytest.mark.parametrize("shuffle", [list, sorted])
def test_bleu_of_a_subset_is_sacrebleus_own(shuffle: Callable[[list[str]], list[str]]) -> None:
    """Also where no four words match, and it smooths."""
    from sacrebleu.metrics.bleu import BLEU

    reference = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "tonight"]
    given = [" ".join(shuffle(reference[: 5 + n % 6])) for n in range(12)]
    scores = pd.DataFrame({
        "id": [str(n) for n in range(12)],
        "translation": given,
        "reference": " ".join(reference),
    })
    terms = terms_of("bleu", scores)
    assert terms is not None
    left, right = np.arange(12) < 7, np.arange(12) >= 7
    found = difference(terms, left, right, cluster_numbers(scores), Draws(50, 1))
    ours = [
        BLEU().corpus_score(own, [[" ".join(reference)] * len(own)]).score
        for own in (given[:7], given[7:])
    ]
    assert found.difference == pytest.approx(ours[0] - ours[1])
    assert found.low < found.difference < found.high


@pytest.mark.parametrize("percent", [0.0, 50.0])
def test_coqa_by_domain_is_the_mean_over_questions_of_held_stories_and_others(
    percent: float,
) -> None:
    scores = made_scores()
    rows = scores.to_dict("records")
    for domain in _domains(scores, percent, Draws(50, 1)):
        own = [row for row in rows if domain["domain"] in {row["group"], "all"}]
        held = [r["f1"] for r in own if 100 * r["num_overlapping"] / 3 > percent]
        others = [r["f1"] for r in own if 100 * r["num_overlapping"] / 3 <= percent]
        assert domain["num_questions_held"] == len(held) == 4 * domain["num_held"]
        assert domain["f1_held"] == pytest.approx(sum(held) / len(held))
        assert domain["f1_others"] == pytest.approx(sum(others) / len(others))
        assert domain["difference"] == pytest.approx(domain["f1_held"] - domain["f1_others"])
        assert domain["low"] < domain["difference"] < domain["high"]
