"""A live project has one owner: two environments that adopt or import it are an error, and nothing is done."""

from __future__ import annotations

import pytest

from tests.cli.cli_support import APPLY, make_space

CONFIG = """\
workspace: acme
api: {url: sandbox}
environments:
  dev: {}
  qa: {specs: [specs, more], vars: {id: proj_2}}
  prod: {vars: {id: proj_1}}
"""


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import: proj_abc", "'proj_abc' is imported in 3 environments: dev, qa, prod"),
        ("adopt: 6f1c", "'6f1c' is adopted in 3 environments: dev, qa, prod"),
        ("import: proj_abc, except: [dev]", "in 2 environments: qa, prod"),
    ],
)
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_two_environments_can_not_have_one_project(tmp_path, line, said, environment):
    """Intent: exit 1 at the project, whichever environment is looked at, also where it is not its own."""
    space = make_space(tmp_path / "w", f"projects:\n  a: {{{line}}}\n", CONFIG)
    (space.root / "more").mkdir()
    told = space.run("-e", environment, "validate", code=1).err
    assert said in told and "E123" in told and "specs/a.yaml:2:3" in told and "only: [" in told
    if "except" not in line:
        for args in (("plan",), APPLY):
            assert said in space.run("-e", environment, *args, code=1).err


@pytest.mark.parametrize("first", ["adopt", "import"])
def test_to_adopt_and_to_import_one_id_is_to_have_one_project_twice(tmp_path, first):
    """Intent: an adopted project may keep its id, so another environment must not import that."""
    second = {"adopt": "import", "import": "adopt"}[first]
    spec = f"projects:\n  a: {{{first}: proj_1, only: [dev]}}\n  b: {{{second}: proj_1, only: [prod]}}\n"
    space = make_space(tmp_path / "w", spec, CONFIG)
    (space.root / "more").mkdir()
    told = space.run("-e", "prod", "validate", code=1).err
    assert f"'proj_1' is {first}ed and {second}ed in 2 environments: dev, prod" in told
    space.write("specs/a.yaml", spec.replace("prod", "dev"))
    assert f"a {first}s 'proj_1' already" in space.run("-e", "dev", "validate", code=1).err


@pytest.mark.sampled(3)
@pytest.mark.parametrize("line", ["import: proj_abc, only: [prod]", "import: '${environment}'", "brief: x"])
def test_one_owner_each_is_fine(tmp_path, line):
    space = make_space(tmp_path / "w", f"projects:\n  a: {{{line}}}\n", CONFIG)
    (space.root / "more").mkdir()
    for name in ("dev", "qa", "prod"):
        assert space.run("-e", name, "validate").err == ""


def test_an_environment_that_can_not_be_read_here_is_a_note(tmp_path):
    """Intent: dev's job lacks prod's values; that is no error of dev, and is said."""
    space = make_space(
        tmp_path / "w", 'projects:\n  a: {import: "${var.id}", except: [dev]}\n  b: {brief: x}\n', CONFIG
    )
    (space.root / "more").mkdir()
    assert "note" not in space.run("-e", "dev", "validate").err
    space.write("more/b.yaml", "projects:\n  c: {import: proj_1}\n  d: {brief: '${var.other}'}\n")
    told = space.run("-e", "dev", "validate").err
    assert "environment `qa` was not compared" in told and "--environment qa validate" in told
    space.write("more/b.yaml", "projects:\n  c: {import: proj_1}\n")
    told = space.run("-e", "dev", "validate", code=1).err
    assert "'proj_1' is imported in 2 environments: qa, prod" in told
