"""``references: [{project: …}]`` and ``depends_on``: what they mean once read, and what is said when they are wrong."""

from __future__ import annotations

import re

import pytest

from reconciler.adapters.specs.yaml.formatting import formatted
from reconciler.model.desired import CreateOrigin
from reconciler.model.errors import SpecError
from tests.adapters.specs_support import load, load_one
from tests.language.language_support import account, make, reconciler

FAMILY = """\
projects:
  teaser: {for_each: [us, de], brief: A teaser.}
  cut:
    for_each: [us, de]
    brief: A cut.
    references: [{project: "teaser[${each.key}]"}, {project: "teaser[us]", type: url}]
    messages: [{message: Look., references: [{project: "teaser[de]"}]}]
  recap: {brief: A recap., depends_on: [cut, "teaser[us]"]}
"""


def test_a_reference_to_a_project_is_a_symbol_with_its_type(tmp_path):
    cut = load_one(tmp_path, FAMILY).projects["cut[de]"]
    assert isinstance(cut.origin, CreateOrigin)
    assert cut.origin.creation["references"] == [
        {"project": "teaser[de]", "type": "video"},
        {"project": "teaser[us]", "type": "url"},
    ]
    assert cut.messages[0].body["references"] == [{"project": "teaser[de]", "type": "video"}]
    assert cut.dependencies == ("teaser[de]", "teaser[us]")


def test_the_name_of_a_for_each_stands_for_all_that_it_made(tmp_path):
    assert load_one(tmp_path, FAMILY).projects["recap"].depends_on == ("cut[us]", "cut[de]", "teaser[us]")


def test_the_name_of_a_for_each_that_makes_nothing_stands_for_nothing(tmp_path):
    specs = "projects: {a: {for_each: [], brief: x}, b: {brief: x, depends_on: [a]}}\n"
    assert load_one(tmp_path, specs).projects["b"].depends_on == ()


def test_projects_of_other_files_and_later_ones_count(tmp_path):
    files = {
        "specs/a.yaml": "projects: {a: {brief: x, depends_on: [z]}}\n",
        "specs/z.yaml": "projects: {z: {brief: x}}\n",
    }
    assert load(tmp_path, files).projects["a"].depends_on == ("z",)


def test_a_name_that_an_unreadable_file_may_have_is_not_called_unknown(tmp_path):
    files = {"specs/a.yaml": "projects: {a: {brief: x, depends_on: [z]}}\n", "specs/z.yaml": "projects: {z: ]\n"}
    with pytest.raises(SpecError) as failure:
        load(tmp_path, files)
    assert {d.location.file for d in failure.value.diagnostics} == {"specs/z.yaml"}


def test_every_circle_is_shown_once(tmp_path):
    rings = "projects:\n" + "".join(
        f"  {a}: {{brief: x, depends_on: [{b}]}}\n" for a, b in ("ab", "bc", "ca", "xy", "yx", "zx")
    )
    with pytest.raises(SpecError) as failure:
        load_one(tmp_path, rings)
    found = [d.summary.partition(": ")[2] for d in failure.value.diagnostics]
    assert found == ["a -> b -> c -> a", "x -> y -> x"]
    assert [str(d.location) for d in failure.value.diagnostics] == ["specs/a.yaml:2:30", "specs/a.yaml:5:30"]


def test_a_reference_that_comes_with_the_defaults_is_located_there(tmp_path):
    with pytest.raises(SpecError) as failure:
        load_one(tmp_path, "defaults: {references: [{project: b}]}\nprojects: {a: {brief: x}}\n")
    (found,) = failure.value.diagnostics
    assert str(found.location) == "specs/a.yaml:1:35"


def test_the_canonical_form_puts_them_in_their_places():
    text = (
        "projects:\n  a: {settings: {title: x}, depends_on: [b], references: [{type: video, project: b}], brief: x}\n"
    )
    neat = (
        "projects:\n  a: {brief: x, references: [{project: b, type: video}], depends_on: [b], settings: {title: x}}\n"
    )
    assert formatted(text, "a.yaml") == formatted(neat, "a.yaml") == neat


def test_a_circle_costs_no_call_and_says_what_to_do(tmp_path):
    make(tmp_path, {"specs/a.yaml": "projects:\n  a: {brief: x, depends_on: [b]}\n  b: {brief: x, depends_on: [a]}\n"})
    ran = reconciler(tmp_path, "apply", "--auto-approve")
    assert ran.returncode == 1 and "E152" in ran.stderr and "a -> b -> a" in ran.stderr
    assert "specs/a.yaml:2:30" in ran.stderr
    with account(tmp_path) as store:
        assert not store.requests()


def test_the_help_of_apply_speaks_of_what_waits_and_of_what_is_uploaded(tmp_path):
    shown = " ".join(reconciler(tmp_path, "apply", "--help").stdout.split())
    assert "waits until these have finished" in shown and "are uploaded first" in shown
    assert "Only this project and its dependencies" in shown


@pytest.mark.parametrize("shape", ["text", "json", "markdown", "html"])
def test_every_form_of_a_plan_shows_what_is_referred_to_and_waited_for(tmp_path, shape):
    make(tmp_path, {"specs/a.yaml": FAMILY})
    shown = reconciler(tmp_path, "plan", "--format", shape).stdout.replace("&quot;", '"').replace("&#34;", '"')
    assert "`teaser[de]` and `teaser[us]` to have a rendered video" in re.sub("</?code>|&#96;", "`", shown)
    reference = '{"project": "teaser[de]", "type": "video"}'
    reference = "video of project <code>teaser[de]</code>" if shape == "html" else reference
    assert reference in " ".join(shown.split()).replace("{ ", "{").replace(" }", "}")
