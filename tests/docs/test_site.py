"""The documentation as a site: whole, without another server, every parameter in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.shared.params.profile import ProfileParams

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a link that leads nowhere ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def test_the_readme_is_the_first_page_and_its_figures_are_there(site: Path) -> None:
    first = (site / "index.html").read_text()
    figures = re.findall(r'<img[^>]* src="([^"]+)"', first)
    assert figures
    assert all((site / figure).is_file() for figure in figures)


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe)[^>]* src="(https?:)?//|<link[^>]* href="https?://')
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert not [page.name for page in pages if loads.search(page.read_text())]


def test_what_the_pages_link_to_in_the_repository_joins_the_site(site: Path) -> None:
    assert (site / "results" / "2026-11-26-h200" / "index.html").is_file()
    assert (site / "benchmarks" / "index.html").is_file()


def test_every_parameter_has_its_meaning_on_the_page(site: Path) -> None:
    page = (site / "parameters.html").read_text()
    for name, section in sections(ProfileParams):
        for key, field in section.model_fields.items():
            assert f"<code>{name}.{key}</code>" in page
            is_section = isinstance(field.annotation, type) and issubclass(
                field.annotation, BaseModel
            )
            assert field.description or is_section, f"{name}.{key} has no meaning in its type"


def sections(profile: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Name and type of each section but the sizes', which are named by the user."""
    for name, field in profile.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def test_what_differs_between_profiles_is_told_for_each(site: Path) -> None:
    page = (site / "parameters.html").read_text()
    assert re.search(r"train\.tokens</code>.*?tiny <code>350000</code>", page, re.DOTALL)
    assert re.search(
        r"links\.min_score</code></td>[^/]*</td>.*?<td><code>3</code></td>", page, re.DOTALL
    )
