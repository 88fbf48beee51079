"""What `pipeline.params_file` reads: typed, frozen, a class per stage, each field with its unit."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
Precision = Literal["float32", "bfloat16"]  # of matrix products; weights stay float32
PositiveFloat = Annotated[float, Field(gt=0.0)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class ComputeParams(_Section):
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
    devices: PositiveCount
    """GPUs of one training (1 for the CPU)."""
    nodes: PositiveCount
    strategy: Literal["auto", "ddp", "fsdp"]
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


class SampleWebParams(_Section):
    """The built-in web, made from the documentation of installed packages."""

    enabled: bool
    max_pages: Count
    max_text_bytes: Count
    """Upper bound of the documentation text rendered into pages, in UTF-8 bytes."""
    held_out_fraction: Fraction
    """Part of the documentation kept off the web, from which the evaluation files are made."""
    planted_fraction: Fraction
    """Part of the held-out passages that is planted in pages all the same, for dedup to find."""


class EvalSetsParams(_Section):
    """The evaluation sets: what is asked, before any model."""

    source: Literal["sample_web", "folder", "published"]
    """From the built-in web, the folder `location` of downloaded files, or the publishers' URLs."""
    location: str | None
    max_examples: PositiveCount | None
    """Most examples of a set of questions, a sample by hash of the id; null takes all."""
    max_text_bytes: PositiveCount | None
    """Most bytes of a set of running text, whole examples from its start; null takes all."""
    max_train_text_bytes: PositiveCount | None
    """Most bytes taken of a set's own training text (Table 6); null takes all."""


class CrawlParams(_Section):
    """From Reddit links to documents; `source: corpus` reads ready documents instead."""

    source: Literal["sample_web", "reddit", "corpus"]
    location: str | list[str] | None
    """Folders, files or URLs of submission dumps (`reddit`); a folder of documents (`corpus`)."""
    previous: list[str]
    """Crawl folders of earlier studies, whose URLs are not fetched again."""
    min_score: int
    """Least karma of a submission whose link is followed (the paper: 3)."""
    cut_off: Annotated[dt.date, Field(strict=False)]
    """Links made on this day or later are left out; quoted in YAML, since DVC knows no dates."""
    since: Annotated[dt.date, Field(strict=False)] | None
    """Links made before this day are left out, as in a monthly re-crawl; null takes all."""
    blocked_subreddits: list[str]
    user_agent: str
    """Names the crawler and a contact; required before any request leaves loopback."""
    max_connections: PositiveCount
    """Hosts that one crawler talks to at once, each over one connection."""
    per_host_delay_s: Seconds
    """Pause between two requests to one host; its Crawl-delay may lengthen it."""
    total_timeout_s: Seconds
    """Deadline of one fetch from connect to last byte, which a slow drip cannot outlast."""
    max_attempts: PositiveCount
    max_body_bytes: PositiveCount
    """Cap on one decompressed body."""
    max_redirects: Count
    max_server_wait_s: Seconds
    """Longest pause that a server can ask for, by Crawl-delay or Retry-After."""
    min_document_words: Count
    """Documents with fewer words are rejected as too short."""
    second_extractor: Literal["trafilatura", "none"]
    """Asked for the main text of pages in which the first one, resiliparse, finds hardly any."""
    rules_off: list[str]
    """Cleaning rules not to apply, by name (docs/method.md lists them)."""


