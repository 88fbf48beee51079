"""What the documentation links to outside `docs/` joins the site: README, results, benchmarks.

The pages are written for a reader of the repository, where `docs/method.md` links to
`../README.md`. On the site the README is the first page and `docs/` the root, so links are mapped;
whatever file they name in the repository is brought along.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<after>(#[^)\s]*)?\))")
_FIRST_PAGE = "index.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README and all that is linked to from it, from the pages, and from what joins."""
    root = _root(config)
    waiting = ["README.md", *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen: set[str] = set(waiting)
    while waiting:
        path = waiting.pop()
        if files.get_file_from_path(to_site(path)) is None:
            files.append(File.generated(config, to_site(path), abs_src_path=os.fspath(root / path)))
        if path.endswith(".md") and (root / path).is_file():
            linked = set(linked_files(path, (root / path).read_text(), root)) - seen
            seen |= linked
            waiting += sorted(linked)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = from_site(page.file.src_uri)
    root = _root(config)

    def replace(match: re.Match[str]) -> str:
        path = resolve(here, match["target"], root)
        if path is None:
            return match[0]
        target = posixpath.relpath(to_site(path), posixpath.dirname(page.file.src_uri) or ".")
        return f"{match['before']}{target}{match['after']}"

    return _LINK.sub(replace, markdown)


def linked_files(path: str, markdown: str, root: Path) -> Iterable[str]:
    """The repository's files that a Markdown file links to."""
    for match in _LINK.finditer(markdown):
        found = resolve(path, match["target"], root)
        if found is not None:
            yield found


def resolve(path: str, target: str, root: Path) -> str | None:
    """The file of the repository that a link in `path` names, or None.

    A folder stands for its README. What names none, an address elsewhere or a page that the site
    itself makes, is left to mkdocs, which reports what it does not find.
    """
    if ":" in target:
        return None
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if (root / found).is_dir():
        found = f"{found}/README.md"
    return found if (root / found).is_file() else None


def to_site(path: str) -> str:
    """Where a file of the repository stands on the site.

    >>> [to_site(path) for path in ("README.md", "docs/method.md", "results/x/figure4.svg")]
    ['index.md', 'method.md', 'results/x/figure4.svg']
    """
    return _FIRST_PAGE if path == "README.md" else path.removeprefix("docs/")


def from_site(uri: str) -> str:
    """The file of the repository behind a page of the site.

    >>> [from_site(uri) for uri in ("index.md", "method.md", "results/x/README.md")]
    ['README.md', 'docs/method.md', 'results/x/README.md']
    """
    if uri == _FIRST_PAGE:
        return "README.md"
    return uri if "/" in uri or uri == "CONTRIBUTING.md" else f"docs/{uri}"


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
