"""`reconciler workspaces --changed-since`: what git knows is git's to say, and nothing of a checkout is run."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.cli_support import Space
from tests.workspaces.spaces_support import (
    SANDBOX,
    commit,
    git,
    listed,
    make_repository,
    reasons,
    write,
)

SPEC = "teams/c/specs/c.yaml"
C = {"teams/c": {("spec", "modified", SPEC)}}


def edit(repo: Path, name: str = SPEC, text: str = "# more\n") -> None:
    with (repo / name).open("a") as file:
        file.write(text)


def branched(repo: Path) -> None:
    """`main` goes on with team a; the branch changes team c."""
    git(repo, "checkout", "-q", "-b", "work")
    edit(repo)
    commit(repo)
    git(repo, "checkout", "-q", "main")
    edit(repo, "teams/a/vars/a.yaml")
    commit(repo)
    git(repo, "checkout", "-q", "work")


def test_a_branch_is_compared_with_where_it_began(repo):
    branched(repo)
    document = listed(repo, "--changed-since", "main")
    assert reasons(document) == C
    parted = git(repo, "merge-base", "main", "work")
    assert document["changed_since"] == {
        "ref": "main",
        "commit": git(repo, "rev-parse", "main"),
        "merge_base": parted,
    }


@pytest.mark.sampled(3)
@pytest.mark.parametrize("ref", ["HEAD~1", "HEAD^", "v1", "main", "refs/heads/main", "sha"])
def test_any_revision_is_taken(repo, ref):
    sha = git(repo, "rev-parse", "HEAD")
    git(repo, "tag", "-a", "-m", "one", "v1")
    git(repo, "checkout", "-q", "-b", "work")
    edit(repo)
    commit(repo)
    assert reasons(listed(repo, "--changed-since", sha if ref == "sha" else ref)) == C


@pytest.mark.parametrize("digits", [40, 64])
def test_zeros_mean_that_nothing_was_there(repo, digits):
    if digits == 64:
        shutil.rmtree(repo / ".git")
        git(repo, "init", "-q", "--object-format=sha256")
        commit(repo)
    document = listed(repo, "--changed-since", "0" * digits)
    assert len(reasons(document)) == 4
    assert document["changed_since"]["commit"] is None


WRONG = {
    "nowhere": "there is no commit `nowhere` here",
    "--output=/tmp/x": "is not a revision",
    "-x": "is not a revision",
    "": "is not a revision",
    "HEAD:teams": "there is no commit",
    "main..work": "there is no commit",
    "new\nline": "there is no commit",
    "f" * 40: "there is no commit",
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("ref", WRONG)
def test_what_is_no_commit_is_an_error_that_helps(repo, ref):
    ran = Space(repo).run("workspaces", f"--changed-since={ref}", "--format", "json", code=1)
    assert WRONG[ref] in ran.errors[0]["summary"]
    assert not (Path("/tmp") / "x").exists()


def test_a_branch_of_the_remote_is_suggested(repo):
    git(repo, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    assert "name that" in Space(repo).run("workspaces", "--changed-since", "trunk", code=1).err


@pytest.mark.sweep
def test_a_shallow_clone_says_how_to_get_the_rest(repo, tmp_path):
    branched(repo)
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", "--no-single-branch", f"file://{repo}", str(shallow)], check=True
    )
    for ref in ("origin/main", git(repo, "merge-base", "main", "work")):
        ran = Space(shallow).run("workspaces", "--changed-since", ref, code=1)
        assert "git fetch --unshallow" in ran.err
        assert "fetch-depth: 0" in ran.err
    assert len(listed(shallow)["workspaces"]) == 4  # listing needs no history
    git(shallow, "fetch", "-q", "--unshallow")
    assert reasons(listed(shallow, "--changed-since", "origin/main")) == C


def test_a_shallow_clone_that_has_the_base_is_enough(repo, tmp_path):
    branched(repo)
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "2", "--no-single-branch", f"file://{repo}", str(shallow)], check=True
    )
    assert reasons(listed(shallow, "--changed-since", "origin/main")) == C


def test_histories_without_a_common_commit(repo):
    git(repo, "checkout", "-q", "--orphan", "other")
    commit(repo)
    ran = Space(repo).run("workspaces", "--changed-since", "main", code=1)
    assert "no common history" in ran.err
    assert "unshallow" not in ran.err


def test_a_branch_without_a_commit(tmp_path):
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")
    assert "there is no commit" in Space(tmp_path / "new").run("workspaces", "--changed-since", "HEAD", code=1).err
    assert listed(tmp_path / "new")["workspaces"] == []


def test_outside_a_repository_all_can_be_listed_and_nothing_compared(tmp_path):
    write(tmp_path, "ws/reconciler.yaml", f"workspace: w\n{SANDBOX}")
    write(tmp_path, "ws/specs/s.yaml", "projects: {}\n")
    assert [row["path"] for row in listed(tmp_path)["workspaces"]] == ["ws"]
    assert "not in a git repository" in Space(tmp_path).run("workspaces", "--changed-since", "HEAD", code=1).err


def test_without_git_all_can_be_listed(repo, tmp_path):
    (tmp_path / "bin").mkdir()
    assert len(listed(repo, PATH=str(tmp_path / "bin"))["workspaces"]) == 4
    (tmp_path / "here").write_text("#!/bin/sh\ntouch ran\n")
    ran = Space(repo, {"PATH": "."}).run("workspaces", "--changed-since", "HEAD", code=1)
    assert "git is not installed" in ran.err


def test_staged_and_unstaged_changes_are_one(repo):
    edit(repo)
    git(repo, "add", "--all")
    edit(repo)
    assert reasons(listed(repo, "--changed-since", "HEAD")) == C
    commit(repo)
    edit(repo)
    (why,) = next(row for row in listed(repo, "--changed-since", "HEAD~1")["workspaces"] if row["changed"])["reasons"]
    assert why["uncommitted"]


def test_what_was_added_and_taken_away_again_is_no_change(repo):
    write(repo, "teams/c/specs/new.yaml", "projects: {}\n")
    commit(repo)
    (repo / "teams/c/specs/new.yaml").unlink()
    assert reasons(listed(repo, "--changed-since", "HEAD~1")) == {}


@pytest.mark.sweep
def test_a_linked_worktree_is_a_checkout_of_its_own(repo, tmp_path):
    edit(repo)
    git(repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert reasons(listed(tmp_path / "side", "--changed-since", "main")) == {}
    edit(tmp_path / "side", "teams/a/vars/a.yaml")
    assert set(reasons(listed(tmp_path / "side", "--changed-since", "main"))) == {"teams/a"}


@pytest.mark.sweep
def test_workspaces_and_assets_in_a_submodule_change_with_its_commit(repo, tmp_path):
    other = make_repository(
        tmp_path / "other",
        {"ws/reconciler.yaml": f"workspace: sub\n{SANDBOX}", "ws/specs/s.yaml": "projects: {}\n", "logo.png": "x"},
    )
    git(repo, "submodule", "--quiet", "add", f"file://{other}", "vendored")
    commit(repo)
    assert reasons(listed(repo, "--changed-since", "HEAD")) == {}
    edit(repo / "vendored", "ws/specs/s.yaml")
    commit(repo / "vendored")
    expected = {"vendored/ws": {("submodule", "modified", "vendored")}}
    assert reasons(listed(repo, "--changed-since", "HEAD")) == expected
    commit(repo)
    assert reasons(listed(repo, "--changed-since", "HEAD~1")) == expected


@pytest.mark.sweep
def test_git_of_a_bare_repository_in_the_branch_is_not_asked(repo, tmp_path):
    mark = tmp_path / "ran"
    trap = repo / "teams" / "c" / "trap"
    git(repo, "init", "-q", "--bare", str(trap))
    edit(trap, "config", f"[core]\n\tfsmonitor = touch {mark}\n\tbare = false\n\tworktree = {repo}\n")
    write(trap, "reconciler.yaml", f"workspace: trap\n{SANDBOX}")
    Space(trap).run("workspaces", "--changed-since", "HEAD", code=1)
    Space(repo).run("workspaces", "--changed-since", "HEAD", code=1)
    assert not mark.exists()


PROGRAMS = {
    "core.fsmonitor": "{run}",
    "core.hooksPath": "{folder}",
    "core.pager": "{run}",
    "core.sshCommand": "{run}",
    "core.gitProxy": "{run}",
    "diff.external": "{run}",
    "diff.evil.textconv": "{run}",
    "diff.evil.command": "{run}",
    "filter.evil.clean": "{run}",
    "filter.evil.smudge": "{run}",
    "filter.a=b c.process": "{run}",
    "filter.evil.required": "true",
    "credential.helper": "!{run}",
    "alias.diff-index": "!{run}",
    "uploadpack.packObjectsHook": "{run}",
}


def test_nothing_that_a_checkout_configures_is_run(repo, tmp_path, monkeypatch):
    mark, run = tmp_path / "ran", tmp_path / "programs" / "post-index-change"
    run.parent.mkdir()
    run.write_text(f'#!/bin/sh\necho "$0 $@" >> {mark}\ncat\n')
    run.chmod(run.stat().st_mode | stat.S_IXUSR)
    for hook in ("pre-auto-gc", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy2(run, run.with_name(hook))
        shutil.copy2(run, repo / ".git" / "hooks" / hook)
    write(repo, ".gitattributes", "* filter=evil diff=evil\n*.md filter=a=b c\n")
    commit(repo)
    for name, value in PROGRAMS.items():
        git(repo, "config", name, value.format(run=run, folder=run.parent))
    edit(repo)
    for name in ("EXTERNAL_DIFF", "SSH_COMMAND", "PAGER", "ASKPASS", "PROXY_COMMAND"):
        monkeypatch.setenv(f"GIT_{name}", str(run))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(run))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    mark.unlink(missing_ok=True)  # this test's own git ran them
    before = sorted((path, path.stat().st_mtime_ns) for path in (repo / ".git").rglob("*"))
    assert reasons(listed(repo, "--changed-since", "HEAD")) == C
    assert not mark.exists(), mark.read_text()
    assert sorted((path, path.stat().st_mtime_ns) for path in (repo / ".git").rglob("*")) == before


@pytest.mark.sweep
def test_a_partial_clone_fetches_nothing(repo, tmp_path):
    branched(repo)
    git(repo, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    subprocess.run(["git", "clone", "-q", "--filter=blob:none", f"file://{repo}", str(partial)], check=True)
    git(partial, "rm", "-rq", "teams/b")
    git(partial, "mv", "teams/a/specs/deep/more.yaml", "teams/a/specs/there.yaml")
    edit(partial, "teams/a/reconciler.yaml")
    commit(partial)
    shutil.move(repo, tmp_path / "gone")
    found = reasons(listed(partial, "--changed-since", "origin/main"))
    assert {"teams/a", "teams/c"} <= {name.partition("@")[0] for name in found}
