"""Specs and values from above the workspace, inside the same git repository and never outside it."""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.cli_support import Space, make_space

SPEC = "projects:\n  shared: {brief: From above.}\n"
CONFIG = "workspace: acme\napi: {url: sandbox}\n"


@pytest.fixture
def space(tmp_path) -> Space:
    """A workspace in ``repo/teams/a``; specs in ``repo/shared``; a repository below and things outside."""
    repo = tmp_path / "repo"
    repo.mkdir()
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    made = make_space(repo / "teams" / "a", "projects:\n  own: {brief: Mine.}\n", CONFIG)
    for folder in (repo / "shared", repo / "nested", repo / "nested" / "deep", tmp_path / "outside", repo / ".hidden"):
        folder.mkdir()
        (folder / "s.yaml").write_text(SPEC)
        (folder / "vars.json").write_text('{"x": "y"}')
    subprocess.run(["git", "init", "-q", str(repo / "nested")], check=True)
    (repo / "linked").symlink_to(tmp_path / "outside")
    (repo / "inward").symlink_to("shared")
    (repo / "tunnel").symlink_to("nested/deep")
    return made


@pytest.mark.sampled(3)
@pytest.mark.parametrize("specs", ["../../shared", "[specs, ../../shared]", "../../inward", "../../teams/a/specs"])
def test_a_folder_of_the_same_repository_is_read(space, specs):
    space.write("reconciler.yaml", f"{CONFIG}specs: {specs}\n")
    assert "Valid" in space.run("validate").out
    found = {step["address"] for step in space.run("plan", "--format", "json").document["steps"]}
    assert found == {"own"} if "teams" in specs else "shared" in found
    space.run("fmt")


def test_an_error_above_is_told_where_it_is(space):
    space.write("../../shared/s.yaml", "projects:\n  shared: {brif: x}\n")
    space.write("reconciler.yaml", f"{CONFIG}specs: ../../shared\n")
    assert "../../shared/s.yaml:2:12" in space.run("validate", code=1).err


OUTSIDE = [
    ("../../../outside", "its git repository"),
    ("../../../repo/../outside", "its git repository"),
    ("../../linked", "its git repository"),
    ("../../nested", "in another git repository"),
    ("../../nested/deep", "in another git repository"),
    ("../../tunnel", "in another git repository"),
    ("../../.hidden", "hidden"),
    ("../../.git", "hidden"),
    ("../..", None),
    ("/etc", "not a path inside"),
    ("..\\\\..\\\\shared", "not a path inside"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("key", ["specs", "vars_file"])
@pytest.mark.parametrize(("path", "piece"), OUTSIDE)
def test_nothing_outside_is_read(space, key, path, piece):
    """Intent: exit 1 at the line; also through a link, or in a repository inside the repository."""
    value = path if key == "specs" or piece is None else f"{path}/vars.json"
    for block in (f'{key}: "{value}"\n', f'environments: {{dev: {{{key}: "{value}"}}}}\n'):
        space.write("reconciler.yaml", CONFIG + block)
        args = ("-e", "dev") if "environments" in block else ()
        ran = space.run(*args, "validate", code=1)
        if piece is not None:
            assert "reconciler.yaml:3:" in ran.err and "E107" in ran.err and piece in ran.err, ran.err
        assert "From above" not in ran.err


@pytest.mark.parametrize("link", ["folder", "file"])
def test_a_link_below_a_folder_above_does_not_lead_out(space, tmp_path, link):
    shared = space.root.parent.parent / "shared"
    target = tmp_path / "outside"
    (shared / "more").symlink_to(target) if link == "folder" else (shared / "m.yaml").symlink_to(target / "s.yaml")
    space.write("reconciler.yaml", f"{CONFIG}specs: ../../shared\n")
    assert "E107" in space.run("validate", code=1).err


def test_a_workspace_in_a_nested_repository_does_not_see_the_outer_one(space):
    """Intent: the repository is the nearest one above, as git has it."""
    subprocess.run(["git", "init", "-q", str(space.root)], check=True)
    space.write("reconciler.yaml", f"{CONFIG}specs: ../../shared\n")
    assert "its git repository" in space.run("validate", code=1).err


def test_without_a_repository_nothing_above_is_read(tmp_path):
    space = make_space(tmp_path / "x" / "w", SPEC, f"{CONFIG}specs: ../shared\n")
    (tmp_path / "x" / "shared").mkdir()
    told = space.run("validate", code=1).err
    assert "not a path inside the workspace" in told and "git repository" in told
