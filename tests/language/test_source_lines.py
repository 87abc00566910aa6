"""The line under a diagnostic: shown, cut, made inert, and left out where it may hold a secret."""

from __future__ import annotations

import json

import pytest

from reconciler.adapters.specs.validation.codes import Code, error, with_sources
from reconciler.model.errors import Location
from reconciler.report.diagnostics import diagnostic_text
from reconciler.report.safe_text import columns
from reconciler.report.style import Style
from tests.language.language_support import make, reconciler


def shown(line, column, width=100):
    (found,) = with_sources(
        (error(Code.TYPE, "wrong", "do so", location=Location("a.yaml", 2, column)),), {"a.yaml": f"x\n{line}\nz"}
    )
    return diagnostic_text(found, style=Style(color=False, width=width)).split("\n")


def test_the_line_and_a_caret_stand_under_the_place():
    assert shown("  titel: x", 3) == [
        "error[E110]: wrong",
        "  --> a.yaml:2:3",
        "    2 |   titel: x",
        "      |   ^",
        "    do so",
    ]


@pytest.mark.parametrize("column", [1, 2, 50, 99, 100, 101, 500, 991, 1000, 1001])
def test_a_long_line_is_cut_around_the_caret(column):
    line = "".join(chr(97 + n % 26) for n in range(1000))
    _, _, source, caret, _ = shown(line, column, width=80)
    assert len(source) <= 81
    at = len(caret) - 1
    if column <= len(line):
        assert source[at] == line[column - 1]
    else:
        assert len(source) == at


@pytest.mark.parametrize(
    "line", ["a: \x1b[31mred", "a: \u202ered", "a:\tred", "a: \x9b1m", "é 日本語: red", "::error::red", "a ##[x]red"]
)
def test_nothing_in_a_line_commands_the_terminal(line):
    """The caret stays under the place also behind pictures of control characters and wide letters."""
    column = line.index("r", 2 if line.startswith("::") else 0) + 1 if "red" in line else len(line)
    _, _, source, caret, _ = shown(line, column)
    assert source.isprintable() and "##[" not in source
    assert "^" in caret
    if "red" in line and not line.startswith("::"):
        before = source[: source.index("red")]
        assert columns(before) == len(caret) - 1


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("x", 2, 1),  # beyond the end
        ("a: https://user:pass@host/", 1, 1),  # could be a password
        ("a: ssh://key@host", 1, 1),
        ("a\rb: c", 1, 1),  # readers count its lines differently
        ("a\u2028b: c", 1, 1),
        ("x" * 30_000, 1, 1),
        ("x", 1, 9),  # beyond the line
    ],
)
def test_a_line_that_will_not_do_is_left_out(text, line, column):
    (found,) = with_sources((error(Code.TYPE, "wrong", location=Location("a", line, column)),), {"a": text})
    assert " | " not in diagnostic_text(found, style=Style(color=False))


def test_other_places_have_no_line():
    found = (
        error(Code.TYPE, "x"),
        error(Code.TYPE, "x", location=Location("b", 1, 1)),
        error(Code.TYPE, "x", location=Location("a")),
    )
    assert with_sources(found, {"a": "x"}) == found
    assert all(finding.source is None for finding in with_sources(found, {"a": "x"}))


def test_windows_line_ends_are_no_part_of_a_line():
    (found,) = with_sources((error(Code.TYPE, "x", location=Location("a", 2, 1)),), {"a": "x\r\ny: z\r\n"})
    assert found.source == "y: z"


def test_validate_shows_lines_of_all_files_and_no_secret(tmp_path):
    """Also not one that somebody wrote into a spec."""
    root = make(
        tmp_path,
        {
            "reconciler.yaml": "workspace: w\npolicy: {allowed_env: [TOKEN]}\n",
            "specs/a.yaml": "projects:\n  a: {brief: x, titel: canary-7f3a}\n  b: {brief: x, titel: y}\n",
            "specs/b.yaml": "projects:\n  c: {breif: x}\n",
        },
    )
    env = {"TOKEN": "canary-7f3a", "EVERSINCE_API_KEY": "canary-9e1b"}
    text = reconciler(root, "validate", **env)
    assert text.returncode == 1
    assert "    3 |   b: {brief: x, titel: y}\n      |                 ^\n" in text.stderr
    assert "    2 |   c: {breif: x}\n      |       ^\n" in text.stderr
    assert text.stderr.count("error[E") == 4
    assert "canary" not in text.stderr + text.stdout
    document = reconciler(root, "validate", "--format", "json", **env)
    found = json.loads(document.stdout)["diagnostics"]
    assert [(d["file"], d["line"], d["column"], d["code"]) for d in found] == [
        ("specs/a.yaml", 2, 17, "E111"),
        ("specs/a.yaml", 3, 17, "E111"),
        ("specs/b.yaml", 2, 3, "E114"),
        ("specs/b.yaml", 2, 7, "E111"),
    ]
    github = reconciler(root, "validate", "--format", "github", **env).stdout.splitlines()
    assert len(github) == 4 and all(line.startswith("::error file=specs/") for line in github)
    config = root / "reconciler.yaml"
    config.write_text("workspace: w\nlimit: {}\n")
    assert "    2 | limit: {}\n      | ^\n" in reconciler(root, "plan").stderr


def test_validate_needs_no_client(tmp_path):
    import subprocess
    import sys

    root = make(tmp_path, {"specs/a.yaml": "projects: {a: {brief: x}}\n"})
    code = (
        "import sys; sys.argv = ['reconciler', 'validate']\n"
        "from reconciler.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'httpx', 'starlette', 'rich', 'deepdiff'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
