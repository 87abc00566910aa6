"""`reconciler workspaces`: all workspaces below a folder, and why a change concerns one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.git import GitError, repository_of
from reconciler.adapters.specs.footprint import find_workspaces
from reconciler.model.errors import UsageError
from tests.cli.cli_support import Space
from tests.sampling import every, square
from tests.workspaces.spaces_support import (
    FILES,
    SANDBOX,
    commit,
    git,
    listed,
    reasons,
    write,
)

ALL = ["teams/a", "teams/b@dev", "teams/b@prod", "teams/c"]


def put(name: str, content: str | bytes = "") -> Callable[[Path], None]:
    def edit(repo: Path) -> None:
        old = (repo / name).read_bytes() if (repo / name).exists() else b""
        write(repo, name, old + b"\n# more\n" if content == "" else content)

    return edit


def drop(name: str) -> Callable[[Path], None]:
    return lambda repo: (repo / name).unlink()


def move(old: str, new: str) -> Callable[[Path], None]:
    def edit(repo: Path) -> None:
        (repo / new).parent.mkdir(parents=True, exist_ok=True)
        (repo / old).rename(repo / new)

    return edit


def link(name: str, target: str) -> Callable[[Path], None]:
    def edit(repo: Path) -> None:
        (repo / name).unlink(missing_ok=True)
        (repo / name).symlink_to(target)

    return edit


A, B = "teams/a", "teams/b"
CASES = {
    "spec": (put("teams/a/specs/ads.yaml"), {A: {("spec", "modified", "teams/a/specs/ads.yaml")}}),
    "spec added": (
        put("teams/c/specs/new/n.yml", "projects: {}\n"),
        {"teams/c": {("spec", "added", "teams/c/specs/new/n.yml")}},
    ),
    "spec deleted": (
        drop("teams/a/specs/deep/more.yaml"),
        {A: {("spec", "deleted", "teams/a/specs/deep/more.yaml")}},
    ),
    "spec renamed": (
        move("teams/a/specs/deep/more.yaml", "teams/a/specs/here.yaml"),
        {A: {("spec", "renamed", "teams/a/specs/here.yaml")}},
    ),
    "spec out of the way": (
        move("teams/a/specs/deep/more.yaml", "teams/a/more.yaml.off"),
        {A: {("spec", "deleted", "teams/a/specs/deep/more.yaml")}},
    ),
    "spec to another workspace": (
        move("teams/a/specs/deep/more.yaml", "teams/c/specs/more.yaml"),
        {
            A: {("spec", "deleted", "teams/a/specs/deep/more.yaml")},
            "teams/c": {("spec", "renamed", "teams/c/specs/more.yaml")},
        },
    ),
    "brief": (put("teams/a/briefs/teaser.md"), {A: {("brief", "modified", "teams/a/briefs/teaser.md")}}),
    "brief of one environment": (put("teams/b/dev.md"), {"teams/b@dev": {("brief", "modified", "teams/b/dev.md")}}),
    "asset": (
        put("teams/a/assets/logo.png", FILES["teams/a/assets/logo.png"] + b"more"),
        {A: {("asset", "modified", "teams/a/assets/logo.png")}},
    ),
    "variables": (put("teams/a/vars/a.yaml"), {A: {("variables", "modified", "teams/a/vars/a.yaml")}}),
    "shared variables of one environment": (
        put("shared/vars.yaml"),
        {"teams/b@prod": {("shared", "modified", "shared/vars.yaml")}},
    ),
    "shared specs": (put("shared/specs/all.yaml"), {A: {("shared", "modified", "shared/specs/all.yaml")}}),
    "new shared spec": (
        put("shared/specs/x.yaml", "projects:\n  x: {brief: X.}\n"),
        {A: {("shared", "added", "shared/specs/x.yaml")}},
    ),
    "configuration": (
        put("teams/b/reconciler.yaml"),
        {
            "teams/b@dev": {("configuration", "modified", "teams/b/reconciler.yaml")},
            "teams/b@prod": {("configuration", "modified", "teams/b/reconciler.yaml")},
        },
    ),
    "configuration of one environment": (
        put("teams/b/reconciler.yaml", FILES["teams/b/reconciler.yaml"].replace("market: us", "market: de")),
        {"teams/b@dev": {("configuration", "modified", "teams/b/reconciler.yaml")}},
    ),
    "new environment": (
        put("teams/b/reconciler.yaml", FILES["teams/b/reconciler.yaml"] + "  qa: {vars: {market: fr}}\n"),
        {"teams/b@qa": {("configuration", "modified", "teams/b/reconciler.yaml")}},
    ),
    "new workspace": (
        put("teams/d/reconciler.yaml", f"workspace: d\n{SANDBOX}specs: ../c/specs\n"),
        {"teams/d": {("configuration", "added", "teams/d/reconciler.yaml")}},
    ),
    "state in git": (
        put("teams/c/.reconciler/sandbox/reconciler.state.json", "{}"),
        {"teams/c": {("state", "added", "teams/c/.reconciler/sandbox/reconciler.state.json")}},
    ),
    "link to a brief": (
        link("teams/a/briefs/teaser.md", "unused.md"),
        {A: {("brief", "modified", "teams/a/briefs/teaser.md")}},
    ),
    "nobody's": (put("README.md"), {}),
    "not read": (put("teams/a/briefs/unused.md"), {}),
    "not a spec": (put("teams/a/specs/notes.txt", "x"), {}),
    "hidden": (put("teams/a/specs/.draft/x.yaml", "x"), {}),
    "nothing": (lambda _: None, {}),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("case", "committed"), square(2, CASES, [True, False]))
def test_each_change_concerns_those_who_read_the_file(repo, case, committed):
    edit, expected = CASES[case]
    edit(repo)
    if committed:
        commit(repo)
    document = listed(repo, "--changed-since", "HEAD~1" if committed else "HEAD")
    if not committed:  # a rename that git has not been told of is a deletion and a new file
        expected = {
            space: {
                each
                for kind, change, path in why
                for each in ([(kind, "added", path)] if change == "renamed" else [(kind, change, path)])
            }
            for space, why in expected.items()
        }
    found = reasons(document)
    if not committed and case == "spec renamed":
        found[A].discard(("spec", "deleted", "teams/a/specs/deep/more.yaml"))
    assert found == expected
    assert all(reason["uncommitted"] is not committed for row in document["workspaces"] for reason in row["reasons"])


def test_without_a_revision_all_are_listed(repo):
    document = listed(repo)
    assert document["changed_since"] is None
    assert list(reasons(document)) == ALL
    assert [row["name"] for row in document["workspaces"]] == ["a", "b", "b", "c"]
    assert set(document["workspaces"][0]) == {
        "claim",
        "path", "name", "environment", "changed", "deleted", "reasons", "managed", "state", "diagnostics",
    }  # fmt: skip
    assert [row["path"] for row in listed(repo / "teams" / "b")["workspaces"]] == [".", "."]


def test_a_table_tells_people_why(repo):
    put("shared/vars.yaml")(repo)
    put("teams/c/specs/c.yaml")(repo)
    drop("teams/a/specs/deep/more.yaml")(repo)
    out = Space(repo).run("workspaces", "--changed-since", "HEAD").out
    assert out.splitlines()[0].split() == ["PATH", "NAME", "ENVIRONMENT", "WHY"]
    assert "shared shared/vars.yaml (uncommitted)" in out
    assert "spec deleted teams/a/specs/deep/more.yaml (uncommitted)" in out
    assert out.endswith("\n1 not affected.\n")


def test_links_on_the_way_to_a_file_count_too(repo):
    write(repo, "shared/linked/s.yaml", "projects:\n  s: {brief: S.}\n")
    link("shared/again", "linked")(repo)
    write(repo, "teams/c/reconciler.yaml", f"workspace: c\n{SANDBOX}specs: [specs, ../../shared/again]\n")
    commit(repo)
    put("shared/linked/s.yaml")(repo)
    assert reasons(listed(repo, "--changed-since", "HEAD"))["teams/c"] == {
        ("shared", "modified", "shared/linked/s.yaml")
    }
    git(repo, "checkout", "-q", ".")
    write(repo, "teams/c/deep/real/s.yaml", "projects:\n  t: {brief: T.}\n")
    link("teams/c/middle", "deep")(repo)
    link("teams/c/specs/here", "../middle/real")(repo)
    commit(repo)
    link("teams/c/middle", "elsewhere")(repo)
    assert ("spec", "modified", "teams/c/middle") in reasons(listed(repo, "--changed-since", "HEAD"))["teams/c"]
    git(repo, "checkout", "-q", ".")
    drop("teams/c/deep/real/s.yaml")(repo)
    (repo / "teams/c/deep/real").rmdir()  # now the link leads nowhere
    assert reasons(listed(repo, "--changed-since", "HEAD"))["teams/c"] == {
        ("spec", "deleted", "teams/c/deep/real/s.yaml")
    }


def test_a_brief_that_is_gone_is_a_reason_and_an_error(repo):
    drop("teams/a/briefs/teaser.md")(repo)
    commit(repo)
    document = listed(repo, "--changed-since", "HEAD~1", code=1)
    assert ("brief", "deleted", "teams/a/briefs/teaser.md") in reasons(document)["teams/a"]
    assert document["workspaces"][0]["diagnostics"][0]["file"] == "teams/a/specs/ads.yaml"


BROKEN = {
    "spec": ("teams/a/specs/ads.yaml", "projects: [\n"),
    "configuration": ("teams/b/reconciler.yaml", "workspace: b\nenvironments: {dev: {}, prod: {specs: 3}}\n"),
    "no environments": ("teams/b/reconciler.yaml", "workspace: b\nenvironments: 3\n"),
    "no YAML": ("teams/b/reconciler.yaml", "workspace: [b\n"),
    "not UTF-8": ("teams/c/reconciler.yaml", b"workspace: \xff\n"),
    "outside": ("teams/c/reconciler.yaml", "workspace: c\nstate: ../../../x.json\n"),
    "no folder of specs": ("teams/c/reconciler.yaml", f"workspace: c\n{SANDBOX}specs: nowhere\n"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", BROKEN)
def test_an_error_of_one_neither_hides_nor_stops_the_others(repo, case):
    name, content = BROKEN[case]
    write(repo, name, content)
    folder = "/".join(name.split("/")[:2])
    commit(repo)
    put("teams/c/specs/c.yaml")(repo)
    document = listed(repo, "--changed-since", "HEAD~1", code=1)
    rows = {row["path"]: row for row in document["workspaces"]}
    assert set(rows) == {"teams/a", "teams/b", "teams/c"}
    wrong = [row for row in document["workspaces"] if row["path"] == folder]
    assert all(row["changed"] and row["diagnostics"] for row in wrong)
    assert rows["teams/c"]["changed"]
    ran = Space(repo).run("workspaces", "--changed-since", "HEAD~1", code=1)
    assert "can't be read" in ran.out
    assert folder in ran.err


def test_a_workspace_that_cant_be_read_is_affected_by_any_file_of_its_folder_and_by_no_others(repo):
    write(repo, "teams/a/specs/ads.yaml", "projects: [\n")
    write(repo, "teams/a/inner/reconciler.yaml", f"workspace: inner\n{SANDBOX}")
    write(repo, "teams/a/inner/specs/i.yaml", "projects: {}\n")
    commit(repo)
    assert reasons(listed(repo, "--changed-since", "HEAD", code=1)) == {}
    put("teams/a/inner/specs/i.yaml")(repo)
    put("README.md")(repo)
    assert set(reasons(listed(repo, "--changed-since", "HEAD", code=1))) == {"teams/a/inner"}
    put("teams/a/briefs/unused.md")(repo)
    assert ("file", "modified", "teams/a/briefs/unused.md") in reasons(listed(repo, "--changed-since", "HEAD", code=1))[
        "teams/a"
    ]


def test_a_secret_that_only_other_jobs_have_is_no_error(repo):
    write(repo, "teams/c/reconciler.yaml", f"workspace: c\n{SANDBOX}policy: {{allowed_env: [HOOK]}}\n")
    write(
        repo,
        "teams/c/specs/c.yaml",
        'projects:\n  c:\n    brief_file: c.md\n    settings: {webhook_url: "https://example.com/${env.HOOK}"}\n',
    )
    write(repo, "teams/c/c.md", "C.\n")
    commit(repo)
    put("teams/c/c.md")(repo)
    document = listed(repo, "--changed-since", "HEAD")
    assert reasons(document) == {"teams/c": {("brief", "modified", "teams/c/c.md")}}


STATE = {"address": "b", "project_id": "proj_1"}


def managing(folder: Path) -> bytes:
    """Apply for real, so that there is a state."""
    Space(folder).run("apply", "--auto-approve", "--wait", "none", "--state", "reconciler.state.json")
    return (folder / "reconciler.state.json").read_bytes()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kept", ["in git", "on the disk", "nowhere", "in a bucket", "damaged"])
def test_a_deleted_workspace_is_listed_with_what_it_still_manages(repo, kept):
    folder = repo / "teams" / "c"
    config = f"workspace: c\n{SANDBOX}state: reconciler.state.json\n"
    write(repo, "teams/c/reconciler.yaml", config)
    state = b"{" if kept == "damaged" else managing(folder)
    if kept == "on the disk":
        write(repo, ".gitignore", "*.state.json*\n")
    elif kept == "nowhere":
        (folder / "reconciler.state.json").unlink()
    elif kept == "in a bucket":
        write(repo, "teams/c/reconciler.yaml", "workspace: c\nstate: s3://acme/c\n")
    else:
        (folder / "reconciler.state.json").write_bytes(state)
    commit(repo)
    git(repo, "rm", "-rq", "teams/c")
    commit(repo)
    ran = Space(repo).run("workspaces", "--changed-since", "HEAD~1", "--format", "json")
    row = next(row for row in ran.document["workspaces"] if row["path"] == "teams/c")
    assert (row["name"], row["changed"], row["deleted"]) == ("c", True, True)
    assert row["reasons"] == [
        {"kind": "deleted", "path": "teams/c/reconciler.yaml", "change": "deleted", "from": None, "uncommitted": False}
    ]
    text = Space(repo).run("workspaces", "--changed-since", "HEAD~1").out
    if kept in ("in git", "on the disk"):
        assert [each["address"] for each in row["managed"]] == ["c"]
        assert row["managed"][0]["project_id"] in json.dumps(json.loads(state))
        assert "deleted; still manages 1 project: c" in text
        assert "reconciler -C teams/c destroy" in ran.err
    else:
        assert row["managed"] is None
        assert row["state"] == ("s3://acme/c" if kept == "in a bucket" else "reconciler.state.json")
        assert ("s3://acme/c" in text) is (kept == "in a bucket")


def test_a_deleted_environment_is_listed_and_the_others_stay(repo):
    config = FILES["teams/b/reconciler.yaml"].replace("  prod: {vars_file: ../../shared/vars.yaml}\n", "")
    write(repo, "teams/b/reconciler.yaml", config)
    document = listed(repo, "--changed-since", "HEAD")
    assert [(row["environment"], row["deleted"]) for row in document["workspaces"] if row["path"] == "teams/b"] == [
        ("dev", False),
        ("prod", True),
    ]
    assert reasons(document) == {"teams/b@dev": set(), "teams/b@prod": set()} | {
        "teams/b@dev": {("configuration", "modified", "teams/b/reconciler.yaml")},
        "teams/b@prod": {("deleted", "deleted", "teams/b/reconciler.yaml")},
    }


def test_a_renamed_folder_is_the_same_workspace(repo):
    write(repo, "teams/c/reconciler.yaml", "workspace: c\n")
    write(repo, "teams/c/reconciler.state.json", "{}")
    write(repo, ".gitignore", "*.state.json\n")
    commit(repo)
    git(repo, "mv", "teams/c", "brands")
    write(repo, "teams/c/reconciler.state.json", "{}")
    (repo / "brands" / "reconciler.state.json").unlink(missing_ok=True)
    write(repo, "brands/reconciler.yaml", "workspace: c\nlimits: {active_projects: 2}\n")
    commit(repo)
    ran = Space(repo).run("workspaces", "--changed-since", "HEAD~1", "--format", "json")
    rows = {row["path"]: row for row in ran.document["workspaces"]}
    assert "teams/c" not in rows
    moved = [reason for reason in rows["brands"]["reasons"] if reason["kind"] == "renamed"]
    assert [(reason["path"], reason["from"]) for reason in moved] == [("brands", "teams/c")]
    assert "the state of `brands` is still in `teams/c`" in ran.err


def test_another_name_in_the_same_place_is_no_rename(repo):
    git(repo, "mv", "teams/c", "teams/z")
    write(repo, "teams/z/reconciler.yaml", f"workspace: z\n{SANDBOX}")
    commit(repo)
    rows = {row["path"]: row for row in listed(repo, "--changed-since", "HEAD~1")["workspaces"]}
    assert rows["teams/c"]["deleted"]
    assert not rows["teams/z"]["deleted"]
    assert rows["teams/z"]["changed"]


STRANGE = [
    "new\nline",
    "with blank",
    'tab\tand "quotes"',
    b"caf\xe9".decode(errors="surrogateescape"),
    "ünï",
    "-dash",
    ":(glob)*",
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", every(2, STRANGE), ids=range(len(STRANGE)))
def test_names_may_hold_anything(repo, name):
    for file, content in (("reconciler.yaml", f"workspace: odd\n{SANDBOX}"), ("specs/s.yaml", "projects: {}\n")):
        (repo / name / file).parent.mkdir(parents=True, exist_ok=True)
        (repo / name / file).write_text(content)
    document = listed(repo, "--changed-since", "HEAD")
    row = next(row for row in document["workspaces"] if row["name"] == "odd")
    assert row["path"] == name
    assert {reason["path"] for reason in row["reasons"]} == {f"{name}/reconciler.yaml", f"{name}/specs/s.yaml"}
    commit(repo)
    (repo / name / "specs" / "s.yaml").rename(repo / name / "specs" / f"{name}.yaml")
    commit(repo)
    row = next(row for row in listed(repo, "--changed-since", "HEAD~1")["workspaces"] if row["name"] == "odd")
    assert [(each["change"], each["path"]) for each in row["reasons"]] == [("renamed", f"{name}/specs/{name}.yaml")]
    ran = Space(repo).run("workspaces", "--changed-since", "HEAD~1")
    assert ran.out.count("\n") == 4


def test_ignored_folders_and_those_of_packages_are_no_workspaces(repo):
    write(repo, ".gitignore", "build/\n")
    for folder in ("build", "node_modules/x", ".hidden", "teams/c/.reconciler/copy"):
        write(repo, f"{folder}/reconciler.yaml", "workspace: no\n")
    (repo / "again").symlink_to("teams")
    assert list(reasons(listed(repo))) == ALL


def test_no_workspace_below(tmp_path):
    ran = Space(tmp_path).run("workspaces")
    assert ran.out == "No workspaces: no folder here has a `reconciler.yaml`.\n"
    assert listed(tmp_path)["workspaces"] == []
    Space(tmp_path).run("-C", "missing", "workspaces", code=1)


def test_a_configuration_that_leads_out_is_not_read(repo, tmp_path):
    (tmp_path / "secret.yaml").write_text("workspace: secret\nenvironments: {hidden: {}}\n")
    link("teams/c/reconciler.yaml", "../../../secret.yaml")(repo)
    ran = Space(repo).run("workspaces", "--format", "json", code=1)
    assert "hidden" not in ran.out + ran.err
    assert [row["name"] for row in ran.document["workspaces"]] == ["a", "b", "b", "c"]


def test_what_is_too_deep_is_named_and_the_rest_is_listed(repo):
    folder = repo / "/".join(["d"] * 103)
    folder.mkdir(parents=True)
    (repo / "loop").symlink_to(".")
    ran = Space(repo).run("workspaces", "--format", "json")
    assert len(ran.document["workspaces"]) == 4
    assert "is not looked at" in ran.document["diagnostics"][0]["summary"]


def test_a_tree_without_end_is_refused(repo, monkeypatch):
    monkeypatch.setattr("reconciler.adapters.specs.footprint.ENTRIES_MAX", 10)
    with pytest.raises(UsageError, match="more than 10 files"):
        find_workspaces(str(repo), ())


def test_git_that_answers_without_end_is_ended(repo):
    found = repository_of(repo)
    with pytest.raises(GitError, match="more than 10 bytes"):
        found._run("ls-files", limit=10)


@pytest.mark.sweep
def test_one_environment_can_be_chosen(repo):
    put("shared/vars.yaml")(repo)
    for chosen in ({"RECONCILER_ENVIRONMENT": "prod"}, {}):
        flag = [] if chosen else ["-e", "prod"]
        document = listed(repo, *flag, "--changed-since", "HEAD", **chosen)
        assert [(row["path"], row["environment"], row["changed"]) for row in document["workspaces"]] == [
            ("teams/b", "prod", True)
        ]
    assert "Environments here: dev, prod" in Space(repo).run("workspaces", "-e", "live", code=1).err


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("environment", "code"), [("prod", 2), ("dev", 0)])
def test_the_exit_code_can_tell_that_something_is_affected(repo, environment, code):
    put("shared/vars.yaml")(repo)
    compared = ("workspaces", "--changed-since", "HEAD", "--detailed-exitcode", "-e", environment)
    Space(repo / "teams" / "b").run(*compared, code=code)
    write(repo, "teams/b/specs/b.yaml", "projects: [\n")
    Space(repo / "teams" / "b").run(*compared, code=1)


def test_a_deletion_that_is_not_committed_is_told_so(repo):
    put("teams/c/reconciler.yaml")(repo)
    commit(repo)
    git(repo, "rm", "-rq", "--cached", "teams/c")
    shutil.rmtree(repo / "teams" / "c")
    row = listed(repo, "--changed-since", "HEAD~1")["workspaces"][-1]
    assert (row["path"], row["deleted"]) == ("teams/c", True)
    assert row["reasons"][0]["uncommitted"]


def test_a_workspace_that_came_and_went_since_is_none(repo):
    put("teams/d/reconciler.yaml", "workspace: d\n")(repo)
    commit(repo)
    drop("teams/d/reconciler.yaml")(repo)
    assert [row["path"] for row in listed(repo, "--changed-since", "HEAD~1")["workspaces"]][-1] == "teams/c"
