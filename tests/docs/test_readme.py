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
from tests.docs.pages import anchors, links
from tests.spec_files import load_config, load_specs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = "python3 -m venv .venv && .venv/bin/pip install -q -c requirements.lock -e "


PAGES = (
    "README.md",
    "CHANGELOG.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "tests/README.md",
    "reconciler/README.md",
)
JUST = str(Path(sys.executable).with_name("just"))


def page_text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return [text for name, text in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL) if name == language]


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


@pytest.mark.sweep
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
    """Intent: the README has those of a normal week, with the words of `--help`."""
    table = dict(re.findall(r"^\| `(\S+)` \| (.+) \|$", README.partition("<!-- commands")[2], re.MULTILINE))
    assert len(table) == 10 and table.items() <= COMMANDS.items()
    shown = reconciler("--help", cwd=ROOT).stdout
    for name, text in COMMANDS.items():
        assert f"{name} " in shown
        assert text in shown


@pytest.mark.sampled(3)
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
    table = (ROOT / "reconciler" / "README.md").read_text(encoding="utf-8").partition("| package | what for |")[2]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["remote"]]:
        assert re.match(r"[\w.-]+", requirement)[0] in table


def test_the_lock_file_pins_every_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name = re.match(r"[\w.-]+", requirement)[0]
        assert name in locked or name.replace(".", "-") in locked, name


@pytest.mark.sweep
def test_the_command_that_measures_finds_its_benchmarks():
    (command,) = re.findall(r"^\.venv/bin/pytest -m benchmark.*$", page_text("tests/README.md"), re.MULTILINE)
    command = command.split()
    assert command[0] == ".venv/bin/pytest"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *command[1:], "--collect-only"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0 and "test_plans_and_applies_against_terraforms_own" in found.stdout, found.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in links(page_text(page)):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_readme_stays_short():
    assert len(README.splitlines()) <= 202


def test_each_guarantee_has_its_evidence():
    """Intent: what the README promises in a line, tests/README.md shows."""
    promised = README.partition("## What is guaranteed")[2].partition("\n## ")[0]
    shown = page_text("tests/README.md").partition("| what holds | how it is shown |")[2].partition("\n\n")[0]
    assert (
        8
        <= len(re.findall(r"^\| [A-Z`]", promised, re.MULTILINE))
        <= len(re.findall(r"^\| [a-z`]", shown, re.MULTILINE))
    )


def test_the_change_log_has_the_form_of_keep_a_changelog():
    text = page_text("CHANGELOG.md")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "[Unreleased]"
    kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert kinds and set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_four_commands_of_a_contributor_are_tasks_that_exist():
    """Intent: set up is the README's; the others are recipes of the task runner, which finds them."""
    commands = re.findall(
        r"^(\S.*?)(?: {2,}#.*)?$", blocks("sh", page_text(".github/CONTRIBUTING.md"))[0], re.MULTILINE
    )
    assert len(commands) == 4 and commands[0] == SETUP + "'.[test]'"
    for command in commands[1:]:
        program, *args = command.split()
        assert program == ".venv/bin/just"
        done = subprocess.run([JUST, "--dry-run", *args], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ".venv/bin/" in done.stderr
        assert all((ROOT / arg).exists() for arg in args if "/" in arg)
    done = subprocess.run([JUST, "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"`(\w+)`\s+(?:fixes|runs)", page_text(".github/CONTRIBUTING.md")) == ["format", "sweep", "ci"]
    assert {"format", "sweep", "ci", "lint", "test"} == {*re.findall(r"^    (\w+)", done.stdout, re.MULTILINE)}


@pytest.mark.sweep
def test_the_first_command_works_in_a_fresh_clone(tmp_path):
    done = project_files.shell(blocks("sh")[0], project_files.copy(tmp_path / "reconciler"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == blocks("text")[0].strip()


def test_the_evidence_names_what_a_run_counts():
    """Intent: the figures of tests/README.md are found again, by their names, in the line that the recovery tests print."""
    shown = re.search(r"```text\nrecovery: (.*?)```", page_text("tests/README.md"), re.DOTALL)
    assert shown
    named = re.findall(r"([a-z][a-z: ]*): \d+", shown[1])
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "recovery").glob("*.py"))
    assert len(named) > 5 and [name for name in named if f'"{name}"' not in code] == []
