"""What names of runs and figures say of numbers."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from pipeline.report.style import size_axis
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.tracking.labels import read_labels


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (640, "640"),
        (36_208, "36.2K"),
        (999_499, "999K"),
        (999_999, "1M"),
        (1_557_611_200, "1.56B"),
        (40_000_000_000, "40B"),
        (1_000_000_000_000, "1T"),
    ],
)
def test_a_count_is_the_same_in_the_name_of_a_run_and_in_a_figure(
    params: ProfileParams, number: int, said: str
) -> None:
    train = params.train.model_copy(update={"tokens": number})
    assert read_labels(params.model_copy(update={"train": train})).budget == said
    axes = Figure().add_subplot()
    size_axis(axes, [number], ["s"])
    (tick,) = axes.get_xticklabels()
    assert tick.get_text() == f"s\n{said}"
