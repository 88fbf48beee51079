"""Parameters of the stages that make text: a class per stage, each field with its unit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.shared.params.types import (
    Count,
    Fraction,
    Integer,
    Place,
    PositiveCount,
    Section,
)


class SampleWebParams(Section):
    """The built-in web, made from the documentation of installed packages."""

    enabled: bool
    """False where the links or the corpus come from elsewhere."""
    max_pages: Count
    """Upper bound of the pages made."""
    max_text_bytes: Count
    """Upper bound of the documentation text rendered into pages, in UTF-8 bytes."""
    held_out_fraction: Fraction
    """Part of the documentation kept off the web, from which the evaluation files are made."""
    planted_fraction: Fraction
    """Part of the held-out passages that is planted in pages all the same, for dedup to find."""


class EvalSetsParams(Section):
    """The evaluation sets: what is asked, before any model."""

    source: Literal["sample_web", "folder", "published"]
    """From the built-in web, the folder `location` of downloaded files, or the publishers' URLs."""
    location: Place | None
    """Folder of the published files, for `folder`."""
    max_examples: PositiveCount | None
    """Most examples of a set of questions, a sample by hash of the id; null takes all."""
    max_text_bytes: PositiveCount | None
    """Most bytes of a set of running text, whole examples from its start; null takes all."""
    max_train_text_bytes: PositiveCount | None
    """Most bytes taken of a set's own training text (Table 6); null takes all."""


class DedupParams(Section):
    """Exact and near duplicates, Wikipedia, language, and matches with the evaluation sets."""

    num_permutations: PositiveCount
    """Of MinHash: more find near-duplicates more surely, in more time."""
    similarity_threshold: Fraction
    """Jaccard similarity of word shingles from which two documents are near-duplicates."""
    shingle_words: PositiveCount
    """Length of the word shingles whose sets are compared."""
    eval_ngram_words: PositiveCount
    """Length of the n-grams shared with an evaluation text (8: the paper's; 13: GPT-3's)."""
    wikipedia_location: Place | None
    """Folder of Wikipedia's text as documents (what `extract.source: corpus` makes of it): near-
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


class TokenizeParams(Section):
    """The tokenizer and the train / valid / test split by hash of the document id."""

    source: Literal["trained", "gpt2"]
    """A byte-level BPE trained on the train split, or GPT-2's own."""
    gpt2_bpe_folder: Place | None
    """Folder with vocab.bpe and encoder.json; null takes tiktoken's download and cache."""
    vocab_size: Annotated[Integer, Field(ge=257, le=65_536)]
    """Including <|endoftext|>; at most what uint16 shards can hold."""
    train_bytes: Count
    """About how many UTF-8 bytes of the train split `source: trained` reads, drawn by hash."""
    encoder: Literal["tiktoken", "gigatoken"]
    """What makes the ids; gigatoken's, of an extra (`.[fast]`), are checked against tiktoken's."""
    valid_fraction: Fraction
    """Held out for tuning the learning rate (the paper: 5 %)."""
    test_fraction: Fraction
    """Held out for Figure 4, and read by nothing else."""

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
