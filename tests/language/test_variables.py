"""Declared variables: types, defaults, and who wins."""

from __future__ import annotations

import pytest

from reconciler.adapters.specs.language.variable_files import load_var_file
from reconciler.model.errors import SpecError
from tests.adapters.specs_support import workspace
from tests.language.language_support import make, reconciler
from tests.spec_files import load_config, load_specs

SPEC = """\
variables:
  market: {default: us, description: Where it runs}
  weeks: {type: number, default: 2}
  read: {type: bool, default: false}
  places: {type: list, default: [us, de]}
projects:
  a:
    for_each: ${var.places}
    brief: ${var.market} ${var.weeks} ${var.read}
    extract_content: ${var.read}
"""


def loaded(tmp_path, env=None, files=None, **given):
    root = workspace(tmp_path, {"specs/a.yaml": SPEC, **(files or {})})
    return load_specs(load_config(root, env={}), env=env or {}, variables=given).projects


def creation(projects, address="a[us]"):
    return dict(projects[address].origin.creation)


def test_defaults_count_where_nothing_is_given(tmp_path):
    projects = loaded(tmp_path)
    assert list(projects) == ["a[us]", "a[de]"]
    assert creation(projects) == {"brief": "us 2 false", "extract_content": False}


def test_text_from_flags_and_environment_is_read_by_type(tmp_path):
    """A number, a flag, a list by commas or as YAML."""
    env = {"RECONCILER_VAR_weeks": " 3.5 ", "RECONCILER_VAR_read": "true", "RECONCILER_VAR_": "x"}
    projects = loaded(tmp_path, env, places="fr, it,es", market="5")
    assert list(projects) == ["a[fr]", "a[it]", "a[es]"]
    assert creation(projects, "a[fr]") == {"brief": "5 3.5 true", "extract_content": True}
    assert list(loaded(tmp_path, places='["16:9", x]')) == ["a[16:9]", "a[x]"]
    assert loaded(tmp_path, places="") == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("weeks", "two"), ("weeks", ""), ("weeks", "inf"), ("weeks", "true"), ("weeks", "1" * 5000),
        ("read", "yes"), ("read", ""), ("read", "1"), ("places", "[us"), ("places", "[1]"), ("places", "[us]: x"),
    ],
)  # fmt: skip
def test_text_of_another_type_is_an_error_at_the_declaration(tmp_path, name, text):
    with pytest.raises(SpecError) as failure:
        loaded(tmp_path, **{name: text})
    (found,) = failure.value.diagnostics
    assert (found.code, found.location.file, found.location.column) == ("E135", "specs/a.yaml", 3)
    assert found.source.startswith(f"  {name}: ")


def test_a_file_of_variables_has_typed_values(tmp_path):
    path = tmp_path / "vars.yaml"
    path.write_text("market: jp\nweeks: 7\nread: true\nplaces: [jp]\n")
    assert creation(loaded(tmp_path, **load_var_file(path, tmp_path)), "a[jp]") == {
        "brief": "jp 7 true",
        "extract_content": True,
    }
    path.write_text("weeks: '7'\nplaces: {a: b}\nother: 5\nmarket: 3\n")
    with pytest.raises(SpecError) as failure:
        loaded(tmp_path, **load_var_file(path, tmp_path))
    said = [(d.code, d.location.line, d.location.column) for d in failure.value.diagnostics]
    assert said == [("E135", 2, 9), ("E110", 3, 8), ("E135", 4, 9)]
    assert all(d.source is None for d in failure.value.diagnostics)  # such a file may hold anything


def test_the_flag_beats_the_file_beats_the_environment_beats_the_default(tmp_path):
    spec = "variables: {x: {default: default}}\nprojects: {a: {brief: 'says ${var.x}'}}\n"
    root = make(tmp_path, {"specs/a.yaml": spec, "v.yaml": "x: file\n"})

    def brief(*args, **env):
        shown = reconciler(root, "plan", *args, **env)
        assert shown.returncode == 0, shown.stderr
        return next(line.split("says ")[1].strip(' "') for line in shown.stdout.splitlines() if "says" in line)

    env = {"RECONCILER_VAR_x": "env"}
    assert brief() == "default"
    assert brief(**env) == "env"
    assert brief("--var-file", "v.yaml", **env) == "file"
    assert brief("--var-file", "v.yaml", "--var", "x=flag", **env) == "flag"


