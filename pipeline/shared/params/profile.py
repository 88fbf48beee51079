"""What params.yaml holds of a study: typed, frozen, a class per stage, each field with its unit."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.shared.params.text import (
    DedupParams,
    EvalSetsParams,
    SampleWebParams,
    TokenizeParams,
)
from pipeline.shared.params.types import (
    Count,
    Fraction,
    Integer,
    PositiveCount,
    PositiveFloat,
    PositiveFraction,
    Precision,
    Section,
)
from pipeline.shared.params.web import CrawlParams, ExtractParams, FetchingParams, LinksParams


class ComputeParams(Section):
    """Where the study runs. Never part of what a stage's result depends on."""

    workers: PositiveCount
    """Processes of a data stage."""
    threads: PositiveCount
    """Of one training or evaluation on the CPU; as many run side by side as `workers` allows."""
    crawlers: PositiveCount
    """Crawlers at once, which split the hosts; processes here, or a task each on a cluster."""
    data_workers: Count
    """Processes of each training's device that read batches ahead; 0 reads them in between."""
    accelerator: Literal["cpu", "gpu"]
    """What trainings and evaluations run on."""
    devices: PositiveCount
    """GPUs of one training (1 for the CPU)."""
    nodes: PositiveCount
    """Machines of one training (docs/clusters.md)."""
    strategy: Literal["auto", "ddp", "fsdp"]
    """How several devices share one training; `auto` is DDP, `fsdp` shards the parameters too."""
    checkpoint_every_s: PositiveFloat
    """Seconds of training between two checkpoints: what a kill costs at most."""
    executor: Literal["processes", "dask"]
    """What maps a data stage over its shards: `workers` processes here, or a cluster's workers."""
    scheduler: str | None
    """Address of the cluster's Dask scheduler, for `executor: dask`."""

    @model_validator(mode="after")
    def _cluster_has_an_address(self) -> ComputeParams:
        if self.executor == "dask" and self.scheduler is None:
            raise ValueError(
                "scheduler = null with executor = dask; give the address that `dask scheduler` "
                "prints, e.g. tcp://10.0.0.1:8786"
            )
        return self


class SeedsParams(Section):
    """One seed for each source of chance, so that studies can differ in a single one."""

    corpus: Integer
    """The built-in web, the permutations of MinHash, the examples drawn from a large set."""
    split: Integer
    """Which documents are train, valid and test, and in which order the budget takes them."""
    order: Integer
    """Which tokens each training step reads, and what dropout drops."""
    initialisation: Integer
    """The weights before the first step."""
    sampling: Integer
    """Documents and examples that are scored, sampled text, and the bootstrap's draws."""


class TuneParams(Section):
    """The search for a size's learning rate, by trainings that are stopped early but for one.

    A trial is the training itself at one rate: same budget, same schedule, same held-out tokens.
    """

    learning_rates: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Peaks of the schedule that are tried, rising."""
    compare_at: Annotated[list[PositiveFraction], Field(min_length=1)]
    """Parts of the training after which the trials are compared; the nearest points of the loss
    curve are taken. 1 trains those that are left to the end and chooses by the end."""
    keep: list[PositiveCount]
    """How many trials go on from each comparison to the next, the best one and those of the next
    higher rates, which fall most afterwards; the best of the last comparison wins."""
    max_extensions: Count
    """Most rates added beyond an end of the grid, by its own ratio, while the best one is there."""

    @model_validator(mode="after")
    def _search_narrows(self) -> TuneParams:
        for name in ("learning_rates", "compare_at"):
            if (values := getattr(self, name)) != sorted(set(values)):
                raise ValueError(f"{name} = {values} must rise; sort them")
        if len(self.keep) != len(self.compare_at) - 1:
            raise ValueError(
                f"keep = {self.keep} says how many trials go on from each of compare_at = "
                f"{self.compare_at} to the next; give {len(self.compare_at) - 1} numbers"
            )
        if self.keep != sorted(self.keep, reverse=True):
            raise ValueError(f"keep = {self.keep} must fall; sort it")
        return self


class TrainParams(Section):
    """One training; budgets in tokens, the same for every size."""

    tokens: PositiveCount
    """Read by one training; the training text is as many documents as hold them."""
    batch_tokens: PositiveCount
    """Tokens of one optimiser step over all devices (the paper: 512 x 1024 = 524,288)."""
    micro_batch_sequences: PositiveCount
    """Sequences in memory at once on one device; gradients accumulate up to the batch."""
    warmup_tokens: Count
    """Over which the learning rate rises from zero."""
    min_learning_rate_fraction: Fraction
    """Learning rate at the end of the cosine, as a part of its peak."""
    weight_decay: Annotated[float, Field(ge=0.0)]
    """AdamW's decay of matrices; biases and LayerNorms are never decayed."""
    adam_betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    """Decay of AdamW's means of the gradient and of its square."""
    gradient_clip_norm: PositiveFloat
    """Largest norm of the gradient of all parameters together."""
    precision: Precision
    """Of the matrix products."""
    dropout: Fraction
    """Of embeddings, attention and residuals alike (0: none)."""
    residual_init: Literal["layers", "twice_layers", "none"]
    """N in the 1/sqrt(N) scaling of residual projections: n_layer, 2 n_layer, or no scaling."""
    compile: bool
    """By torch.compile: minutes at the start, for faster steps on a GPU."""
    eval_every_tokens: PositiveCount
    """Tokens between two points of the held-out loss curve."""
    valid_tokens: PositiveCount
    """Tokens of the valid split behind each point."""

    @model_validator(mode="after")
    def _budgets_fit(self) -> TrainParams:
        for name in ("warmup_tokens", "batch_tokens"):
            if (asked := getattr(self, name)) > self.tokens:
                raise ValueError(f"{name} = {asked} exceeds tokens = {self.tokens}; lower it")
        return self


