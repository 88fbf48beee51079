"""A loss that leaps is noticed, once, with its step; noise and a falling curve are not."""

from __future__ import annotations

import numpy as np
import torch

from models.loss_spikes import SpikeDetector


def noisy_curve(steps: int) -> list[float]:
    random = np.random.default_rng(1)
    return [float(3 + 5 / (1 + n / 20) + random.normal(0, 0.1)) for n in range(steps)]


def feed(detector: SpikeDetector, losses: list[float], first: int = 0) -> None:
    for step, loss in enumerate(losses, first):
        detector.update(step, torch.tensor(loss))


def test_a_noisy_falling_curve_has_no_spike() -> None:
    detector = SpikeDetector("cpu")
    feed(detector, noisy_curve(400))
    assert detector.take() is None


def test_the_first_spike_is_told_once_with_step_loss_and_what_was_usual() -> None:
    detector, losses = SpikeDetector("cpu"), noisy_curve(200)
    losses[150:152] = [9.0, 8.0]
    feed(detector, losses)
    spike = detector.take()
    assert spike is not None
    assert (spike.step, spike.loss) == (150, 9.0)
    assert abs(spike.usual - losses[149]) < 0.5
    assert detector.take() is None


def test_the_next_spike_is_seen_after_the_first_was_taken() -> None:
    detector, losses = SpikeDetector("cpu"), noisy_curve(300)
    losses[150], losses[250] = 9.0, 9.0
    feed(detector, losses[:200])
    assert detector.take() is not None
    feed(detector, losses[200:], first=200)
    spike = detector.take()
    assert spike is not None
    assert spike.step == 250


def test_it_goes_on_from_a_checkpoint_as_if_never_cut() -> None:
    whole, cut, resumed = (SpikeDetector("cpu") for _ in range(3))
    losses = noisy_curve(200)
    losses[150] = 9.0
    feed(whole, losses)
    feed(cut, losses[:120])
    resumed.load(cut.state())
    feed(resumed, losses[120:], first=120)
    assert resumed.take() == whole.take()
    assert torch.equal(resumed.state(), whole.state())


def test_a_loss_that_is_no_number_leaves_the_running_mean_as_it_is() -> None:
    detector = SpikeDetector("cpu")
    feed(detector, [2.0] * 60)
    before = detector.state()
    detector.update(60, torch.tensor(float("nan")))
    assert torch.equal(detector.state()[:1], before[:1])


def test_a_checkpoint_keeps_the_spike_that_nobody_has_taken_yet() -> None:
    cut, resumed, losses = SpikeDetector("cpu"), SpikeDetector("cpu"), noisy_curve(200)
    losses[150] = 9.0
    feed(cut, losses[:152])
    resumed.load(cut.state())
    feed(resumed, losses[152:], first=152)
    spike = resumed.take()
    assert spike is not None
    assert (spike.step, spike.loss) == (150, 9.0)
    assert resumed.take() is None
