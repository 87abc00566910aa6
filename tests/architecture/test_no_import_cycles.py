"""Modules import downwards: no cycles, counting imports inside functions and for types; and those inside functions only
where a command is chosen.
"""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

import reconciler

ROOT = Path(reconciler.__file__).parent

LAZY = {
    ("reconciler.planning.diff", "deepdiff"): "80 ms of every plan, and only a changed project needs it",
    ("reconciler.adapters.state.lock", "filelock"): "10 ms of every plan, and only those who write need it",
}
"""Imports inside functions outside ``cli``, with what they save; each was measured."""


def modules() -> dict[str, Path]:
    names = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("reconciler", *path.relative_to(ROOT).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def cycles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules that lead to one another (strongly connected components of more than one, Tarjan)."""
    found: set[frozenset[str]] = set()
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in sorted(graph.get(node, ())):
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1 or node in graph.get(node, ()):
                found.add(frozenset(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def lazy_imports(source: str) -> list[tuple[str, int]]:
    """The packages that a module imports inside functions, with their lines; imports for types only don't count."""
    tree = ast.parse(source)
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                match node:
                    case ast.Import(names=names):
                        found += [(name.name, node.lineno) for name in names]
                    case ast.ImportFrom(module=module):
                        found.append((module or "", node.lineno))
                    case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")):
                        found.append(("import_module", node.lineno))
    return sorted(set(found))


def test_no_modules_import_one_another():
    # Intent: a module can be read, tested and moved with what is below it; imports in functions and for types count.
    graph = grimp.build_graph("reconciler", exclude_type_checking_imports=False, cache_dir=None)
    found = cycles({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    assert found == set()


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"a"}}, {frozenset("ab")}),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}, {frozenset("abc"), frozenset("de")}),
        ({"a": {"a"}}, {frozenset("a")}),
    ],
)
def test_a_cycle_is_found(graph, expected):
    # Intent: the check above can fail.
    assert cycles(graph) == expected


@pytest.mark.sweep
def test_imports_inside_functions_stand_only_in_the_command_line():
    # Intent: what a module needs is at its top; who wants to save an import's time hands in a function instead.
    found = {
        (name, package.partition(".")[0] if not package.startswith("reconciler") else package)
        for name, path in modules().items()
        if not name.startswith("reconciler.cli.")
        for package, _ in lazy_imports(path.read_text(encoding="utf-8"))
    }
    assert found == set(LAZY)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a\nif x:\n    import b\n", []),
        ("def f():\n    import a.b, c\n", [("a.b", 2), ("c", 2)]),
        ("class A:\n    async def f(self):\n        from a.b import c\n", [("a.b", 3)]),
        ("def f():\n    return importlib.import_module('a')\n", [("import_module", 2)]),
        ("f = lambda: __import__('a')\n", [("import_module", 1)]),
    ],
)
def test_an_import_inside_a_function_is_found(source, expected):
    assert lazy_imports(source) == expected
