"""What each stage will take: seconds on this machine, memory and what it leaves on disk.

Rates are those of two cores of an AMD EPYC, measured on studies of the profiles `tiny` and
`laptop`; `benchmarks/plan.py` holds them against a study. More workers divide the seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from pipeline.plan.corpus import Corpus
from pipeline.plan.rungs import Rung
from pipeline.plan.speed import Speeds, slots
from pipeline.shared.params.profile import ProfileParams

MIB = 2**20
_REFERENCE_WORKERS = 2
_START_S = {"data": 1.0, "sized": 4.5}  # of a stage's process and of DVC beside it
_TRIAL_START_S = 1.5  # of each training within a search
_FORWARD = 3.5  # scored tokens in the time of one that is trained: a third of its work, in one go
_RUNNING_TEXTS = ("wikitext2", "wikitext103", "ptb", "enwik8", "text8", "one_billion_word")
_CLOZE_BYTES = 2600  # of an example of CBT, its ten candidates scored
_CONTEXT_BYTES = 400  # of an example of LAMBADA
_NGRAM_TEXT_BYTES = 5.73  # of English a distinct n-gram
_GENERATED_S = 1.2e-4  # a token and layer of four, in batches, beside the model's own work


class StageCost(NamedTuple):
    """What one stage, or one size of it, takes."""

    name: str
    size: str
    seconds: float | None
    """Of its work; None where the speed of its device is not known."""
    start_s: float
    """Before its work begins."""
    memory_mib: float
    """Of its largest process."""
    disk_bytes: float
    """Of what it leaves in data/<profile>/ and, of a crawl, in the archive."""

    @property
    def wall_s(self) -> float:
        """From DVC's start of it to its end."""
        return self.start_s + (self.seconds or 0.0)


def plan_stages(
    params: ProfileParams, rungs: Sequence[Rung], corpus: Corpus, speeds: Speeds | None
) -> list[StageCost]:
    """Every stage in the order of the chain; without speeds the sized ones have no seconds."""
    return [
        *_data_stages(params, corpus),
        *(cost for rung in rungs for cost in _of_rung(params, rung, corpus, speeds)),
        *_last_stages(params, corpus, len(rungs)),
    ]


def wall_seconds(params: ProfileParams, costs: Sequence[StageCost]) -> float | None:
    """From start to end with the sizes side by side; None where it is open.

    As flows/chain begins them: of the stages that can begin first the one that stands first in the
    chain, and of one stage the largest size.
    """
    if any(cost.seconds is None for cost in costs):
        return None
    by_stage = [list(group) for _, group in groupby(_sized_by_stage(costs), lambda c: c.name)]
    waiting = [cost for stage in by_stage for cost in reversed(stage)]
    slot_ends = [0.0] * slots(params)
    size_ends = dict.fromkeys(params.sizes, 0.0)
    while waiting:
        slot = slot_ends.index(min(slot_ends))
        # The next of each size; of equal beginnings `min` takes the first.
        following = {cost.size: cost for cost in reversed(waiting)}.values()
        could = [cost for cost in waiting if cost in following]
        cost = min(could, key=lambda c: max(slot_ends[slot], size_ends[c.size]))
        begin_s = max(slot_ends[slot], size_ends[cost.size])
        slot_ends[slot] = size_ends[cost.size] = begin_s + cost.wall_s
        waiting.remove(cost)
    return max(slot_ends) + sum(cost.wall_s for cost in costs if not cost.size)


def _sized_by_stage(costs: Sequence[StageCost]) -> list[StageCost]:
    """Those of the sizes, stage after stage, each in the order of the sizes."""
    sized = [cost for cost in costs if cost.size]
    order = list(dict.fromkeys(cost.name for cost in sized))
    return sorted(sized, key=lambda cost: order.index(cost.name))


def _data_stages(params: ProfileParams, corpus: Corpus) -> Iterator[StageCost]:
    def cost(name: str, seconds: float, memory_mib: float, disk_bytes: float) -> StageCost:
        share = _REFERENCE_WORKERS / params.compute.workers
        return StageCost(name, "", seconds * share, _START_S["data"], memory_mib, disk_bytes)

    text_mb, kept_mb = corpus.text_bytes / 1e6, corpus.kept_bytes / 1e6
    source_mb = params.sample_web.max_text_bytes / 1e6
    if params.sample_web.enabled:
        yield cost("sample_web", 2.1 * source_mb, 375, 0.57e6 * source_mb)
    if params.links.source != "none":
        yield cost("links", 1.2e-4 * corpus.pages, 135, 59 * corpus.pages)
        crawl_s = crawl_seconds(params, corpus.pages)
        disk = 1.02 * corpus.page_bytes
        yield StageCost("crawl", "", crawl_s, _START_S["data"], 245, disk)
    read_s = 0.32 if corpus.pages else 0.05
    yield cost("extract", read_s * text_mb, 170 if corpus.pages else 480, 0.42 * corpus.text_bytes)
    yield cost("eval_sets", *_eval_sets(params))
    dedup_mib = 250 + min(0.85 * text_mb, 2000)
    yield cost("dedup", 1.0 + 0.2 * text_mb, dedup_mib, 0.425 * corpus.text_bytes)
    train_mb = min(params.tokenize.train_bytes / 1e6, kept_mb)
    bpe = params.tokenize.source == "trained"
    seconds = 1.0 + 0.16 * kept_mb + (0.15 * train_mb if bpe else 0)
    yield cost("tokenize", seconds, 250 + (12 * train_mb if bpe else 150), 2.02 * corpus.tokens)


