"""Why a document is left out: the taxonomy of this stage, in the order in which it is asked."""

NON_ENGLISH = "non_english"
WIKIPEDIA = "wikipedia"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
EVAL_OVERLAP = "eval_overlap"

REASONS = (NON_ENGLISH, WIKIPEDIA, EXACT_DUPLICATE, NEAR_DUPLICATE, EVAL_OVERLAP)
