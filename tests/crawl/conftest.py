"""Fixtures of the tests of the crawl."""

from __future__ import annotations

from pathlib import Path

import pytest
from counted_crawl import Crawl
from hostile_server import HostileServer


@pytest.fixture
def crawl(project: Path, tmp_path: Path, server: HostileServer) -> Crawl:
    """A study's crawl of the server's pages."""
    return Crawl(project, tmp_path / "crawl", server)
