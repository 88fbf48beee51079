"""What a comparison found, before it is drawn, printed or written."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from pipeline.compare.budget_law import BudgetLaw
from pipeline.compare.studies import Group
from pipeline.compare.tables import Figure4


class Compared(NamedTuple):
    """All that a comparison found."""

    groups: list[Group]
    figure4: Figure4
    tables: dict[str, pd.DataFrame]
    """compare, ratios and slopes."""
    budgets: dict[str, BudgetLaw | str]
    """L(N, D) by the way to count parameters, or why it cannot be told."""
