"""Run one training to its end or a part of the way: for train and tune.

What must survive a kill is ours (`watch.py`), and a training counts as done only when its last
checkpoint is there: Lightning itself ends a SIGTERM as if it were a success.
"""

from __future__ import annotations

from collections.abc import Callable

from models.gpt2 import empty_model
from models.loss_spikes import Spike
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.running.stage import Stage
from pipeline.shared.training.group import check_start, joined_group
from pipeline.shared.training.job import Hardware, Job, Listeners, TrainingOutcome
from pipeline.shared.training.ranks import run_ranks
from pipeline.shared.training.state import load_state, newest_step


def train_to(
    stage: Stage, job: Job, name: str, on_point: Callable[[CurvePoint], None] = lambda point: None
) -> TrainingOutcome:
    """Train up to `job.until_step`, going on from the newest checkpoint in `job.folder`.

    `on_point` gets new points. A training that has gone farther already is left as it is.

    Raises:
        NonFiniteLossError: naming the step and the documents of its batch.
        SystemExit: 143 after SIGTERM, once a checkpoint is written.
    """
    found = None
    while found is None or found[0] < job.until_step:  # twice if the last one is damaged
        done_steps = newest_step(job.folder)
        if done_steps < job.until_step:
            _train(stage, job, name, done_steps=done_steps, on_point=on_point)
        found = load_state(job.folder, job.identity, stage.log)
    state = found[1]
    model = empty_model(job.config)
    model.load_state_dict(state["model"])
    return TrainingOutcome(
        model=model.eval(),
        curve=[CurvePoint(int(row[0]), *row[1:]) for row in state["curve"]],
        spikes=[Spike(int(row[0]), *row[1:]) for row in state["spikes"]],
        start_up_s=state["start_up_s"],
        first_step_s=state["first_step_s"],
        step_s=state["step_s"],
        timed_tokens=state["timed_tokens"],
        hardware=Hardware(**state["hardware"]),
    )


def _train(
    stage: Stage, job: Job, name: str, *, done_steps: int, on_point: Callable[[CurvePoint], None]
) -> None:
    group = joined_group()
    check_start(stage, job, group)
    if done_steps:
        stage.log.info("going on after step %s of %s", done_steps, job.recipe.num_steps)
    batch_tokens = job.recipe.batch_tokens
    total, done = job.until_step * batch_tokens, done_steps * batch_tokens
    with stage.progress(name, total=total, unit="tokens", done=done) as progress:

        def on_progress(tokens: int, note: str) -> None:
            progress.update(tokens - progress.done, note)

        def on_spike(spike: Spike) -> None:
            stage.log.warning(
                "the loss leapt at step %s to %.3f from about %.3f", spike.step, *spike[1:]
            )

        listeners = Listeners(on_point, on_progress, on_spike)
        if group:
            group.hand_out(job)
            fit(job, 0, listeners)
        elif job.num_ranks == 1:
            fit(job, 0, listeners)
        else:
            run_ranks(fit, job, listeners)


def fit(job: Job, rank: int, listeners: Listeners) -> None:
    """Train on one device, in this process: `training.fit`, which brings Lightning.

    Imported at the last moment: a training that the search has brought to its end needs none of it.
    """
    import pipeline.shared.training.lean_lightning  # noqa: F401 - before all else that imports it
    from pipeline.shared.training.fit import fit as fit_by_lightning

    fit_by_lightning(job, rank, listeners)
