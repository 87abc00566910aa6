"""The action as other repositories use it, by path and commit: its steps run for real, its outputs are the plan's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import command
from tests.recipes.test_recipes import linted, zizmor
from tests.recipes.wheels import Release
from tests.recipes.workflow import GITHUB, evaluated, filled, git, load

PATH = Path("examples/ci/github/actions/reconciler")
ACTION = load(GITHUB / "actions" / "reconciler" / "action.yml")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = "projects:\n  teaser:\n    brief: A calm opening.\n    settings: {title: Teaser}\n    messages: [Softer.]\n"
KEY = "es_live_of_the_action"
USES = """\
name: Apply
on:
  push:
    branches: [main]
permissions: {{}}
jobs:
  apply:
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    environment: production
    permissions:
      contents: read
    concurrency:
      group: apply
      cancel-in-progress: false
    steps:
      - name: Check out the specs
        uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - uses: ./{path}
        id: reconciler
        with:
          workspace: campaigns
          key: ${{{{ secrets.EVERSINCE_API_KEY }}}}
      - name: Apply
        if: steps.reconciler.outputs.{output} == 'true'
        env:
          EVERSINCE_API_KEY: ${{{{ secrets.EVERSINCE_API_KEY }}}}
          PLAN: ${{{{ steps.reconciler.outputs.plan }}}}
          DIGEST: ${{{{ steps.reconciler.outputs.digest }}}}
        run: '"$RUNNER_TEMP/tools/reconciler" -C campaigns apply "$PLAN" --digest "$DIGEST"'
"""


class Runner:
    """A machine: its folders, and the repository with the action as the runner has fetched it."""

    def __init__(self, root, release, *, ref=COMMIT):
        self.root, self.env = root, release.env
        self.temp, self.work = root / "temp", root / "work"
        for folder in (self.temp, self.work):
            folder.mkdir(parents=True)
        fetched = root / "_actions" / "owner" / "repository" / ref
        release.tree(fetched)
        (fetched / PATH).mkdir(parents=True)
        self.action = fetched / PATH

    def uses(self, **given):
        """The steps of the action; its outputs, or the log where a step fails."""
        defaults = {name: item.get("default", "") for name, item in ACTION["inputs"].items()}
        unknown = given.keys() - defaults.keys()
        assert not unknown
        steps: dict[str, dict] = {}
        context = {"inputs": defaults | given, "steps": steps, "github": {"action_path": str(self.action)}}
        for step in ACTION["runs"]["steps"]:
            if "run" not in step or ("if" in step and not evaluated(step["if"], context)):
                continue
            done, outputs = self.bash(step, {k: filled(v, context) for k, v in step.get("env", {}).items()})
            if done.returncode:
                return done.stdout + done.stderr
            steps[step.get("id", "")] = {"outputs": outputs}
        return {name: filled(item["value"], context) for name, item in ACTION["outputs"].items()}

    def bash(self, step, env):
        output, variables = self.root / "output", self.root / "env"
        variables.touch()
        output.write_text("")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_", "GITHUB_", "PIP_"))
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.work,
            env={
                **kept,
                **self.env,
                "RUNNER_TEMP": str(self.temp),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_ENV": str(variables),
                "GITHUB_ACTION_PATH": str(self.action),
                **dict(line.split("=", 1) for line in variables.read_text().splitlines()),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done, dict(line.split("=", 1) for line in output.read_text().splitlines())

    def has_the_tool(self):
        """As after an earlier step of the job."""
        (self.temp / "tools").mkdir()
        (self.temp / "tools" / "reconciler").symlink_to(command())

    def workspace(self, name="campaigns", spec=SPEC):
        folder = self.work / name
        (folder / "specs").mkdir(parents=True)
        (folder / "reconciler.yaml").write_text("workspace: w\nsandbox: {speed: 200}\n")
        (folder / "specs" / "a.yaml").write_text(spec)
        return folder


@pytest.fixture
def release(tmp_path):
    return Release(tmp_path / "reviewed", command=command())


@pytest.fixture
def runner(tmp_path, release):
    return Runner(tmp_path / "runner", release)


@pytest.mark.sweep
def test_it_installs_its_own_commit_and_tells_of_the_plan(runner):
    assert runner.uses() == dict.fromkeys(ACTION["outputs"], ""), "without a workspace it only installs"
    folder = runner.workspace()
    told = runner.uses(workspace="campaigns", **{"api-url": "sandbox"})
    assert isinstance(told, dict), told
    saved = subprocess.run([command(), "show", told["plan"], "--format", "json"], capture_output=True, check=True)
    plan = json.loads(saved.stdout)
    assert told["changes"] == "true" and told["digest"] == plan["digest"]
    counts = {name: told[name] for name in plan["summary"]}
    assert counts == {name: str(count) for name, count in plan["summary"].items()}
    assert (told["create"], told["message"]) == ("1", "1")
    assert Path(told["markdown"]).read_text().startswith("<!-- reconciler:")
    assert Path(told["plan"]).is_relative_to(runner.temp), "outside the checkout, where a branch could have put a link"
    arguments = ["apply", told["plan"], "--digest", told["digest"]]
    env = {**os.environ, "EVERSINCE_API_URL": "sandbox"}
    tool = runner.temp / "tools" / "reconciler"
    subprocess.run([tool, "-C", folder, *arguments], env=env, check=True, capture_output=True)
    again = runner.uses(workspace="campaigns", **{"api-url": "sandbox"})
    assert isinstance(again, dict), again
    assert (again["changes"], again["create"], again["unchanged"]) == ("false", "0", "1")
    assert again["plan"] != told["plan"]


def test_a_plan_that_fails_fails_the_step_and_tells_nothing(runner):
    runner.workspace(spec="projects: {teaser: {breef: x}}\n")
    runner.has_the_tool()
    log = runner.uses(workspace="campaigns", **{"api-url": "sandbox"})
    assert isinstance(log, str) and "breef" in log
    assert "changes=" not in (runner.root / "output").read_text()


@pytest.mark.parametrize("ref", ["main", "v1.0.0", COMMIT[:39], COMMIT[:7]])
def test_a_branch_or_a_tag_of_the_action_installs_nothing(tmp_path, release, ref):
    """Intent: both can be moved to what nobody reviewed."""
    runner = Runner(tmp_path / "runner", release, ref=ref)
    log = runner.uses()
    assert isinstance(log, str) and "RECONCILER_SOURCE must name what you reviewed" in log
    assert not (runner.temp / "tools" / "reconciler").exists()


def test_the_action_in_a_checkout_does_not_install_the_checkout(runner):
    """Intent: what a branch has at the action's path is not what was reviewed."""
    shutil.copytree(runner.action.parents[4], runner.work / "checkout")
    runner.action = runner.work / "checkout" / PATH
    log = runner.uses()
    assert isinstance(log, str) and "RECONCILER_SOURCE must name what you reviewed" in log


