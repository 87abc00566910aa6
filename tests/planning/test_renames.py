"""A project that only changed its address is told from a new one, before it is paid for twice."""

import pytest

from reconciler.model.desired import Moved, Removed
from reconciler.model.errors import Location
from reconciler.model.values import Revealed, Secret
from tests.planning.planning_support import account, actions, adopted, bound, created, desired, entry, live, plan, state


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