class ModelParams(Section):
    """The shape of one size, in the names of GPT-2's own checkpoints."""

    label: str
    """The size as the study's figures call it (the paper's own labels are not exact counts)."""
    n_layer: PositiveCount
    """Blocks."""
    n_head: PositiveCount
    """Attention heads of a block."""
    n_embd: PositiveCount
    """Width of the residual stream."""
    context: PositiveCount
    """Positions the model can attend to, in tokens (the paper: 1024)."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelParams:
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd = {self.n_embd} is no multiple of n_head = {self.n_head}; change either"
            )
        return self


class EvaluateParams(Section):
    """Zero-shot evaluation: named choices where the paper is silent."""

    leave_out: list[str]
    """Sets that this study's models are too small for, by name: they are not asked, and the report
    says so, where a zero would tell nothing."""
    precision: Precision
    """Of the forward passes."""
    batch_tokens: PositiveCount
    """Tokens of one forward pass; no result depends on it."""
    strides: Annotated[list[PositiveCount], Field(min_length=1)]
    """Strides of the sliding window, in tokens; the first is the reported one."""
    train_documents: PositiveCount
    """Documents of the training text behind Figure 4."""
    test_documents: PositiveCount
    """Documents of the test split behind it."""
    figure4_stride: PositiveCount
    """Stride of Figure 4's window over a document, in tokens."""
    bootstrap_samples: PositiveCount
    """Draws behind each interval."""
    few_shot_pairs: Count
    """Example pairs before a translation or a Natural Questions question."""
    summary_tokens: PositiveCount
    """Most tokens of a generated summary (the paper: 100)."""
    answer_tokens: PositiveCount
    """Most tokens of a generated answer."""
    translation_tokens: PositiveCount
    """Most tokens of a generated translation."""
    max_generated_examples: PositiveCount | None
    """Most examples of a set that asks for generated text, a sample by hash; null takes all."""
    figure5_documents: PositiveCount
    """Test documents whose beginnings are continued, for the overlap of samples."""
    figure5_context_tokens: PositiveCount
    """Tokens of each beginning (the paper: 768)."""
    figure5_sample_tokens: PositiveCount
    """Tokens of what follows it (the paper: 256). A sample that does not fit the model's context
    with it is drawn in pieces of half a context."""
    figure5_top_k: PositiveCount
    """Samples are drawn from this many most probable tokens (the paper: 40)."""


class OverlapParams(Section):
    """The memorisation analysis of section 4; Figure 5's samples are made by evaluate."""

    ngram_words: PositiveCount
    """Words of the n-grams that are looked for in the training text (the paper: 8)."""
    bloom_bound: PositiveFloat
    """Bound on the Bloom filter's false-positive rate (the paper: 1e-8)."""
    index: bool
    """Keep the index of n-grams, for `python -m pipeline.overlap.find`: 12 bytes an n-gram."""