def crawl_seconds(params: ProfileParams, pages: int) -> float:
    """Of the built-in web by its measured rate, of the web by the connections at once."""
    if params.links.source == "sample_web":
        return pages / 365
    hosts = params.fetching.max_connections * params.compute.crawlers
    return pages * (params.fetching.per_host_delay_s + 1.0) / hosts


def _eval_sets(params: ProfileParams) -> tuple[float, float, float]:
    """Seconds, memory and bytes: running text as it is, its own train text compressed."""
    asked = params.eval_sets
    examples, text = asked.max_examples or 10_000, asked.max_text_bytes or 10_000_000
    train = asked.max_train_text_bytes or (0 if asked.source == "sample_web" else 5e8)
    size = len(_RUNNING_TEXTS) * 0.45 * text + examples * 5_000 + 0.12 * train
    return 1.0 + size / 5e6, 150 + min(size / 1e5, 500), size


def _of_rung(
    params: ProfileParams, rung: Rung, corpus: Corpus, speeds: Speeds | None
) -> Iterator[StageCost]:
    rate = speeds[rung.size] if speeds else None
    state_bytes = 4 * rung.parameters
    memory = _memory_mib(params, rung)

    def cost(name: str, seconds: float | None, memory_mib: float, disk: float) -> StageCost:
        return StageCost(name, rung.size, seconds, _START_S["sized"], memory_mib, disk)

    if rate is None:
        tuning = training = evaluating = None
    else:
        trained = rung.search_tokens + rung.held_out_tokens / _FORWARD
        tuning = trained / rate + _TRIAL_START_S * (rung.trials + 1)
        training = 5.0
        scored = _scored_tokens(params, corpus) / (_FORWARD * rate)
        evaluating = 5.0 + scored + _generation_s(params, rung)
    yield cost("tune", tuning, memory, 3 * state_bytes + 30_000)
    yield cost("train", training, memory, state_bytes + 30_000)
    yield cost("evaluate", evaluating, memory, 250_000)


def _memory_mib(params: ProfileParams, rung: Rung) -> float:
    """Of a training's process: Python and torch, then weights, state and activations."""
    config = rung.config
    if params.compute.accelerator == "gpu":  # CUDA's libraries, and a checkpoint on its way to disk
        return 2500 + 12 * rung.parameters / MIB
    positions = params.train.micro_batch_sequences * config.n_positions
    activations = 34 * config.n_layer * config.n_embd * positions
    scores = 12 * config.vocab_size * min(positions, 1024)
    return 545 + (scores + 4.2 * (16 * rung.parameters + activations)) / MIB


def _scored_tokens(params: ProfileParams, corpus: Corpus) -> float:
    """Tokens that evaluate reads for one size, windows that overlap once each."""
    asked, sets = params.evaluate, params.eval_sets
    per_token = corpus.bytes_per_token
    context = min(model.context for model in params.models.values())
    documents = asked.train_documents + asked.test_documents
    own = documents * corpus.kept_bytes / max(corpus.documents, 1) / per_token
    windows = sum(context / stride for stride in asked.strides)
    running = len(_RUNNING_TEXTS) * (sets.max_text_bytes or 1_000_000) / per_token * windows
    examples = sets.max_examples or 2000
    cloze = 2 * examples * _CLOZE_BYTES / per_token
    generated = asked.max_generated_examples or 11_490
    return own + running + cloze + examples * _CONTEXT_BYTES / per_token + 2 * generated * context


def _generation_s(params: ProfileParams, rung: Rung) -> float:
    asked = params.evaluate
    examples = asked.max_generated_examples or 11_490
    tokens = 2 * examples * asked.summary_tokens
    tokens += asked.figure5_documents * asked.figure5_sample_tokens
    return tokens * _GENERATED_S * rung.config.n_layer / 4


def _last_stages(params: ProfileParams, corpus: Corpus, num_sizes: int) -> Iterator[StageCost]:
    text = min(params.train.tokens * corpus.bytes_per_token, corpus.kept_bytes)
    index = 12 * text / _NGRAM_TEXT_BYTES if params.overlap.index else 0
    seconds = (2.7 + 0.9e-6 * text) * _REFERENCE_WORKERS / params.compute.workers
    memory = 230 + min(text / 2.5e4, 2000)
    yield StageCost("overlap", "", seconds, _START_S["data"], memory, 1.02 * index + 1e5)
    yield StageCost("report", "", 8.0, _START_S["data"], 370, 2.5e6 + 0.1e6 * num_sizes)
