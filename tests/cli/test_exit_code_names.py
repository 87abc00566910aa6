"""Exit codes in the code of the commands: by their names."""

from __future__ import annotations

import ast

import pytest

from tests.project_files import ROOT

COMMANDS = sorted((ROOT / "reconciler" / "cli").rglob("*.py"))


def gives_exit_code(node: ast.AST) -> bool:
    """Whether it is a command, which click runs, or a function of the same file that returns for one."""
    return (
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "int"
    )


def numbers_returned(function: ast.AST) -> list[int]:
    """Lines of the numbers that it returns as they are, in each branch of a condition."""
    left = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    found = []
    while left:
        match left.pop():
            case ast.IfExp(body=body, orelse=orelse):
                left += [body, orelse]
            case ast.Constant(value=int(), lineno=line):
                found.append(line)
    return found


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_return_exit_codes_by_name(path):
    """Intent: `reconciler.cli.reference` says what each code means; a bare 1 or 2 says nothing."""
    functions = filter(gives_exit_code, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    assert {function.name: lines for function in functions if (lines := numbers_returned(function))} == {}


def test_a_bare_number_is_found():
    """Intent: the check itself can fail."""
    bare = ast.parse("def command() -> int:\n    return ERROR if x else 0\n").body[0]
    assert gives_exit_code(bare) and numbers_returned(bare) == [2]
