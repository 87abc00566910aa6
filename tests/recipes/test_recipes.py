"""The recipes as files: valid by the services' schemas, least privilege, pinned, nothing interpolated into a shell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.workflow import GITHUB, ROOT, git, load

CI = ROOT / "examples" / "ci"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
CHECKS = [
    *(("vendor.github-workflows", path) for path in WORKFLOWS),
    *(("vendor.github-actions", path) for path in ACTIONS),
    ("vendor.gitlab-ci", CI / "gitlab" / ".gitlab-ci.yml"),
]


@pytest.mark.parametrize(("schema", "path"), CHECKS, ids=lambda value: getattr(value, "name", value))
def test_recipes_are_valid(schema, path):
    """Intent: by the schemas that check-jsonschema carries, offline."""
    options = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def steps(path):
    document = load(path)
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shell_steps_hold_no_expression_and_parse(path):
    """Intent: a title or a branch name can never become a command: values reach the shell by the environment alone."""
    for step in steps(path):
        if "run" in step:
            assert "${{" not in step["run"]
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)
        else:
            assert re.fullmatch(r"\./\.github/actions/\w+|actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            if step["uses"].startswith("./"):
                assert (GITHUB / step["uses"].removeprefix("./.github/") / "action.yml").exists()
            if "checkout" in step["uses"]:
                assert step["with"]["persist-credentials"] is False


PIN = re.compile(r"(actions/[\w-]+)@([0-9a-f]{40}) # (v\d+)(\.\d+\.\d+)$", re.MULTILINE)


def test_an_action_is_pinned_to_the_same_release_everywhere():
    pins = {match.groups() for path in (*WORKFLOWS, *ACTIONS) for match in PIN.finditer(path.read_text())}
    assert sorted(name for name, *_ in pins) == ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]


def linted(repository):
    """What actionlint says of a repository's workflows. It knows actions' inputs by release, not by commit."""
    for path in repository.glob(".github/**/*.yml"):
        path.write_text(PIN.sub(r"\1@\3", path.read_text()))
    command = [Path(sys.executable).with_name("actionlint"), "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.fixture
def github(tmp_path):
    repository = tmp_path / "linted"
    shutil.copytree(GITHUB, repository / ".github")
    git(repository, "init", "-q")
    return repository


def test_actionlint_finds_nothing(github):
    done = linted(github)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("needs: [workspaces, validate]", "needs: [workspaces, validated]", "validated"),
        ("needs.workspaces.outputs.list)", "needs.workspaces.outputs.lists)", "lists"),
        ("persist-credentials:", "persist-credential:", "persist-credential"),
        ("${{ github.event.pull_request.number }}", "${{ github.event.pull_request.number", "unexpected EOF"),
        ("ubuntu-24.04", "ubuntu-2404", "ubuntu-2404"),
        ("steps.list.outputs.list", "steps.list.outputs.listed", "listed"),
    ],
    ids=lambda value: value[:30],
)
def test_actionlint_finds_a_mistake(github, right, wrong, said):
    """Intent: the check above is alive: it sees jobs, expressions, actions' inputs and the composite actions."""
    path = github / ".github" / "workflows" / "reconciler-plan.yml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    done = linted(github)
    assert done.returncode == 1
    assert said in done.stdout, done.stdout


