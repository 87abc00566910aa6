"""A project that only changed its address is told from a new one, before it is paid for twice."""

import itertools

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Moved, Removed
from reconciler.model.errors import Location
from reconciler.model.journal import Draft, End, Rename
from reconciler.model.state import Dispute, Intent
from reconciler.model.values import Revealed, Secret
from tests.planning.planning_support import (
    AT,
    BRIEF,
    account,
    actions,
    adopted,
    bound,
    created,
    desired,
    entry,
    live,
    plan,
    state,
)


def warned(specs, have, *projects, **selection):
    made = plan(specs, have, account(*(projects or (live(),))), **selection)
    return [d for d in made.diagnostics if "renamed" in d.summary]


def test_a_rename_without_moved_is_a_warning_with_the_entry_to_paste():
    made = plan(desired(created("b", settings={"title": "T"})), entry(), live())
    (found,) = made.diagnostics

    assert actions(made) == ["create", "forget"] and not made.errors
    assert (found.severity, found.address, found.attention) == ("warning", "b", False)
    assert found.summary == "`a` looks renamed to `b`, which would be created again"
    assert found.detail.endswith("by adding to the specs:\nmoved:\n  - {from: a, to: b}")
    assert "spends credits" in found.detail


def test_it_stands_where_the_new_project_does():
    new = created("b", location=Location("specs/a.yaml", 2, 3))

    assert warned(desired(new), entry())[0].location == Location("specs/a.yaml", 2, 3)


def test_with_the_entry_the_warning_is_gone():
    made = plan(desired(created("b"), moved=(Moved("a", "b"),)), entry(), live())

    assert actions(made) == ["move"] and not made.diagnostics


@pytest.mark.parametrize(
    "specs",
    [
        desired(created("b", brief="Another film.")),
        desired(created("b", creation={"aspect_ratio": "9:16"})),
        desired(created("b"), removed=(Removed("a", "stop"),)),
        desired(created("b"), created("a")),
        desired(adopted("b")),
        desired(created("b", cancelled=True)),
        desired(),
    ],
)
def test_nothing_looks_renamed_where_nothing_is_or_the_old_one_goes_on_purpose(specs):
    assert not warned(specs, entry())


def test_nothing_looks_renamed_that_was_not_created_here():
    assert not warned(desired(created("b")), bound())


def test_a_value_at_the_apis_default_is_the_same_content():
    assert warned(desired(created("b", creation={"aspect_ratio": "16:9", "references": []})), entry())


def test_a_secret_is_known_by_its_digest():
    def brief(digest):
        return Secret("Say ${env.X}", digest, Revealed("Say boo"))

    assert warned(desired(created("b", brief=brief("d1"))), entry(brief=brief("d1")))
    assert not warned(desired(created("b", brief=brief("d2"))), entry(brief=brief("d1")))


def test_of_several_with_one_content_the_one_with_the_same_settings_or_key_is_meant():
    titles = {"p1": "One", "p2": "Two"}
    have = state(**{name: entry(name, settings={"title": title}) for name, title in titles.items()})
    new = desired(created("x", settings={"title": "Two"}), created("y", settings={"title": "One"}), created("z"))

    assert warned(new, have, live("p1"), live("p2"))[0].detail.endswith(
        "\n  - {from: p2, to: x}\n  - {from: p1, to: y}"
    )
    have = state(**{f"promo[{key}]": entry(f"p{key}") for key in ("de", "us,16:9")})
    new = desired(created("spot[us,16:9]"), created("spot[de]"))
    assert warned(new, have, live("pde"), live("pus,16:9"))[0].detail.endswith(
        '\n  - {from: "promo[us,16:9]", to: "spot[us,16:9]"}\n  - {from: "promo[de]", to: "spot[de]"}'
    )


def test_each_old_project_is_meant_once():
    found = warned(desired(created("b"), created("c")), entry())

    assert [d.address for d in found] == ["b"]


def test_a_target_alone_is_warned_about_too_and_a_protected_one():
    assert warned(desired(created("b")), entry(), targets=["b"])
    assert not warned(desired(created("b")), entry(), targets=["a"])
    assert not warned(desired(created("b")), entry(), destroy=True)
    assert not warned(desired(created("b")), entry(), refresh_only=True)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_state_that_is_behind_by_any_number_of_renames_buys_nothing_again(name):
    specs = desired(created("c"), moved=(Moved("a", "c"), Moved("b", "c")))
    made = plan(specs, state(**{name: entry()}), live())

    assert actions(made) == ([] if name == "c" else ["move"]) and not made.errors