class DedupParams(_Section):
    """Exact and near duplicates, Wikipedia, language, and matches with the evaluation sets."""

    num_permutations: PositiveCount
    similarity_threshold: Fraction
    """Jaccard similarity of word shingles from which two documents are near-duplicates."""
    shingle_words: PositiveCount
    eval_ngram_words: PositiveCount
    """Length of the n-grams shared with an evaluation text (8: the paper's; 13: GPT-3's)."""
    wikipedia_location: str | None
    """Folder of Wikipedia's text as documents (what `crawl.source: corpus` makes of it): near-
    duplicates of one of them go. null: Wikipedia is known by host and by marks of mirrors alone."""
    eval_mode: Literal["remove", "cut", "report"]
    """What becomes of a document that matches: `report` removes nothing and only tells."""
    eval_cut_margin_words: Count
    """Words that go with a passage on either side."""
    eval_cut_min_words: PositiveCount
    """A document with fewer words left after the cut goes as a whole."""
    eval_min_matches: PositiveCount
    """Distinct n-grams shared with one evaluation example that condemn a document, or all that the
    example has. Six 8-grams in a row are 13 words, GPT-3's measure."""
    eval_max_occurrences: PositiveCount
    """An n-gram in more documents than this is commonplace and condemns none by itself."""


class TokenizeParams(_Section):
    """The tokenizer and the train / valid / test split by hash of the document id."""

    source: Literal["trained", "gpt2"]
    gpt2_bpe_folder: str | None
    """Folder with vocab.bpe and encoder.json; null takes tiktoken's download and cache."""
    vocab_size: Annotated[int, Field(ge=257, le=65_536)]
    """Including <|endoftext|>; at most what uint16 shards can hold."""
    train_bytes: Count
    """About how many UTF-8 bytes of the train split `source: trained` reads, drawn by hash."""
    encoder: Literal["tiktoken", "gigatoken"]
    """What makes the ids; gigatoken's, of an extra (`.[fast]`), are checked against tiktoken's."""
    valid_fraction: Fraction
    """Held out for tuning the learning rate (the paper: 5 %)."""
    test_fraction: Fraction

    @model_validator(mode="after")
    def _choices_agree(self) -> TokenizeParams:
        if self.source == "gpt2" and self.vocab_size != 50_257:
            raise ValueError(f"vocab_size = {self.vocab_size} is not source = gpt2's; set 50257")
        if self.valid_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"valid_fraction = {self.valid_fraction} and test_fraction = "
                f"{self.test_fraction} leave nothing to train on; lower them"
            )
        return self


class TuneParams(_Section):
    """The sweep that picks a size's learning rate by held-out loss."""

    learning_rates: Annotated[list[PositiveFloat], Field(min_length=1)]
    tokens: PositiveCount
    """Training tokens of one trial."""
    valid_tokens: PositiveCount
    """Held-out tokens on which a trial is judged."""
    max_extensions: Count
    """Most rates added beyond an end of the grid, by its own ratio, while the best one is there."""

    @model_validator(mode="after")
    def _rates_rise(self) -> TuneParams:
        if self.learning_rates != sorted(set(self.learning_rates)):
            raise ValueError(f"learning_rates = {self.learning_rates} must rise; sort them")
        return self


class TrainParams(_Section):
    """One training; budgets in tokens, the same for every size."""

    tokens: PositiveCount
    batch_tokens: PositiveCount
    """Tokens of one optimiser step over all devices (the paper: 512 x 1024 = 524,288)."""
    micro_batch_sequences: PositiveCount
    """Sequences in memory at once on one device; gradients accumulate up to the batch."""
    warmup_tokens: Count
    min_learning_rate_fraction: Fraction
    """Learning rate at the end of the cosine, as a part of its peak."""
    weight_decay: Annotated[float, Field(ge=0.0)]
    """AdamW's decay of matrices; biases and LayerNorms are never decayed."""
    adam_betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    gradient_clip_norm: PositiveFloat
    precision: Precision
    dropout: Fraction
    residual_init: Literal["layers", "twice_layers", "none"]
    """N in the 1/sqrt(N) scaling of residual projections: n_layer, 2 n_layer, or no scaling."""
    compile: bool
    checkpoint_every_s: PositiveFloat
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