@pytest.mark.sweep
def test_a_source_wins_over_the_action_s_own_commit(runner, release):
    (runner.action.parents[4] / "reconciler" / "runtime.lock").write_text("broken")
    assert runner.uses(source=release.source) == dict.fromkeys(ACTION["outputs"], "")


def test_only_the_plan_gets_the_key():
    with_key = [step["name"] for step in ACTION["runs"]["steps"] if "inputs.key" in str(step)]
    assert with_key == ["Plan"]
    assert ACTION["inputs"]["api-url"]["default"] == "https://eversince.ai/api/v1"
    assert all(item["description"] for item in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


@pytest.fixture
def repository(tmp_path):
    """A repository that uses the action; for the linters it is at its path, as they can't fetch it."""
    root = tmp_path / "repository"
    (root / ".github" / "workflows").mkdir(parents=True)
    shutil.copytree(GITHUB / "actions" / "reconciler", root / ".github" / "actions" / "reconciler")
    git(root, "init", "-q")

    def write(output):
        text = USES.format(path=".github/actions/reconciler", output=output)
        (root / ".github" / "workflows" / "apply.yml").write_text(text)
        return root

    return write


def test_actionlint_knows_its_outputs_and_finds_nothing(repository):
    done = linted(repository("changes"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = linted(repository("changed"))
    assert done.returncode == 1 and "changed" in done.stdout


def test_zizmor_finds_nothing_in_a_workflow_that_uses_it(repository):
    root = repository("changes")
    path = root / ".github" / "workflows" / "apply.yml"
    path.write_text(
        path.read_text()
        .replace("uses: ./.github/", f"uses: owner/repository/{PATH.parent.parent}/")
        .replace("actions/reconciler\n", f"actions/reconciler@{COMMIT} # 0.1.0\n", 1)
    )
    done = zizmor(root)
    assert done.returncode == 0, done.stdout
