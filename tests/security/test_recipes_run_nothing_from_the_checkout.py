"""A branch full of files that want to be run, against every step of every recipe: nothing of it runs, nothing is followed.

The steps are the recipes' own, run for real; what they install is a small wheel whose command is the one under test.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import command
from tests.recipes.planted import plant
from tests.recipes.wheels import COMMAND, Release, digest
from tests.recipes.workflow import GITHUB, REPOSITORY, ROOT, GitHub, git, load
from tests.sampling import every, swept

GITLAB = ROOT / "examples" / "ci" / "gitlab" / ".gitlab-ci.yml"
KEY = "es_live_secret_key"
RECONCILER = (sys.executable, "-I", "-m", "reconciler")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
SPEC = "projects:\n  teaser:\n    brief: A calm opening.\n"


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("mine")
    return folder


@pytest.fixture
def each_installs(request):
    return getattr(request, "param", False)


@pytest.fixture
def release(tmp_path, each_installs):
    """What is installed once starts many runs, as those of the other tests are started; else each starts as users' do."""
    return Release(tmp_path / "reviewed", command=COMMAND if each_installs else command())


def workspace(folder):
    (folder / "specs").mkdir(parents=True)
    (folder / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\nsandbox: {speed: 200}\n")
    (folder / "specs" / "a.yaml").write_text(SPEC)


@pytest.fixture
def repository(tmp_path, canary, outside):
    """What is on the main branch, and a branch that plants its files at the top and in the workspace."""
    root = tmp_path / "repository"
    workspace(root / "campaigns")
    shutil.copytree(GITHUB, root / ".github")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Start")
    git(root, "checkout", "-qb", "branch")
    plant(root, canary, outside)
    plant(root / "campaigns", canary, outside)
    (root / "campaigns" / "specs" / "more.yaml").write_text(
        "projects: {}\n"
    )  # so that the change affects the workspace
    for action in root.glob(".github/actions/*/action.yml"):
        text = action.read_text()
        assert "      run: |\n" in text
        action.write_text(
            text.replace("      run: |\n", f"      run: |\n        echo action >> {shlex.quote(str(canary))}\n")
        )
    git(root, "add", "-f", ".")
    git(root, "commit", "-qm", "Attack")
    return root


def untouched(outside):
    return [path.name for path in outside.iterdir()] == ["precious"] and (outside / "precious").read_text() == "mine"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "command",
    every(
        2,
        ["python3 -m pip --version", "python3 -c 'import json'", "python3 -m venv x", "PATH=bin:$PATH gh", ". ./.env"],
    ),
)
def test_the_planted_files_are_alive(repository, canary, command):
    """Intent: the tests below can fail: a step that is not careful runs what the branch brings."""
    subprocess.run(["bash", "-c", command], cwd=repository, capture_output=True, check=False, env={**os.environ})
    assert canary.read_text()


EACH_INSTALLS = pytest.mark.parametrize(
    "each_installs", [False, swept(True)], ids=["the first installs", "each installs"], indirect=True
)
"""Every job has the same lines that install reconciler. In the sample what the first one installed serves the others."""


@pytest.mark.sweep
@pytest.mark.long
@EACH_INSTALLS
def test_the_github_workflows_run_nothing_of_a_branch(tmp_path, repository, release, canary, outside, each_installs):
    """Intent: plan, and after the merge apply and drift, do their work; each with all that the branch planted."""
    env = {"EVERSINCE_API_KEY": KEY, "RECONCILER_APPLY_POLL_INTERVAL": "0.05", **release.env}
    github = GitHub(tmp_path / "github", env, {"RECONCILER_SOURCE": release.source, "EVERSINCE_API_URL": "sandbox"})
    github.installs, github.each_installs = True, each_installs
    head = git(repository, "rev-parse", "branch")
    event = {"pull_request": {"number": 7, "head": {"repo": {"full_name": REPOSITORY}}}}
    jobs = github.workflow("reconciler-plan", repository, {"event": event, "head_sha": head})
    assert {name: job.failed for name, job in jobs.items()} == dict.fromkeys(
        ("workspaces", "validate campaigns", "plan campaigns", "reconciler")
    ), {name: job.log for name, job in jobs.items()}
    assert "1 create" in github.account["comments"][0]["body"]
    assert not canary.exists(), canary.read_text()
    assert untouched(outside)

    # its own version of the actions is refused on merge; what follows is a merge of all the rest
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-commit", "--no-ff", "branch")
    git(repository, "checkout", "-q", "main", "--", ".github")
    git(repository, "commit", "-qm", "Merge")
    merge = {
        "merge_commit_sha": git(repository, "rev-parse", "HEAD"),
        "merged_at": "2026-01-01",
        "base": {"ref": "main"},
    }
    files = [{"filename": "json.py"}]
    pull = {**merge, "number": 7, "head": {"sha": head, "repo": {"full_name": REPOSITORY}}, "files": files}
    github.save({**github.account, "pulls": [pull]})
    for name in ("reconciler-apply", "reconciler-drift"):
        jobs = github.workflow(name, repository, {})
        assert not any(job.failed for job in jobs.values()), {name: job.log for name, job in jobs.items()}
        assert f"{name.removeprefix('reconciler-')} campaigns" in jobs
    assert github.account["issues"] == [] or "campaigns" in str(github.account["issues"])
    assert not canary.exists(), canary.read_text()
    assert untouched(outside)


