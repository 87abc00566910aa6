"""The release workflow: least privilege, pinned, no secret; its steps run for real, but for what only GitHub and PyPI do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import project_files
from tests.command import ROOT
from tests.recipes.test_recipes import ACTIONS, WORKFLOWS, requirements, zizmor
from tests.recipes.workflow import git, load

FILE = ROOT / ".github" / "workflows" / "release.yml"
RELEASE = load(FILE)
JOBS = RELEASE["jobs"]
PIN = re.compile(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # v(\d+)\.(\d+\.\d+)$")
VERSION = "0.1.0"


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    shutil.copytree(ROOT / ".github" / "workflows", root / ".github" / "workflows")
    git(root, "init", "-q")
    return root


@pytest.mark.sweep
def test_the_workflow_fits_github_s_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_and_zizmor_find_nothing(repository):
    done = zizmor(repository)
    assert done.returncode == 0, done.stdout
    path = repository / ".github" / "workflows" / "release.yml"
    path.write_text(re.sub(r"@[0-9a-f]{40} # (v\d+)\S*", r"@\1", path.read_text()))  # it knows actions by release
    command = [Path(sys.executable).with_name("actionlint"), "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_job_has_only_what_it_needs():
    assert RELEASE["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "check": {"contents": "read"},
        "build": {"contents": "read"},
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
        "release": {"contents": "write"},
    }
    assert "secrets." not in FILE.read_text()
    assert JOBS["publish"]["environment"]["name"] == "pypi"


def test_who_may_sign_or_publish_runs_no_command_and_has_no_checkout():
    for name, job in JOBS.items():
        if "id-token" in job["permissions"]:
            assert all("uses" in step and "checkout" not in step["uses"] for step in job["steps"]), name


def test_nothing_is_published_that_was_not_tested_built_and_attested():
    needs = {name: job.get("needs") for name, job in JOBS.items()}
    assert needs == {"check": None, "build": "check", "attest": "build", "publish": "attest", "release": "publish"}


def test_every_action_is_pinned_by_a_commit_and_the_same_one_as_in_the_recipes():
    pins = [PIN.search(line) for line in FILE.read_text().splitlines() if re.search(r"^\s*(- )?uses:", line)]
    assert pins and all(pins)
    recipes = "".join(path.read_text() for path in (*WORKFLOWS, *ACTIONS))
    for pin in pins:
        name, commit = pin[1], pin[2]
        assert name not in recipes or f"{name}@{commit}" in recipes


def test_no_expression_is_in_a_command():
    for job in JOBS.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_the_tools_are_locked_by_their_hashes():
    pinned, text = requirements(ROOT / ".github" / "release.lock")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all("--hash=sha256:" in line for line in lines) and "://" not in text
    tested, _ = requirements(ROOT / "requirements.lock")
    assert {"hatchling", "cyclonedx-bom"} <= pinned.keys()
    assert {name: version for name, version in pinned.items() if name in tested} == {
        name: version for name, version in tested.items() if name in pinned
    }


class Machine:
    """The runner of the job that builds: a clone of the project, whose main branch has the commit."""

    def __init__(self, root):
        self.temp = root / "temp"
        self.temp.mkdir()
        self.clone = project_files.copy(root / "clone")
        changelog = self.clone / "CHANGELOG.md"
        notes = f"## [{VERSION}] - 2026-12-01\n\n### Added\n\n* All of it.\n\n## [0.0.1]\n\n* Older.\n"
        changelog.write_text(changelog.read_text(encoding="utf-8") + "\n" + notes, encoding="utf-8")
        git(self.clone, "init", "-q", "-b", "main")
        self.commit()
        git(self.clone, "update-ref", "refs/remotes/origin/main", "HEAD")

    def commit(self):
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "-qm", "A commit")

    def has_the_tools(self):
        (self.temp / "tools" / "bin").mkdir(parents=True)
        python = self.temp / "tools" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def step(self, name, *, tag=f"v{VERSION}"):
        (step,) = [step for step in JOBS["build"]["steps"] if step.get("name") == name]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "PYTHON", "GIT_"))}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.clone,
            env={
                **kept,
                "RUNNER_TEMP": str(self.temp),
                "TAG": tag,
                "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.sweep
def test_a_tag_that_is_not_the_version_or_not_of_the_main_branch_is_refused(machine):
    machine.has_the_tools()
    assert machine.step("Check the tag").returncode == 0
    assert (machine.temp / "notes.md").read_text().split() == ["###", "Added", "*", "All", "of", "it."]
    done = machine.step("Check the tag", tag="v9.9.9")
    assert done.returncode == 1 and f"The tag is v9.9.9, and the version is {VERSION}." in done.stdout
    changelog = machine.clone / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text(encoding="utf-8").replace(f"## [{VERSION}]", "## [0.0.2]"), encoding="utf-8"
    )
    done = machine.step("Check the tag")
    assert done.returncode == 1 and f"CHANGELOG.md has no section for {VERSION}." in done.stdout
    machine.commit()
    done = machine.step("Check the tag")
    assert done.returncode == 1 and "is not a commit of the main branch" in done.stdout


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.sweep
def test_the_same_commit_gives_the_same_bytes(machine):
    machine.has_the_tools()
    made = machine.temp / "release" / "dist"
    assert machine.step("Build").returncode == 0
    first = digests(made)
    assert {Path(name).suffix for name in first} == {".whl", ".gz"}
    shutil.rmtree(made)
    for path in machine.clone.rglob("*.md"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert machine.step("Build").returncode == 0
    assert digests(made) == first


@pytest.mark.sweep
@pytest.mark.timeout(900)
def test_the_whole_job_builds_and_lists_what_it_depends_on(machine):
    """Intent: with the tools of the lock, from the index."""
    for name in ("Install the tools", "Check the tag", "Build", "List what it depends on"):
        done = machine.step(name)
        assert done.returncode == 0, done.stdout + done.stderr
    bom = json.loads((machine.temp / "release" / "sbom" / "reconciler.cdx.json").read_text())
    pinned, _ = requirements(ROOT / "reconciler" / "runtime.lock")
    assert {component["name"]: component["version"] for component in bom["components"]} == pinned
    assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == "eversince-reconciler"
    hashes = {h["content"] for c in bom["components"] for r in c["externalReferences"] for h in r.get("hashes", ())}
    assert hashes == set(re.findall("sha256:([0-9a-f]{64})", (ROOT / "reconciler" / "runtime.lock").read_text()))
