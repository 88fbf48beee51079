"""A whole study in a checkout of its own, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_study import Checkout, small_checkout


@pytest.fixture(scope="session")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose tiny study takes a minute or two; nothing has run yet."""
    return small_checkout(project, tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def study(checkout: Checkout) -> Checkout:
    """The checkout after one `dvc repro`."""
    checkout.first_run = checkout.repro()
    return checkout
