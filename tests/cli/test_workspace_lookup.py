"""The workspace is looked for upwards, as git does: from any folder in it a command does the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.adapters.specs.workspace_root import find_workspace
from reconciler.model.errors import ConfigError
from tests.cli.cli_support import APPLY, CONFIG, Space, make_space


@pytest.fixture
def space(tmp_path):
    space = make_space(tmp_path / "w")
    space.write("specs/briefs/deep/note.md", "x")
    return space


def within(space: Space, folder: str) -> Space:
    return Space(space.root / folder, space.env)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("folder", ["specs", "specs/briefs", "specs/briefs/deep"])
def test_a_command_in_a_folder_of_the_workspace_does_what_it_does_at_its_top(space, folder):
    here = within(space, folder)
    assert "Valid: 1 project." in here.run("validate").out
    assert "teaser" in here.run("plan").out
    before = tree(space.root / folder)

    here.run(*APPLY)

    assert (space.root / "reconciler.state.json").exists() or (space.root / ".reconciler").exists()
    assert tree(space.root / folder) == before
    assert "No changes" in space.run("plan").out and "No changes" in here.run("plan").out
    assert "teaser" in here.run("state", "list").out


def test_files_that_are_named_are_those_that_the_user_means(space):
    here = within(space, "specs/briefs")
    space.write("specs/briefs/more.vars", "look: warm\n")
    space.write("specs/a.yaml", "variables: {look: {}}\nprojects: {teaser: {brief: 'A ${var.look} film.'}}\n")

    here.run("plan", "--var-file", "more.vars", "--out", "saved.plan")
    assert (here.root / "saved.plan").exists() and not (space.root / "saved.plan").exists()
    assert "A warm film." in here.run("show", "saved.plan").out
    here.run("apply", "saved.plan", "--poll-interval", "0.05", "--events", "events.jsonl")
    assert (here.root / "events.jsonl").stat().st_size
    assert "No changes" in within(space, "specs").run("plan", "--var", "look=warm").out


def test_a_state_that_is_typed_is_meant_from_here_and_the_environments_from_the_workspace(space):
    here = within(space, "specs")
    here.run("--state", "../typed.json", *APPLY)
    here.run("-C", "briefs", "--state", "own.json", *APPLY)
    here.run(*APPLY, RECONCILER_STATE="env.json")

    assert {"typed.json", "env.json"} <= set(tree(space.root)) and "specs/briefs/own.json" in tree(space.root)


def test_fmt_takes_paths_from_here(space):
    space.write("specs/b.yaml", "projects:\n      b: {brief:   'x'}\n")
    space.write("specs/c.yaml", "projects:\n      c: {brief:   'x'}\n")
    here = within(space, "specs")

    here.run("fmt", "b.yaml")

    assert "      b" not in (here.root / "b.yaml").read_text() and "      c" in (here.root / "c.yaml").read_text()
    assert "is not a spec file" in within(space, "specs/briefs").run("fmt", "b.yaml", code=1).err


def test_chdir_is_where_the_search_begins(space, tmp_path):
    outside = Space(tmp_path, space.env)
    assert "Valid: 1 project." in outside.run("-C", "w/specs/briefs", "validate").out
    assert "Valid: 1 project." in outside.run("-C", "w", "validate").out
    assert "`w`: its `reconciler.yaml`" in outside.run("-C", "w/specs", "-v", "validate").err
    assert "`..`: its `reconciler.yaml`" in within(space, "specs").run("-v", "validate").err
    assert "its `reconciler.yaml`" not in space.run("-v", "validate").err + within(space, "specs").run("validate").err


def test_init_never_looks_upwards(space):
    within(space, "specs/briefs").run("init")
    assert (space.root / "specs/briefs/reconciler.yaml").exists()
    assert (space.root / "reconciler.yaml").read_text() == CONFIG


@pytest.mark.parametrize("mark", ["reconciler.yaml", "reconciler.state.json", ".reconciler/x", "reconciler.yml"])
def test_the_nearest_workspace_counts_also_one_without_a_configuration(space, mark):
    space.write(f"specs/{mark}", "")
    assert find_workspace(space.root / "specs", {}) == space.root / "specs"


@pytest.mark.parametrize("git", [".git/HEAD", ".git"])
def test_nothing_is_looked_for_above_a_repository(space, git):
    space.write(f"specs/briefs/{git}", "gitdir: x\n")
    assert find_workspace(space.root / "specs/briefs/deep", {}) == space.root / "specs/briefs/deep"
    api = {"EVERSINCE_API_KEY": "k", "EVERSINCE_API_URL": "http://localhost:9"}
    err = within(space, "specs/briefs/deep").run("plan", code=1, **api).err
    assert "no `reconciler.yaml` here or in any folder above" in err

    space.write(git, "gitdir: x\n")
    assert "Valid" in within(space, "specs").run("validate").out  # at its top it is looked for


def test_nothing_is_looked_for_above_home_nor_on_another_file_system(space, monkeypatch):
    deep = space.root / "specs/briefs/deep"
    assert find_workspace(deep, {"HOME": str(space.root / "specs")}) == deep
    assert find_workspace(deep, {"HOME": str(space.root)}).resolve() == space.root
    stat = Path.stat

    def elsewhere(self, **named):
        found = stat(self, **named)
        return os.stat_result((*found[:2], found.st_dev + (self == space.root / "specs"), *found[3:10]))

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert find_workspace(deep, {}) == deep


class TestOwner:
    """What another user planted above is refused, whoever owns the folder in between."""

    @pytest.fixture(autouse=True)
    def _owners(self, monkeypatch, space):
        self.uid, self.owners = 1000, {}
        lstat = Path.lstat

        def owned(path):
            found = list(lstat(path)[:10])
            found[4] = self.owners.get(str(path.relative_to(space.root)), self.uid)
            return os.stat_result(found)

        monkeypatch.setattr(Path, "lstat", owned)
        monkeypatch.setattr(os, "geteuid", lambda: self.uid)

    @pytest.mark.parametrize(
        ("uid", "env", "owners"),
        [
            (1000, {}, {".": 1001}),
            (1000, {}, {".": 0}),
            (1000, {}, {"reconciler.yaml": 1001}),
            (1000, {"SUDO_UID": "1001"}, {".": 1001}),
            (0, {}, {"reconciler.yaml": 1001}),  # root, below a folder where all may write
            (0, {"SUDO_UID": "1001"}, {".": 1002}),
            (0, {"SUDO_UID": "x"}, {".": 1001}),
        ],
    )
    def test_what_belongs_to_another_user_is_refused(self, space, uid, env, owners):
        self.uid, self.owners = uid, owners
        with pytest.raises(ConfigError, match="belongs to another user") as caught:
            find_workspace(space.root / "specs" / "briefs", env)
        assert "reconciler -C" in caught.value.diagnostics[0].detail

    @pytest.mark.parametrize(
        ("uid", "env", "owners"),
        [
            (1000, {}, {}),
            (0, {"SUDO_UID": "1001"}, {".": 1001, "reconciler.yaml": 1001}),
            (0, {"SUDO_UID": "1001"}, {".": 0, "reconciler.yaml": 1001}),
            (1000, {}, {"specs": 1001}),  # only what decides counts
        ],
    )
    def test_what_belongs_to_the_user_is_taken(self, space, uid, env, owners):
        self.uid, self.owners = uid, owners
        assert find_workspace(space.root / "specs" / "briefs", env).resolve() == space.root

    def test_the_folder_that_the_user_names_needs_no_owner(self, space):
        self.owners = {".": 1001, "reconciler.yaml": 1001}
        assert find_workspace(space.root, {}) == space.root