class ReportParams(Section):
    """The report page."""

    title: str
    """Heads the page."""


class ProfileParams(Section):
    """One study: every section of a profile."""

    seeds: SeedsParams
    compute: ComputeParams
    sample_web: SampleWebParams
    eval_sets: EvalSetsParams
    links: LinksParams
    crawl: CrawlParams
    fetching: FetchingParams
    extract: ExtractParams
    dedup: DedupParams
    tokenize: TokenizeParams
    tune: TuneParams
    train: TrainParams
    models: Mapping[str, ModelParams]
    """The rungs of Figure 4 by name, smallest first: those of `sizes` alone, in its order."""
    evaluate: EvaluateParams
    overlap: OverlapParams
    report: ReportParams

    @property
    def sizes(self) -> tuple[str, ...]:
        """The study's rungs by name, smallest first: what every loop over sizes goes by."""
        return tuple(self.models)

    @model_validator(mode="after")
    def _stages_agree(self) -> ProfileParams:
        self._corpus_has_one_source()
        self._sizes_rise()
        self._labels_differ()
        shortest = min(model.context for model in self.models.values())
        if max(self.evaluate.strides) > shortest:
            raise ValueError(
                f"evaluate.strides = {self.evaluate.strides} exceeds the context of {shortest} "
                "tokens; lower the largest stride"
            )
        if self.tune.compare_at[0] * self.train.tokens < self.train.batch_tokens:
            raise ValueError(
                f"tune.compare_at = {self.tune.compare_at} begins before the first step: "
                f"{self.tune.compare_at[0]:g} of train.tokens = {self.train.tokens} is less than "
                f"train.batch_tokens = {self.train.batch_tokens}; raise the first"
            )
        if self.tune.compare_at[0] * self.train.tokens <= self.train.warmup_tokens:
            raise ValueError(
                f"tune.compare_at = {self.tune.compare_at} begins within the first "
                f"train.warmup_tokens = {self.train.warmup_tokens} of {self.train.tokens} tokens, "
                "where no rate has been reached yet; raise the first or lower the warm-up"
            )
        self._generation_fits(shortest)
        return self

    def _corpus_has_one_source(self) -> None:
        if self.links.source == "sample_web" and not self.sample_web.enabled:
            raise ValueError(
                "links.source = sample_web needs sample_web.enabled = true; change either"
            )
        if (self.links.source == "none") != (self.extract.source == "corpus"):
            raise ValueError(
                f"links.source = {self.links.source} with extract.source = {self.extract.source}: "
                "a ready corpus has no links and a crawl needs some; set none with corpus, or "
                "change both"
            )

    def _sizes_rise(self) -> None:
        vocab = self.tokenize.vocab_size
        counts = {size: _num_parameters(model, vocab) for size, model in self.models.items()}
        for smaller, larger in pairwise(counts):
            if counts[smaller] > counts[larger]:
                raise ValueError(
                    f"sizes = {list(counts)} has {smaller} with {counts[smaller]:,} parameters "
                    f"before {larger} with {counts[larger]:,}; put the smallest first"
                )

    def _labels_differ(self) -> None:
        first: dict[str, str] = {}
        for size, model in self.models.items():
            if first.setdefault(model.label, size) != size:
                raise ValueError(
                    f"models.{first[model.label]} and models.{size} have the same label, "
                    f"{model.label!r}, so that no figure could tell them apart; change either"
                )

    def _generation_fits(self, context: int) -> None:
        asked = self.evaluate
        lengths = {
            "figure4_stride": asked.figure4_stride - 1,
            "summary_tokens": asked.summary_tokens,
            "answer_tokens": asked.answer_tokens,
            "translation_tokens": asked.translation_tokens,
            "figure5_context_tokens": asked.figure5_context_tokens,  # after <|endoftext|>
        }
        for name, length in lengths.items():
            if length >= context:
                raise ValueError(
                    f"evaluate.{name} does not fit the smallest context, {context} tokens; lower it"
                )


def _num_parameters(model: ModelParams, vocab_size: int) -> int:
    """The tied embedding once, 12 n^2 + 13 n a layer of width n, and the last norm."""
    width = model.n_embd
    embeddings = (vocab_size + model.context) * width
    return embeddings + model.n_layer * (12 * width**2 + 13 * width) + 2 * width
