"""What of the code a stage's hash covers, against the imports as another program sees them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest
from copied_code import STAGES, CopiedCode
from grimp import build_graph

from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.plumbing import PLUMBING

ROOT = Path(__file__).parents[3]


@functools.cache
def expected_closures() -> dict[str, set[str]]:
    """Stage -> the modules that it imports by any way that does not pass through plumbing."""
    graph = build_graph("pipeline", "models", exclude_type_checking_imports=True, cache_dir=None)
    direct = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    for module in PLUMBING:
        graph.remove_module(module)
    closures = {}
    for stage in STAGES:
        main = f"pipeline.{stage}.__main__"
        found = graph.find_upstream_modules(main) | {main}
        # A module of plumbing is left out; the package around it is any other's too.
        named = found.union(*(direct[name] for name in found))
        packages = {name.rsplit(".", n)[0] for name in named for n in range(1, name.count(".") + 1)}
        closures[stage] = found | packages
    return closures


def all_modules() -> list[str]:
    paths = [path for top in ("pipeline", "models") for path in sorted((ROOT / top).rglob("*.py"))]
    names = [str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".") for path in paths]
    return [name.removesuffix(".__init__") for name in names]


@pytest.fixture(scope="module")
def code(project: Path, tmp_path_factory: pytest.TempPathFactory) -> CopiedCode:
    return CopiedCode(project, tmp_path_factory.mktemp("code"))


def readers(module: str) -> set[str]:
    return {stage for stage in STAGES if module in expected_closures()[stage]}


@pytest.mark.parametrize("module", all_modules())
def test_an_edit_of_a_module_changes_the_stages_that_import_it_and_no_other(
    code: CopiedCode, module: str
) -> None:
    path = code.root.joinpath(*module.split("."), "__init__.py")
    path = path if path.is_file() else code.root.joinpath(*module.split(".")).with_suffix(".py")
    with code.edited(path, path.read_bytes() + b"\n_EDITED = 1\n"):
        assert code.changed(module) == readers(module)


@pytest.mark.parametrize("module", all_modules())
def test_prose_in_a_module_changes_nothing(code: CopiedCode, module: str) -> None:
    before = code.tree.module(module)
    assert before is not None
    tree = ast.parse(before.path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            if ast.get_docstring(node) is not None:
                del node.body[0]
            node.body.insert(0, ast.Expr(ast.Constant("Other prose.")))
    other = f"{ast.unparse(tree)}\n# A comment, where those of before are gone.\n"
    with code.edited(before.path, other.encode()):
        after = CodeTree(code.root).module(module)
    assert after == before


def packages() -> list[str]:
    folders = {path.parent for top in ("pipeline", "models") for path in (ROOT / top).rglob("*.py")}
    return sorted(str(folder.relative_to(ROOT)) for folder in folders)


@pytest.mark.parametrize("package", packages())
@pytest.mark.parametrize("name", ["new.json", "stories/new.yaml"])
def test_a_data_file_changes_the_stages_that_import_a_module_of_its_package(
    code: CopiedCode, package: str, name: str
) -> None:
    path = code.root / package / name
    path.parent.mkdir(exist_ok=True)
    with code.edited(path, b"1"):
        assert code.changed() == readers(package.replace("/", "."))


@pytest.mark.parametrize("path", ["report/page.css", "report/page.html", "compare/comparison.html"])
def test_an_edit_of_a_template_changes_the_report_alone(code: CopiedCode, path: str) -> None:
    file = code.root / "pipeline" / path
    with code.edited(file, file.read_bytes() + b" "):
        assert code.changed() == ({"report"} if path.startswith("report/") else set())


@pytest.mark.parametrize("name", ["__pycache__/x.pyc", ".page.css.swp", "page.css~", "x.tmp-1"])
def test_what_tools_leave_beside_the_code_changes_nothing(code: CopiedCode, name: str) -> None:
    path = code.root / "pipeline" / "report" / name
    path.parent.mkdir(exist_ok=True)
    with code.edited(path, b"1"):
        assert code.changed() == set()


def test_every_stage_has_code_of_its_own(code: CopiedCode) -> None:
    assert len(set(code.before.values())) == len(STAGES) >= 10


def test_a_closure_does_not_reach_behind_plumbing() -> None:
    tree = CodeTree(ROOT)
    for stage in STAGES:
        assert tree.closure(f"pipeline.{stage}.__main__").modules == expected_closures()[stage]


# The ways to import, on a tree made for that


def closure(folder: Path, **sources: str) -> set[str]:
    """The closure of pipeline.start.__main__ in a tree of these modules of pipeline.start."""
    package = folder / "pipeline" / "start"
    (package / "deep").mkdir(parents=True)
    for path in ("pipeline", "pipeline/start", "pipeline/start/deep"):
        (folder / path / "__init__.py").touch()
    for name in ("a", "b", "deep/c"):
        (package / f"{name}.py").touch()
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    found = CodeTree(folder, ()).closure("pipeline.start.__main__").modules
    start = "pipeline.start."
    return {name.removeprefix(start) for name in found if name.startswith(start)} - {"__main__"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pipeline.start.a", {"a"}),
        ("import pipeline.start.deep.c as c", {"deep", "deep.c"}),
        ("from pipeline.start import a, b", {"a", "b"}),
        ("from pipeline.start.a import thing", {"a"}),
        ("from . import a", {"a"}),
        ("from .deep import c", {"deep", "deep.c"}),
        ("from .deep.c import *", {"deep", "deep.c"}),
        ("def late():\n    from pipeline.start import a", {"a"}),
        ("try:\n    import pipeline.start.a\nexcept ImportError:\n    pass", {"a"}),
        ("command = ['-m', 'pipeline.start.a']", {"a"}),
        ("import importlib\nimportlib.import_module('pipeline.start.b')", {"b"}),
        ("'pipeline.start.a'", {"a"}),
        ("# import pipeline.start.a", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import a", set()),
        ("import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    from . import a", {"a"}),
    ],
)
def test_every_way_to_import_is_seen(tmp_path: Path, source: str, expected: set[str]) -> None:
    assert closure(tmp_path, __main__=source) == expected


def test_imports_are_followed_from_module_to_module(tmp_path: Path) -> None:
    found = closure(tmp_path, __main__="from . import a", a="def f(): from .deep import c")
    assert found == {"a", "deep", "deep.c"}


def test_a_relative_import_in_a_package_means_the_package(tmp_path: Path) -> None:
    found = closure(tmp_path, __main__="from . import deep", **{"deep/__init__": "from . import c"})
    assert found == {"deep", "deep.c"}
    (tmp_path / "pipeline" / "start" / "deep" / "c.py").write_text("from .. import b")
    modules = CodeTree(tmp_path, ()).closure("pipeline.start.__main__").modules
    assert "pipeline.start.b" in modules


def test_no_module_is_imported_by_a_name_that_is_put_together() -> None:
    """Such a module is in no closure; one that a string names in full is."""
    ways = {"__import__", "exec", "eval", "importlib.import_module", "import_module"}
    ways |= {"runpy.run_module", "runpy.run_path", "run_module", "run_path"}
    found = []
    for module in map(CodeTree(ROOT).module, all_modules()):
        assert module is not None
        calls = [
            n for n in ast.walk(ast.parse(module.path.read_bytes())) if isinstance(n, ast.Call)
        ]
        found += [ast.unparse(call) for call in calls if ast.unparse(call.func) in ways]
    assert found == []


def test_a_hash_is_the_same_in_every_version_of_python(tmp_path: Path) -> None:
    """CI runs this with each; versions differ in the fields and f-strings of their trees."""
    (tmp_path / "pipeline").mkdir()
    source = (
        "import re\n\n\n"
        "class Row:\n    size: int\n    def text(self, form: str = '.2f') -> str:\n"
        "        match self.size:\n            case 1: return f'{self.size:{form}} {None!r:>{3}}'\n"
        "        return f'{self.size:{form}}' f'' 'x' + b'y'.decode()\n"
    )
    (tmp_path / "pipeline" / "row.py").write_text(source)
    module = CodeTree(tmp_path).module("pipeline.row")
    assert module is not None
    assert module.digest[:16] == "a9fde5fee6f0225b"
