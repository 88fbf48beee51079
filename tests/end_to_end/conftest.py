"""A whole study in a checkout of its own, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_study import Checkout, small_checkout

ODD_NAME = 'Mein Büro, 100% #1 & what\'s "that"? $(x)'
"""Where people keep a checkout: every tool of the chain gets a path that must be quoted."""


@pytest.fixture(scope="session")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose tiny study takes a minute or two; nothing has run yet."""
    folder = tmp_path_factory.mktemp("checkout") / ODD_NAME
    folder.mkdir()
    return small_checkout(project, folder)


@pytest.fixture(scope="session")
def study(checkout: Checkout) -> Checkout:
    """The checkout after one `dvc repro`."""
    checkout.first_run = checkout.repro()
    return checkout