def test_two_former_names_in_one_state_are_an_error_and_neither_is_bought_again():
    specs = desired(created("c"), moved=(Moved("a", "c"), Moved("b", "c")))
    made = plan(specs, state(a=entry("proj_1"), b=entry("proj_2")), account(live("proj_1"), live("proj_2")))

    assert [d.summary for d in made.errors] == ["can't move `b` to `c`: the state has `a`, too, which is moved there"]
    assert "create" not in actions(made)


# ── specs that are older than a rename ──


def moved_in_state(have, old="a", new="b"):
    draft = Draft(have)
    draft.fold(End(effects=(Rename(from_address=old, to_address=new),)))
    return draft.state()


MADE = state(a=entry(generation=1))


@pytest.mark.parametrize("have", [moved_in_state(MADE), moved_in_state(moved_in_state(MADE, "a", "c"), "c", "b")])
def test_specs_that_were_not_renamed_with_the_state_buy_nothing_again(have):
    """Intent: an older checkout, or a `state mv` before the specs, would cancel a project and pay for it again."""
    made = plan(desired(created("a", location=Location("specs/a.yaml", 2, 3))), have, live())
    (found,) = made.errors

    assert found.summary == "`a` would be created again: the state has its project as `b`"
    assert found.location == Location("specs/a.yaml", 2, 3)
    assert "`reconciler state mv b a`" in found.detail and "list `b` under `removed`" in found.detail


@pytest.mark.parametrize(
    ("specs", "steps"),
    [
        (desired(created("b")), []),
        (desired(created("a"), moved=(Moved("b", "a"),)), ["move"]),
        (desired(created("a"), removed=(Removed("b", "stop"),)), ["create", "forget"]),
        (desired(created("a", brief="Another film.")), ["create", "forget"]),
        (desired(created("a"), created("b")), ["create"]),
    ],
    ids=["renamed too", "renamed back", "created again on purpose", "another one", "one more"],
)
def test_there_are_ways_out_of_it(specs, steps):
    made = plan(specs, moved_in_state(MADE), live())

    assert not made.errors
    assert actions(made) == steps


def test_one_that_was_made_under_another_name_is_a_warning_only():
    assert not plan(desired(created("c")), moved_in_state(MADE), live()).errors


# ── what is open under the old name ──

UNKNOWN = Intent(op="1", kind="message", address="a", at=AT, message_id="1", undecided=True)
OPEN = {
    "a message that may have been sent": state(pending=[UNKNOWN], a=entry()),
    "a create that may have been done": state(pending=[replace(UNKNOWN, kind="create", message_id=None)]),
    "a key that answered with another project": replace(state(), disputes={"a": Dispute(1, "proj_9")}),
    "a key that is refused": replace(state(), disputes={"a": Dispute(1)}),
    "a project that may be its own": state(generations={"a": 0}),
}


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")], ids="->".join)
@pytest.mark.parametrize("have", OPEN.values(), ids=OPEN)
def test_what_is_open_under_an_old_name_stays_open_under_the_new_one(have, names):
    """Intent: a rename is no way to buy or send again what may be there already."""
    moved = tuple(Moved(*pair) for pair in itertools.pairwise(names))
    specs = desired(created(names[-1], messages=["Softer."]), moved=moved)
    for brief in (BRIEF, "Another brief"):
        made = plan(specs, have, account(*(live() for _ in have.projects), live("proj_9", brief=brief)))
        if have.generations.get("a") == 0 and brief != BRIEF:
            continue  # nothing looks like it

        assert not {"create", "message"} & set(actions(made))
        (found,) = (d for d in made.diagnostics if d.attention)
        assert f"import {names[-1]} " in found.detail or "state resolve a " in found.detail


def test_what_is_open_under_an_old_name_leads_out_as_under_its_own():
    specs = desired(created("b"), moved=(Moved("a", "b"),))
    have = OPEN["a key that answered with another project"]
    assert actions(plan(specs, have, account(live("proj_9")), replace={"b"})) == ["create"]
    own = desired(created("b"), created("a"), moved=(Moved("a", "b"),))
    assert [s.address for s in plan(own, state(pending=[replace(UNKNOWN, kind="create")]), account()).steps] == ["b"]


def test_a_call_of_unknown_outcome_goes_with_its_project_to_the_new_name():
    draft = Draft(OPEN["a message that may have been sent"])
    draft.fold(End(effects=(Rename(from_address="a", to_address="b"),)))

    assert [intent.address for intent in draft.state().pending.values()] == ["b"]
    assert not plan(desired(created("b", messages=["Softer."])), draft.state(), live()).steps
