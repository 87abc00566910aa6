"""What a branch's file names for reading or writing stays inside the workspace; elsewhere only flags and environment."""

from __future__ import annotations

import pytest

from reconciler.model.errors import ConfigError
from tests.cli.cli_support import APPLY, CONFIG, make_space
from tests.spec_files import load_config

OUTSIDE = [
    "{outside}/s.json",
    "../outside/s.json",
    "a/../../outside/s.json",
    "a/..",
    "..",
    "file://{outside}",
    "file:///",
    "FILE://{outside}",
    "file:../outside",
    "~/s.json",
    "~root/s.json",
    "..\\\\outside\\\\s.json",
    "linked/s.json",
    "linked/deep/s.json",
    "inward/s.json",
    "dir/linked/s.json",
    "link.json",
    "dangling.json",
    "./link.json",
    ".git/config",
    ".GIT/hooks/post-checkout",
]


def workspace(tmp_path, state):
    """A workspace with links as a branch may commit them, and a folder outside that nobody may touch."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "precious.json").write_text("precious")
    space = make_space(tmp_path / "w", config=CONFIG + f'state: "{state.format(outside=outside)}"\n')
    for folder in ("dir", ".git", "inner"):
        (space.root / folder).mkdir()
    (space.root / "linked").symlink_to("../outside")
    (space.root / "dir" / "linked").symlink_to("../../outside")
    (space.root / "inward").symlink_to("inner")
    (space.root / "link.json").symlink_to("../outside/precious.json")
    (space.root / "dangling.json").symlink_to("../outside/new.json")
    return space, outside


@pytest.mark.sampled(3)
@pytest.mark.parametrize("state", OUTSIDE)
def test_a_state_in_the_file_stays_inside(tmp_path, state):
    # Intent: exit 1 at the line, the two ways that may name such a place; nothing read, called or written.
    space, outside = workspace(tmp_path, state)
    before = sorted(tmp_path.rglob("*"))
    for args in (("plan",), APPLY):
        ran = space.run(*args, code=1)
        assert "reconciler.yaml:5:8" in ran.err and "E107" in ran.err, ran.err
        assert "--state or RECONCILER_STATE" in ran.err
    assert sorted(tmp_path.rglob("*")) == before
    assert (outside / "precious.json").read_text() == "precious"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "state", ["s.json", "dir/s.json", "new/folder/s.json", ".reconciler/s.json", "./a.json", "a..b"]
)
def test_any_place_inside_will_do(tmp_path, state):
    space, _ = workspace(tmp_path, state)
    space.run(*APPLY)
    assert '"lineage"' in (space.root / state).read_text()


@pytest.mark.parametrize("state", ["s3://bucket/prefix", "gs://bucket", "az://container/prefix"])
def test_a_bucket_is_no_place_on_this_machine(tmp_path, state):
    (tmp_path / "reconciler.yaml").write_text(f"state: {state}\n")
    assert load_config(tmp_path, env={}).state == state


def test_from_outside_any_place_may_be_named(tmp_path):
    # Intent: a flag or a variable is its owner's word, whatever the file says.
    space, outside = workspace(tmp_path, "../elsewhere.json")
    space.run("--state", str(outside / "flag.json"), *APPLY)
    space.run("plan", RECONCILER_STATE="../outside/flag.json")
    assert (outside / "flag.json").exists()


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ("specs: ../outside\n", "1:8"),
        ("specs: linked\n", "1:8"),
        ("specs: dir/linked/deep\n", "1:8"),
        ("specs: .git\n", "1:8"),
    ],
)
def test_specs_stay_inside(tmp_path, config, place):
    space, _ = workspace(tmp_path, "s.json")
    space.write("reconciler.yaml", config)
    with pytest.raises(ConfigError) as failure:
        load_config(space.root, env={})
    assert [str(found.location) for found in failure.value.diagnostics] == [f"reconciler.yaml:{place}"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "field",
    [
        "brief_file: ../outside/precious.json",
        "brief_file: linked/precious.json",
        "brief_file: link.json",
        "brief_file: dangling.json",
        "brief_file: '{outside}/precious.json'",
        "brief_file: '${{var.x}}'",
        "brief: x\n    references: [{{file: linked/deep/a.png}}]",
        "brief: x\n    references: [{{file: '../outside/a.png'}}]",
    ],
)
def test_files_that_specs_name_stay_inside(tmp_path, field):
    # Intent: also where a variable brings the name; what is outside is neither shown nor sent.
    space, outside = workspace(tmp_path, "s.json")
    (outside / "deep" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    space.write("specs/a.yaml", f"projects:\n  a:\n    {field.format(outside=outside)}\n")
    ran = space.run("plan", "--var", f"x={outside}/precious.json", code=1)
    assert "specs/a.yaml:" in ran.err and "E107" in ran.err, ran.err
    assert "precious\n" not in ran.err
