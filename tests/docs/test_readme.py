"""The README says nothing that is not so: its commands, its pictures, its tables."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reconciler.cli.main import COMMANDS
from tests import project_files
from tests.command import run as reconciler
from tests.spec_files import load_config, load_specs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SETUP = "python3 -m venv .venv && .venv/bin/pip install -q -c requirements.lock -e "


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@functools.cache
def help_of(*command: str) -> str:
    shown = reconciler(*command, "--help", cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the commands run on: the repository's specs, in a directory of the repository's default name."""
    root = tmp_path / "reconciler"
    shutil.copytree(ROOT / "specs", root / "specs")
    return root


def main_job() -> list[str]:
    command = blocks("sh")[0]
    assert command.startswith(SETUP + ". && .venv/bin/reconciler ")
    return command.strip().rpartition(".venv/bin/reconciler ")[2].split()


def test_the_first_command_ends_as_the_readme_says_and_a_second_run_finds_nothing_to_do(checkout):
    first = reconciler(*main_job(), cwd=checkout)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == blocks("text")[0].strip()
    second = reconciler(*main_job(), cwd=checkout)
    assert second.returncode == 0, second.stderr
    assert "No changes. 4 projects match their specs." in second.stdout
    assert "No changes. 4 projects match their specs." in README


def test_the_plan_picture_is_the_real_output(checkout):
    shown = reconciler("--api-url", "sandbox", "plan", cwd=checkout)
    assert shown.stdout == blocks("text")[1]


def test_ci_runs_exactly_the_two_commands():
    first, second = (text.strip() for text in blocks("sh")[:2])
    assert first.startswith(SETUP + ". && ")
    assert second.startswith(SETUP + "'.[test]' && ")
    run = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert first in run and second in run


def test_there_is_no_third_command_that_sets_up():
    assert sum("-m venv" in text for text in blocks("sh")) == 2


def test_the_command_table_is_the_help():
    table = re.findall(r"^\| `(\S+)` \| (.+) \|$", README.partition("<!-- commands")[2], re.MULTILINE)
    assert dict(table[: len(COMMANDS)]) == COMMANDS
    shown = reconciler("--help", cwd=ROOT).stdout
    for name, text in COMMANDS.items():
        assert f"{name} " in shown
        assert text in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    shown = reconciler(name, "--help", cwd=ROOT)
    assert shown.returncode == 0
    if name not in {"state", "sandbox"}:
        assert "Usage: reconciler " + name in shown.stdout
    assert "Example" in shown.stdout


def test_the_yaml_in_the_readme_is_valid(tmp_path):
    spec, config = blocks("yaml")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "readme.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "reconciler.yaml").write_text(config, encoding="utf-8")
    loaded = load_config(tmp_path, env={})
    assert loaded.workspace == "acme-videos"
    assert set(load_specs(loaded, env={}).projects) == {"summer-teaser"}


def test_every_option_of_the_shell_examples_exists():
    for text in blocks("sh")[2:]:
        for line in text.splitlines():
            match = re.search(r"reconciler ((?:sandbox )?\w+)", line)
            if match:
                shown = help_of(*match[1].split())
                for option in re.findall(r"(--[a-z-]+)", line.partition("#")[0]):
                    assert option in shown, f"{option} of: {line}"


def test_each_dependency_has_its_line_in_the_table():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.partition("| package | what for |")[2]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["remote"]]:
        assert re.match(r"[\w.-]+", requirement)[0] in table


def test_the_lock_file_pins_every_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name = re.match(r"[\w.-]+", requirement)[0]
        assert name in locked or name.replace(".", "-") in locked, name


def test_the_command_that_measures_finds_its_benchmarks():
    command = next(text for text in blocks("sh") if "-m benchmark" in text).split()
    assert command[0] == ".venv/bin/pytest"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *command[1:], "--collect-only"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0 and "test_plans_and_applies_against_terraforms_own" in found.stdout, found.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.sweep
def test_the_first_command_works_in_a_fresh_clone(tmp_path):
    done = project_files.shell(blocks("sh")[0], project_files.copy(tmp_path / "reconciler"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == blocks("text")[0].strip()