PERMISSIONS = {
    "reconciler-plan": {
        "workspaces": {"contents": "read"},
        "validate": {"contents": "read"},
        "plan": {"contents": "read", "pull-requests": "write"},
    },
    "reconciler-apply": {
        "workspaces": {"contents": "read"},
        "apply": {"contents": "read", "actions": "read", "pull-requests": "read"},
    },
    "reconciler-drift": {"workspaces": {"contents": "read"}, "drift": {"contents": "read", "issues": "write"}},
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_may_do_just_what_they_need(path):
    """Intent: permissions, secrets, time limits and concurrency are as the comments say."""
    document = load(path)
    assert document["permissions"] == {}
    assert {name: job["permissions"] for name, job in document["jobs"].items()} == PERMISSIONS[path.stem]
    assert all(job["timeout-minutes"] <= 60 for job in document["jobs"].values())
    assert "pull_request_target" not in document["on"]
    for name, job in document["jobs"].items():
        holders = [step["name"] for step in job["steps"] if "secrets." in str(step)]
        assert holders == {"plan": ["Plan"], "apply": ["Apply"], "drift": ["Look"]}.get(name, [])
    concurrency = document.get("concurrency") or document["jobs"]["apply"]["concurrency"]
    assert concurrency["cancel-in-progress"] is (path.stem != "reconciler-apply")
    if path.stem == "reconciler-plan":
        assert document["jobs"]["plan"]["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    if path.stem == "reconciler-apply":
        assert document["jobs"]["apply"]["environment"] == "production"


def test_the_time_out_is_below_the_job_s_limit():
    """Intent: what is deferred is written down before the service ends the job."""
    job = load(GITHUB / "workflows" / "reconciler-apply.yml")["jobs"]["apply"]
    given = next(re.search(r"--timeout (\d+)m", step["run"]) for step in job["steps"] if step.get("name") == "Apply")
    assert int(given[1]) < job["timeout-minutes"]
    gitlab = load(CI / "gitlab" / ".gitlab-ci.yml")["apply"]
    assert int(re.search(r"--timeout (\d+)m", gitlab["script"][0])[1]) < int(gitlab["timeout"].removesuffix("m"))


SPEC = "projects:\n  teaser:\n    brief: A calm opening.\n"


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    for name in ("campaigns", "brand"):
        (root / name / "specs").mkdir(parents=True)
        (root / name / "reconciler.yaml").write_text(
            f"workspace: {name}\napi: {{url: sandbox}}\nsandbox: {{speed: 200}}\n"
        )
        (root / name / "specs" / "a.yaml").write_text(SPEC)
    return root


def gitlab_job(name, checkout, workspace):
    """The commands of a job, for one value of its matrix."""
    script = load(CI / "gitlab" / ".gitlab-ci.yml")[name]["script"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_API_URL", "GITHUB_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(script)],
        cwd=checkout,
        env={
            **kept,
            "WORKSPACE": workspace,
            "RECONCILER_STATE": f"{checkout.parent / workspace}.json",
            "CI": "true",
            "GITLAB_CI": "true",
            "PATH": path,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_gitlab_jobs_plan_apply_and_find_drift(checkout):
    """Intent: the scripts as they stand, one after another, as a pipeline would."""
    assert gitlab_job("validate", checkout, "campaigns").returncode == 0
    planned = gitlab_job("plan", checkout, "campaigns")
    assert planned.returncode == 0, planned.stderr
    assert (checkout / "plan" / "campaigns" / "plan.html").read_text().startswith("<!doctype html>")
    assert gitlab_job("drift", checkout, "campaigns").returncode == 2
    applied = gitlab_job("apply", checkout, "campaigns")
    assert applied.returncode == 0, applied.stderr
    assert gitlab_job("drift", checkout, "campaigns").returncode == 0
    again = gitlab_job("apply", checkout, "campaigns")
    assert "1 done before" in again.stdout


def test_pre_commit_hooks_do_what_they_say(checkout):
    """Intent: each hook's entry runs, passes on good specs and fails on bad ones; the example names just these hooks."""
    hooks = {hook["id"]: hook["entry"] for hook in load(ROOT / ".pre-commit-hooks.yaml")}
    used = [hook["id"] for repo in load(CI / "pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert used == list(hooks)
    for entry, bad in (("validate", "projects: {x: {breef: y}}\n"), ("fmt --check", "projects: {x:   {brief: 'y'}}\n")):
        assert f"reconciler {entry}" in hooks.values()
        command = [sys.executable, "-m", "reconciler", *entry.split()]
        good = subprocess.run(command, cwd=checkout / "brand", capture_output=True, check=False)
        assert good.returncode == 0, good.stderr
        (checkout / "brand" / "specs" / "bad.yaml").write_text(bad)
        assert subprocess.run(command, cwd=checkout / "brand", capture_output=True, check=False).returncode == 1
        (checkout / "brand" / "specs" / "bad.yaml").unlink()


def test_workspaces_are_listed_for_the_matrix(tmp_path):
    """Intent: every folder with a configuration, at the root and below, with a name that will do for an artifact."""
    (step,) = steps(GITHUB / "actions" / "workspaces" / "action.yml")

    def listed():
        output = tmp_path / "output"
        output.write_text("")
        env = {**os.environ, "GITHUB_OUTPUT": str(output)}
        subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=repository, env=env, check=True)
        return output.read_text()

    repository = tmp_path / "r"
    repository.mkdir()
    git(repository, "init", "-q")
    assert listed() == "list=[]\n"
    for folder in (".", "teams/brand"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
        (repository / folder / "reconciler.yaml").write_text("")
    git(repository, "add", ".")
    assert listed() == ('list=[{"path": ".", "name": "root"}, {"path": "teams/brand", "name": "teams__brand"}]\n')