def test_a_misspelt_flag_is_an_error_and_no_silent_default(tmp_path):
    spec = "variables: {market: {default: us}, places: {type: list, default: []}}\n"
    spec += "projects: {a: {brief: '${var.market}'}, b: {for_each: '${var.places}', brief: '${var.x}'}}\n"
    root = make(tmp_path, {"specs/a.yaml": spec})

    shown = reconciler(root, "plan", "--var", "markt=de")
    assert shown.returncode == 1 and "did you mean 'market'?" in shown.stderr
    assert reconciler(root, "plan", "--var", "market=de", "--var", "x=1").returncode == 0


def test_undeclared_variables_are_plain_text(tmp_path):
    spec = "projects: {a: {brief: '${var.x} ${var.y}'}}\n"
    root = workspace(tmp_path, {"specs/a.yaml": spec})
    projects = load_specs(load_config(root, env={}), env={"RECONCILER_VAR_y": "7"}, variables={"x": "true"}).projects
    assert creation(projects, "a") == {"brief": "true 7"}


def test_a_variable_is_declared_once_for_all_files_and_the_configuration(tmp_path):
    files = {
        "reconciler.yaml": "workspace: w\nvariables: {x: {default: a}, y: {type: number}}\n",
        "specs/a.yaml": "projects: {a: {brief: '${var.x} ${var.z}'}}\n",
        "specs/b.yaml": "variables:\n  x: {default: b}\n  z: {default: c}\n",
    }
    root = workspace(tmp_path, files)
    with pytest.raises(SpecError) as failure:
        load_specs(load_config(root, env={}), env={})
    said = [(d.code, str(d.location), d.source) for d in failure.value.diagnostics]
    assert said == [
        ("E130", "reconciler.yaml:2:30", "variables: {x: {default: a}, y: {type: number}}"),
        ("E136", "specs/b.yaml:2:3", "  x: {default: b}"),
    ]
    (root / "specs" / "b.yaml").write_text("variables: {z: {default: c}}\n")
    projects = load_specs(load_config(root, env={}), env={}, variables={"y": "1"}).projects
    assert creation(projects, "a") == {"brief": "a c"}


def test_values_are_filled_once(tmp_path):
    """What a value holds is never filled again."""
    given = {"market": "${env.TOKEN} ${var.weeks} $$"}
    assert creation(loaded(tmp_path, {"TOKEN": "canary"}, **given))["brief"] == "${env.TOKEN} ${var.weeks} $$ 2 false"


def test_a_file_of_variables_is_no_way_out_of_the_workspace(tmp_path):
    """One that the user names beside the workspace is read; a link in the workspace to it, or to /proc, is not."""
    root = tmp_path / "ws"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "vars.yaml").write_text("token: canary-7f3a\n")
    assert load_var_file(tmp_path / "vars.yaml", root) == {"token": "canary-7f3a"}
    assert load_var_file(root / "sub" / ".." / ".." / "vars.yaml", root) == {"token": "canary-7f3a"}
    (root / "link.yaml").symlink_to("../vars.yaml")
    (root / "environ.yaml").symlink_to("/proc/self/environ")
    (root / "folder").symlink_to("..")
    (root / "loop.yaml").symlink_to("loop.yaml")
    for name in ("link.yaml", "environ.yaml", "folder/vars.yaml", "loop.yaml"):
        with pytest.raises(SpecError) as failure:
            load_var_file(root / name, root)
        (found,) = failure.value.diagnostics
        assert found.code == ("E101" if name == "loop.yaml" else "E107")
        assert "canary" not in repr(found)
    (root / "own.yaml").write_text("a: b\n")
    (root / "near.yaml").symlink_to("own.yaml")
    assert load_var_file(root / "near.yaml", root) == {"a": "b"}