class ModelParams(_Section):
    """The shape of one size, in the names of GPT-2's own checkpoints."""

    label: str
    """The size as the study's figures call it (the paper's own labels are not exact counts)."""
    n_layer: PositiveCount
    n_head: PositiveCount
    n_embd: PositiveCount
    context: PositiveCount
    """Positions the model can attend to, in tokens (the paper: 1024)."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelParams:
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd = {self.n_embd} is no multiple of n_head = {self.n_head}; change either"
            )
        return self


class EvaluateParams(_Section):
    """Zero-shot evaluation: named choices where the paper is silent."""

    precision: Precision
    batch_tokens: PositiveCount
    """Tokens of one forward pass; no result depends on it."""
    strides: Annotated[list[PositiveCount], Field(min_length=1)]
    """Strides of the sliding window, in tokens; the first is the reported one."""
    train_documents: PositiveCount
    test_documents: PositiveCount
    """Documents of the train and test splits behind Figure 4."""
    figure4_stride: PositiveCount
    bootstrap_samples: PositiveCount
    few_shot_pairs: Count
    """Example pairs before a translation or a Natural Questions question."""
    summary_tokens: PositiveCount
    answer_tokens: PositiveCount
    translation_tokens: PositiveCount
    max_generated_examples: PositiveCount | None
    """Most examples of a set that asks for generated text, a sample by hash; null takes all."""
    figure5_documents: PositiveCount
    """Test documents whose beginnings are continued, for the overlap of samples."""
    figure5_context_tokens: PositiveCount
    figure5_sample_tokens: PositiveCount
    figure5_top_k: PositiveCount
    """Samples are drawn from this many most probable tokens (the paper: 40)."""


class OverlapParams(_Section):
    """The memorisation analysis of section 4; Figure 5's samples are made by evaluate."""

    ngram_words: PositiveCount
    bloom_bound: PositiveFloat
    """Bound on the Bloom filter's false-positive rate (the paper: 1e-8)."""


class ReportParams(_Section):
    """The report page."""

    title: str


SIZES = ("small", "medium", "large", "xl")


class ModelsParams(_Section):
    """The four rungs of Figure 4."""

    small: ModelParams
    medium: ModelParams
    large: ModelParams
    xl: ModelParams

    def of(self, size: str) -> ModelParams:
        """The shape of `size`, one of `SIZES`."""
        model: ModelParams = getattr(self, size)
        return model


class ProfileParams(_Section):
    """One study: every section of a profile."""

    seed: int
    compute: ComputeParams
    sample_web: SampleWebParams
    eval_sets: EvalSetsParams
    crawl: CrawlParams
    dedup: DedupParams
    tokenize: TokenizeParams
    tune: TuneParams
    train: TrainParams
    models: ModelsParams
    evaluate: EvaluateParams
    overlap: OverlapParams
    report: ReportParams

    @model_validator(mode="after")
    def _stages_agree(self) -> ProfileParams:
        if self.crawl.source == "sample_web" and not self.sample_web.enabled:
            raise ValueError(
                "crawl.source = sample_web needs sample_web.enabled = true; change either"
            )
        shortest = min(self.models.of(size).context for size in SIZES)
        if max(self.evaluate.strides) > shortest:
            raise ValueError(
                f"evaluate.strides = {self.evaluate.strides} exceeds the context of {shortest} "
                "tokens; lower the largest stride"
            )
        self._generation_fits(shortest)
        return self

    def _generation_fits(self, context: int) -> None:
        asked = self.evaluate
        lengths = {
            "figure4_stride": asked.figure4_stride - 1,
            "summary_tokens": asked.summary_tokens,
            "answer_tokens": asked.answer_tokens,
            "translation_tokens": asked.translation_tokens,
            "figure5_context_tokens + figure5_sample_tokens": asked.figure5_context_tokens
            + asked.figure5_sample_tokens
            - 1,
        }
        for name, length in lengths.items():
            if length >= context:
                raise ValueError(
                    f"evaluate.{name} does not fit the smallest context, {context} tokens; lower it"
                )
