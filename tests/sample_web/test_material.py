"""Stories, lists and templates: read as they are meant, and carried by an installed package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pipeline.sample_web.material import FOLDER, read_data, read_stories, render
from pipeline.sample_web.oddities import make_oddities

URLS = [f"http://www.ordinary.test/{number}" for number in range(6)]


def test_a_story_is_a_title_and_paragraphs_without_marks_or_line_ends() -> None:
    languages = read_data("plan")["stories"]["languages"]
    assert {f"stories.{name}.txt" for name in languages} == {
        path.name for path in FOLDER.glob("stories.*")
    }
    stories = {name: read_stories(name) for name in languages}
    for told in stories.values():
        for title, *paragraphs in told:
            assert 0 < len(title) < 60 and len(paragraphs) == 2
            assert all(text.endswith(".") and "#" not in text for text in paragraphs)
            assert not any("\n" in text or "  " in text for text in [title, *paragraphs])
    assert stories["fr"][1][0] == "Apprendre à faire du vélo"


@pytest.mark.parametrize("name", ["words", "sources"])
def test_a_list_names_nothing_twice(name: str) -> None:
    for words in read_data(name).values():
        assert len(set(words)) == len(words) > 1


def test_a_template_escapes_what_it_is_given() -> None:
    page = render("news.html", title="a < b", body="<i>", neighbours=[])
    assert '<h1 class="headline">a &lt; b</h1>' in page
    assert "<i>" not in page


def test_a_chain_of_redirects_ends_where_the_truth_says() -> None:
    found = {f"http://{odd.row.host}{odd.row.path}": odd for odd in make_oddities([], URLS, "text")}
    for odd in found.values():
        if odd.truth and odd.truth.kind in {"redirect", "redirect_long"}:
            row = odd.row
            while True:
                to = row.location
                to = f"http://{row.host}{to}" if to.startswith("/") else to
                if to not in found:
                    break
                row = found[to].row
            assert to == odd.truth.of and to in URLS


def test_a_wheel_carries_every_data_file(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]
    assert any(FOLDER.iterdir())
    for init in [
        path for top in ("flows", "pipeline", "models") for path in _packages(project / top)
    ]:
        package = init.parent
        name = ".".join(package.relative_to(project).parts)
        carried = {
            path
            for pattern in [*patterns["*"], *patterns.get(name, [])]
            for path in package.glob(pattern)
        }
        own = {path for path in package.rglob("*") if path.is_file() and _owner(path) == package}
        assert {path for path in own if path.suffix not in {".py", ".pyc"}} <= carried


def _packages(top: Path) -> list[Path]:
    return sorted(top.rglob("__init__.py"))


def _owner(path: Path) -> Path:
    """The innermost package around a file."""
    return next(folder for folder in path.parents if (folder / "__init__.py").is_file())