def gitlab(job, checkout, tools=None, **env):
    """A job as GitLab's runner runs it: both scripts in one shell, in the checkout; with ``tools`` it installs nothing."""
    document = load(GITLAB)
    (before,) = document["default"]["before_script"]
    if tools is not None:
        installs, end, rest = before.partition("\n)\n")
        assert installs.startswith("tools=") and end
        before = f"tools={shlex.quote(str(tools))}\n{rest}"
    script = "\n".join([before, *document[job]["script"]])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_", "GITHUB_"))}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=checkout,
        env={**inherited, "CI": "true", "PATH": PATH, "WORKSPACE": "campaigns", "EVERSINCE_API_URL": "sandbox", **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.sweep
@pytest.mark.long
@EACH_INSTALLS
def test_the_gitlab_jobs_run_nothing_of_a_branch(tmp_path, repository, release, canary, outside, each_installs):
    env = {"RECONCILER_SOURCE": release.source, "RECONCILER_STATE": str(tmp_path / "state.json"), **release.env}
    env["TMPDIR"] = str(tmp_path / "tools")
    (tmp_path / "tools").mkdir()
    tools = None
    for job, code in (("validate", 1), ("drift", 2), ("note", 0), ("release", 0), ("plan", 0)):
        done = gitlab(job, repository, tools, EVERSINCE_API_KEY=KEY if job in ("drift", "plan") else "", **env)
        assert done.returncode in (0, code), done.stdout + done.stderr
        if not each_installs and tools is None:
            (tools,) = (tmp_path / "tools").iterdir()
        assert not canary.exists(), canary.read_text()
    (saved,) = repository.glob("reconciler-plan/*/saved.plan")
    shown = subprocess.run([*RECONCILER, "show", saved, "--format", "json"], capture_output=True, check=True).stdout
    (approved,) = re.findall(rb'"digest": ?"([0-9a-f]{64})"', shown)
    refused = gitlab(
        "apply", repository, tools, EVERSINCE_API_KEY=KEY, DIGEST="0" * 64, **env
    )  # without one: test_recipes
    assert refused.returncode == 1, refused.stdout
    assert "digest" in refused.stderr.lower()
    done = gitlab("apply", repository, tools, EVERSINCE_API_KEY=KEY, DIGEST=approved.decode(), **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repository / "reconciler-events" / "events.jsonl").exists()
    assert not canary.exists(), canary.read_text()
    assert untouched(outside)


@pytest.mark.sweep
def test_pre_commit_hooks_run_nothing_of_a_checkout(repository, canary):
    """Intent: the hooks' command, from an environment of its own, in the folder that was attacked; it needs no key."""
    for hook in load(ROOT / ".pre-commit-hooks.yaml"):
        name, *arguments = hook["entry"].split()
        assert (name, hook["language"]) == ("reconciler", "python")
        done = subprocess.run([COMMAND, *arguments], cwd=repository / "campaigns", capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr
    assert not canary.exists()


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "arguments", [("plan",), ("apply", "--auto-approve", "--poll-interval", "0.05")], ids=lambda a: a[0]
)
def test_the_command_itself_runs_nothing_of_a_checkout(repository, canary, arguments):
    """Intent: started for real, from the first module on, in the folder that was attacked."""
    env = {**os.environ, "EVERSINCE_API_URL": "sandbox", "PATH": PATH}
    done = subprocess.run(
        [COMMAND, *arguments], cwd=repository / "campaigns", env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not canary.exists()


def install(tmp_path, checkout, source, env):
    """The action's own step, in a checkout."""
    steps = load(GITHUB / "actions" / "reconciler" / "action.yml")["runs"]["steps"]
    (step,) = [s for s in steps if s.get("name") == "Install reconciler"]
    temp = tmp_path / "temp"
    temp.mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=checkout,
        env={**inherited, **env, "RUNNER_TEMP": str(temp), "RECONCILER_SOURCE": source, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "source",
    every(
        3,
        [
            "",
            "eversince-reconciler",
            "eversince-reconciler[remote]==0.1.0",
            "0.1.0",
            "0.1.0#sha256=" + HEX[:-1],
            f"0.1.0#sha256={HEX}\n--index-url=https://attacker.invalid",
            f"0.1.0 --index-url=https://attacker.invalid#sha256={HEX}",
            f"other==1#sha256={HEX}",
            "https://example.com/x-1-py3-none-any.whl",
            f"http://example.com/x-1-py3-none-any.whl#sha256={HEX}",
            f"https://example.com/x-1.tar.gz#sha256={HEX}",
            f"./x-1-py3-none-any.whl#sha256={HEX}",
            "git+https://example.com/reconciler.git",
            "git+https://example.com/reconciler.git@main",
            "git+https://example.com/reconciler.git@v0.1.0",
            "git+https://example.com/reconciler.git@" + HEX[:39],
            "git+http://example.com/reconciler.git@" + HEX[:40],
            ".",
            "--upgrade",
        ],
    ),
)
def test_only_a_reviewed_source_is_installed(tmp_path, source):
    """Intent: no name that anybody could register, no branch or tag that moves, no file that could be another one."""
    done = install(tmp_path, tmp_path, source, {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"})
    assert done.returncode == 1
    assert "RECONCILER_SOURCE must name what you reviewed" in done.stderr


def other_file(tmp_path):
    release = Release(tmp_path / "r")
    source = release.source
    release.wheel.write_bytes(Release(tmp_path / "o", lock="attacker==1.0\n").wheel.read_bytes())
    return release, source


def other_version_of_that_name(tmp_path):
    release = Release(tmp_path / "r")
    shutil.copy(Release(tmp_path / "o", lock="attacker==1.0\n").wheel, release.index)
    return release, f"0.1.0#sha256={digest(release.wheel)}"


def other_dependency(tmp_path):
    release = Release(tmp_path / "r", lock=f"helper==1.0 \\\n    --hash=sha256:{HEX}\n")
    return release, from_a_commit(tmp_path, release)


def dependency_without_a_hash(tmp_path):
    release = Release(tmp_path / "r", lock="helper==1.0\n")
    return release, release.source


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "case",
    every(2, [other_file, other_version_of_that_name, other_dependency, dependency_without_a_hash]),
    ids=lambda c: c.__name__,
)
def test_a_file_that_is_not_the_reviewed_one_is_not_installed(tmp_path, case):
    release, source = case(tmp_path)
    done = install(tmp_path, tmp_path, source, release.env)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not (tmp_path / "temp" / "tools" / "reconciler").exists()


def from_a_commit(tmp_path, release):
    source = tmp_path / "source"
    release.tree(source)
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Reviewed")
    commit = git(source, "rev-parse", "HEAD")
    (source / "reconciler" / "runtime.lock").write_text("attacker==1.0\n")
    git(source, "commit", "-qam", "Not reviewed")
    return f"git+{source.as_uri()}@{commit}"


def from_an_index(_, release):
    shutil.copy(release.wheel, release.index)
    return f"0.1.0#sha256={digest(release.wheel)}"


@pytest.mark.sweep
@pytest.mark.parametrize("case", [from_a_commit, from_an_index], ids=lambda c: c.__name__)
def test_the_other_kinds_of_source_work(tmp_path, repository, release, canary, case):
    """Intent: a commit and a version of an index, installed from within the attacked checkout. The tests above take a wheel."""
    done = install(tmp_path, repository, case(tmp_path, release), release.env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reconciler ")
    assert not canary.exists()
    command = [tmp_path / "temp" / "tools" / "reconciler", "--version"]
    assert subprocess.run(command, cwd=repository, capture_output=True, check=True).stdout.startswith(b"reconciler ")
    assert not canary.exists()
