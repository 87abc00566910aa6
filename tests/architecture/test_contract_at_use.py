"""The contract is chosen at start, after the modules were imported: nothing is computed from it before."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import reconciler

ROOT = Path(reconciler.__file__).parent


def asked_at_import(source: str) -> list[int]:
    """The lines where ``contract.current()`` is called while the module is imported, defaults of functions included."""
    found: list[int] = []

    def visit(node: ast.AST) -> None:
        match node:
            case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments) | ast.Lambda(args=arguments):
                visit(arguments)
                return
            case ast.Call(func=ast.Attribute(value=ast.Name(id="contract"), attr="current" | "is_active")):
                found.append(node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_asks_for_the_contract_when_it_is_imported(path):
    assert asked_at_import(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    return contract.current()\n", []),
        ("x = lambda: contract.current().settings\n", []),
        ("X = contract.current().settings\n", [1]),
        ("class A:\n    x: int = contract.current().limits.list_page\n", [2]),
        ("def f(limit=contract.current().limits.list_page):\n    pass\n", [1]),
    ],
)
def test_asking_at_import_is_found(source, expected):
    assert asked_at_import(source) == expected
