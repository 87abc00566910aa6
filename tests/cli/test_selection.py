"""Selecting projects: by patterns, by exclusion and by tags, in the commands that plan and in those that show."""

from __future__ import annotations

import json

import pytest

from tests.cli.cli_support import APPLY, CONFIG

SPECS = """\
projects:
  promo:
    for_each: [us, de]
    brief: For ${each.key}.
    tags: [summer]
  autumn-one: {brief: One., tags: [autumn, paid]}
  autumn-two: {brief: Two., tags: [autumn], depends_on: [base]}
  base: {brief: A base.}
  last: {brief: The last one., depends_on: [autumn-two]}
"""
ALL = {"promo[us]", "promo[de]", "autumn-one", "autumn-two", "base", "last"}


@pytest.fixture
def six(fresh):
    fresh.write("reconciler.yaml", CONFIG)
    fresh.write("specs/a.yaml", SPECS)
    return fresh


def planned(space, *selectors):
    ran = space.run("plan", "--format", "json", *selectors)
    return {step["address"] for step in ran.document["steps"]}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("selectors", "wanted"),
    [
        (("--target", "promo"), {"promo[us]", "promo[de]"}),
        (("--target", "promo[us]"), {"promo[us]"}),
        (("--target", "promo[u*]"), {"promo[us]"}),
        (("--target", "pro*"), {"promo[us]", "promo[de]"}),
        (("--target", "*[d?]"), {"promo[de]"}),
        (("--target", "autumn-*"), {"autumn-one", "autumn-two", "base"}),
        (("--target", "autumn-one", "--target", "promo"), {"autumn-one", "promo[us]", "promo[de]"}),
        (("--exclude", "promo"), ALL - {"promo[us]", "promo[de]"}),
        (("--exclude", "base"), ALL - {"base", "autumn-two", "last"}),
        (("--exclude", "last"), ALL - {"last"}),
        (("--exclude", "*-two"), ALL - {"autumn-two", "last"}),
        (("--target", "autumn-*", "--exclude", "autumn-two"), {"autumn-one"}),
        (("--tag", "summer"), {"promo[us]", "promo[de]"}),
        (("--tag", "autumn"), {"autumn-one", "autumn-two", "base"}),
        (("--tag", "paid", "--tag", "summer"), {"autumn-one", "promo[us]", "promo[de]"}),
        (("--target", "autumn-*", "--tag", "paid"), {"autumn-one"}),
        (("--tag", "autumn", "--exclude", "autumn-two"), {"autumn-one"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_plan_has_what_is_selected_and_what_that_depends_on(six, selectors, wanted):
    assert planned(six, *selectors) == wanted


def test_what_depends_on_something_excluded_is_left_out_and_said(six):
    ran = six.run("plan", "--exclude", "base")
    assert "`autumn-two` is left out, too: it depends on `base`, which is excluded" in ran.out + ran.err
    assert "`last` is left out, too: it depends on `autumn-two`, which is excluded" in ran.out + ran.err


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("selectors", "said"),
    [
        (("--target", "promos"), "Did you mean `promo"),
        (("--target", "winter-*"), "`winter-*` is neither in the specs nor in the state"),
        (("--exclude", "bass"), "Did you mean `base`?"),
        (("--exclude", "winter-*"), "`--exclude winter-*` fits no project"),
        (("--tag", "sumer"), "Did you mean `summer`?"),
        (("--target", "promo", "--tag", "autumn"), "the selectors leave no project"),
        (("--target", "base", "--exclude", "ba*"), "the selectors leave no project"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("command", [("plan",), APPLY], ids=lambda command: command[0])
def test_a_selector_that_fits_nothing_stops_everything(six, command, selectors, said):
    """Intent: a typo in --exclude must not spend what was to be left out."""
    ran = six.run(*command, *selectors, code=1)
    assert said in ran.err
    if six.db.exists():
        with six.account() as account:
            assert not account.ledger()


def test_apply_and_destroy_do_the_selected_ones_only(six):
    six.run(*APPLY, "--tag", "autumn", "--wait", "idle")
    assert set(six.state["projects"]) == {"autumn-one", "autumn-two", "base"}
    six.run("destroy", "--auto-approve", "--exclude", "base")
    assert set(six.state["projects"]) == {"base"}


def test_an_excluded_project_is_excluded_under_its_old_name_too(six):
    six.run(*APPLY, "--target", "base")
    six.write("specs/a.yaml", SPECS.replace("base", "ground") + "moved: [{from: base, to: ground}]\n")
    for name in ("base", "ground"):
        assert planned(six, "--exclude", name) == ALL - {"base", "autumn-two", "last"}


@pytest.mark.parametrize("applied", [False, True], ids=["before the state has it", "after"])
def test_each_name_of_a_renamed_project_means_it(six, applied):
    """Intent: one command line is right in each environment, also while another project is still to be renamed."""
    six.run(*APPLY, "--target", "autumn-two", "--target", "autumn-one")
    names = SPECS.replace("base", "ground").replace("-one", "-1")
    six.write("specs/a.yaml", names + "moved: [{from: base, to: ground}, {from: autumn-one, to: autumn-1}]\n")
    if applied:
        six.run(*APPLY, "--target", "ground", "--target", "autumn-1")
    for name in ("base", "ground"):
        assert planned(six, "--target", name) == ({"ground"} if not applied else set())
        assert "last" not in planned(six, "--exclude", name)
    six.run("destroy", "--auto-approve", "--target", "base")
    assert {"base", "ground"}.isdisjoint(six.state["projects"]) and len(six.state["projects"]) == 2


def test_what_is_excluded_is_not_taken_for_removed(six):
    """Intent: a project that left the specs stays while it is left out."""
    six.run(*APPLY, "--target", "base")
    six.write("specs/a.yaml", SPECS.replace("  base: {brief: A base.}\n", "").replace(", depends_on: [base]", ""))
    assert "base" in planned(six)
    assert "base" not in planned(six, "--exclude", "base")
    assert "base" not in planned(six, "--tag", "autumn")


@pytest.fixture
def applied(six):
    six.run(*APPLY, "--wait", "idle")
    return six


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("selectors", "wanted"),
    [
        (("promo",), {"promo[us]", "promo[de]"}),
        (("autumn-*", "base"), {"autumn-one", "autumn-two", "base"}),
        (("--exclude", "promo"), ALL - {"promo[us]", "promo[de]"}),
        (("--tag", "paid"), {"autumn-one"}),
        (("promo", "--exclude", "*us*"), {"promo[de]"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands_that_show_take_the_same_patterns(applied, selectors, wanted):
    status = applied.run("status", "--format", "json", *selectors).document
    assert set(status) == wanted
    assert set(applied.run("output", "--format", "json", *selectors).document) == wanted
    applied.run("report", "--out", "page", *selectors)
    page = (applied.root / "page" / "index.html").read_text()
    assert {address for address in ALL if f'id="{address}"' in page or f">{address}<" in page} == wanted


@pytest.mark.sweep
def test_several_conversations_have_titles_and_one_has_none(applied):
    out = applied.run("messages", "promo").out
    assert "# promo[de]" in out and "# promo[us]" in out
    assert "# base" not in applied.run("messages", "base").out
    assert set(applied.run("messages", "promo", "--format", "json").document) == {"promo[us]", "promo[de]"}
    assert set(applied.run("messages", "base", "--format", "json").document) == {"project_id", "messages"}
    assert "follows one project" in applied.run("messages", "promo", "--follow", code=1).err


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["status", "output", "messages"])
def test_an_address_that_the_state_lacks_gets_a_suggestion(applied, command):
    assert "Did you mean `base`?" in applied.run(command, "bass", code=1).err


@pytest.mark.parametrize("tags", ["[a b]", "['']", "[x, 5]", "word"])
def test_wrong_tags_are_errors_with_a_place(six, tags):
    six.write("specs/a.yaml", f"projects:\n  a: {{brief: One., tags: {tags}}}\n")
    assert "specs/a.yaml:2:" in six.run("validate", code=1).err


def test_defaults_may_hold_tags(six):
    six.write(
        "specs/a.yaml", "defaults: {tags: [all]}\nprojects:\n  a: {brief: One.}\n  b: {brief: Two., tags: [own]}\n"
    )
    assert planned(six, "--tag", "all") == {"a"}
    assert planned(six, "--tag", "own") == {"b"}
    assert json.loads(six.run("schema").out)


@pytest.mark.sweep
def test_status_filters_by_status_and_prints_names(applied):
    with applied.account() as store, store.account() as account:
        account.run("UPDATE projects SET status = 'failed' WHERE brief = 'A base.'")
    assert applied.run("status", "--status", "failed,gone", "-o", "name").out == "base\n"
    assert set(applied.run("status", "--status", "idle", "-o", "json").document) == ALL - {"base"}
    assert "None of 6 projects" in applied.run("status", "--status", "cancelled").out
    table = applied.run("status").out.splitlines()
    assert table[2].split() == ["ADDRESS", "PROJECT", "STATUS", "AGE", "TITLE"] and table[3].startswith("base ")
