"""Why a document is left out: the taxonomy of this stage, in the order in which it is asked.

Between the stage's steps a reason is its place in `REASONS`, one byte a document.
"""

STAYS = ""
NON_ENGLISH = "non_english"
WIKIPEDIA = "wikipedia"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
EVAL_OVERLAP = "eval_overlap"

REASONS = (STAYS, NON_ENGLISH, WIKIPEDIA, EXACT_DUPLICATE, NEAR_DUPLICATE, EVAL_OVERLAP)


def code(reason: str) -> int:
    """The place of a reason in `REASONS`; 0 for a document that stays."""
    return REASONS.index(reason)
