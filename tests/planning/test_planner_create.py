"""Projects that the state does not know: created, adopted, imported, or found again after a lost state."""

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Moved
from reconciler.model.errors import Location
from reconciler.model.state import Dispute
from reconciler.model.values import Revealed, Secret
from tests.planning.planning_support import (
    BRIEF,
    ID,
    account,
    actions,
    adopted,
    bound,
    created,
    desired,
    entry,
    finding,
    imported,
    live,
    only,
    plan,
    quiet,
    state,
)


def test_a_project_that_is_in_the_specs_alone_is_created_with_what_is_declared():
    project = created(
        creation={"aspect_ratio": "9:16", "references": [{"upload_id": "u"}], "extract_content": False},
        settings={"title": "T", "webhook_url": None, "craft_auto": False},
        messages=["one", "two"],
    )

    made = plan(project)

    assert actions(made) == ["create", "message", "message"]
    step = made.steps[0]
    assert step.body == {
        "brief": BRIEF,
        "aspect_ratio": "9:16",
        "references": [{"upload_id": "u"}],
        "extract_content": False,
        "title": "T",
        "craft_auto": False,
    }
    assert (step.key, step.generation, step.project_id, step.waits_for) == ("ws/a/1", 1, None, None)
    assert step.reason == "it is in the specs and not in the state"
    assert [(c.path, c.before, c.after, c.before_source, c.sensitive) for c in step.changes] == [
        ("brief", None, BRIEF, "none", False),
        ("aspect_ratio", None, "9:16", "none", False),
        ("references", None, [{"upload_id": "u"}], "none", False),
        ("extract_content", None, False, "none", False),
        ("settings.title", None, "T", "none", False),
        ("settings.craft_auto", None, False, "none", False),
    ]
    assert [(m.message.body["message"], m.project_id, m.waits_for) for m in made.steps[1:]] == [
        ("one", None, "the agent to become idle"),
        ("two", None, "the agent to become idle"),
    ]
    assert made.basis["a"].entry is None and made.basis["a"].status == "absent"
    assert made.unchanged == 0 and made.managed == 0


def test_a_generation_is_never_used_twice_not_even_after_the_address_was_forgotten():
    step = only(plan(created(), state(generations={"a": 4})))

    assert (step.generation, step.key) == (5, "ws/a/5")


def test_handing_over_at_birth_is_an_error_that_says_why():
    made = plan(created(settings={"mode": "none"}, messages=["one"]))

    assert not made.steps
    assert finding(made).severity == "error" and finding(made).attention
    assert "can't be created with `mode: none`" in finding(made).summary
    assert "create or adopt it first" in finding(made).detail


def test_a_project_declared_cancelled_is_not_created_just_to_be_cancelled():
    made = plan(created(cancelled=True, messages=["one"]))

    assert quiet(made) and made.unchanged == 1


# ── adopt ──


def test_adopting_sends_the_mode_along_and_patches_the_rest():
    made = plan(adopted(settings={"mode": "autonomous", "title": "T", "craft": "cinema"}, messages=["one"]))

    assert actions(made) == ["adopt", "update", "message"]
    adopt, update, message = made.steps
    assert adopt.body == {"project_id": "studio_1", "mode": "autonomous"}
    assert adopt.reason == "the spec adopts it"
    assert update.body == {"title": "T", "craft": "cinema"} and update.project_id is None
    assert update.waits_for is None
    assert message.waits_for == "the agent to become idle"


@pytest.mark.parametrize("settings", [{}, {"mode": "none"}])
def test_adopting_sends_no_mode_where_none_can_be_sent(settings):
    made = plan(adopted(settings=settings))

    assert made.steps[0].body == {"project_id": "studio_1"}
    assert [s.body for s in made.steps[1:]] == ([settings] if settings else [])


def test_a_project_adopted_before_is_bound_and_only_what_differs_is_patched():
    seen = live("proj_9", source_project_id="studio_1", mode="collaborative", title="T", status="idle")
    made = plan(adopted(settings={"mode": "autonomous", "title": "T"}, messages=["one"]), None, seen)

    assert actions(made) == ["adopt", "update", "message"]
    assert made.steps[1].body == {"mode": "autonomous"} and made.steps[1].project_id == "proj_9"
    assert made.steps[2].waits_for is None


def test_a_studio_project_that_another_address_stands_for_is_not_adopted_twice():
    held = bound(origin="adopted", studio_id="studio_1")
    made = plan(desired(adopted("a"), adopted("b")), state(b=held), live(source_project_id="studio_1"))
    unseen = plan(desired(adopted("a"), adopted("b")), state(b=held), account(live(source_project_id=None)))

    for result in (made, unseen):
        assert not result.steps
        assert finding(result).address == "a" and finding(result).severity == "error"
        assert "is already managed as `b`" in finding(result).summary


def test_a_studio_project_is_not_adopted_just_to_be_cancelled():
    assert quiet(plan(adopted(cancelled=True, settings={"title": "T"})))


@pytest.mark.parametrize(("status", "rest"), [("idle", ["cancel"]), ("running", ["cancel"]), ("cancelled", [])])
def test_a_project_adopted_before_and_declared_cancelled_is_bound_and_cancelled(status, rest):
    project = adopted(cancelled=True, settings={"title": "T"}, messages=["one"])
    made = plan(project, None, live(status=status, source_project_id="studio_1"))

    assert actions(made) == ["adopt", *rest] and not made.diagnostics


def test_a_project_adopted_before_that_failed_is_bound_and_reported():
    made = plan(adopted(settings={"title": "T"}), None, live(status="failed", source_project_id="studio_1"))

    assert actions(made) == ["adopt"] and finding(made).attention


@pytest.mark.parametrize("settings", [{}, {"mode": "collaborative"}])
def test_a_project_handed_back_to_the_studio_is_adopted_again_and_gets_its_messages(settings):
    seen = live(source_project_id="studio_1", mode="none")
    made = plan(adopted(settings=settings, messages=["one"]), None, seen)

    assert actions(made) == (["adopt", "update", "message"] if settings else ["adopt", "message"])
    assert not made.diagnostics


def test_a_project_handed_back_as_the_spec_says_is_bound_without_taking_it_back():
    seen = live("proj_9", source_project_id="studio_1", mode="none")
    made = plan(adopted(settings={"mode": "none"}), None, seen)
    elsewhere = plan(adopted(settings={"mode": "none"}), None, live(source_project_id="studio_1"))

    assert only(made).action == "import" and only(made).project_id == "proj_9"
    assert actions(elsewhere) == ["adopt", "update"]
    assert actions(plan(adopted(), None, seen)) == ["adopt"]


# ── import ──


def test_importing_takes_over_without_a_call_and_mends_what_differs():
    seen = live(title="Old", expected_output="assets")
    made = plan(imported(settings={"title": "New", "expected_output": "assets"}, messages=["one", "two"]), None, seen)

    assert actions(made) == ["import", "update", "message", "message"]
    assert made.steps[0].project_id == ID and made.steps[0].reason == "the spec imports it"
    assert made.steps[1].body == {"title": "New"}
    assert [s.waits_for for s in made.steps[2:]] == [None, "the agent to become idle"]


def test_importing_what_the_account_has_not_is_an_error():
    made = plan(imported(location=Location("a.yaml", 3)), None, account(missing=[ID]))

    assert not made.steps
    assert finding(made).severity == "error" and finding(made).location == Location("a.yaml", 3)
    assert f"the account has no project `{ID}`" in finding(made).summary


def test_importing_what_another_address_stands_for_is_an_error():
    made = plan(desired(imported("b"), created("a")), entry(), live())

    assert not made.steps
    assert finding(made).address == "b" and finding(made).severity == "error"
    assert f"`{ID}` is already managed as `a`" in finding(made).summary


@pytest.mark.parametrize(
    ("status", "words"), [("failed", "failed: no credits"), ("cancelled", "was cancelled and should be present")]
)
def test_an_imported_project_that_is_over_is_bound_and_reported_but_not_written_to(status, words):
    seen = live(status=status, title="Old", error_message="no credits")
    made = plan(imported(settings={"title": "New"}, messages=["one"]), None, seen)

    assert actions(made) == ["import"]
    assert finding(made).attention and words in finding(made).summary


@pytest.mark.parametrize(
    ("status", "rest"), [("idle", ["cancel"]), ("running", ["cancel"]), ("failed", []), ("cancelled", [])]
)
def test_an_imported_project_declared_cancelled_is_cancelled_and_not_patched_first(status, rest):
    made = plan(imported(cancelled=True, settings={"title": "New"}, messages=["one"]), None, live(status=status))

    assert actions(made) == ["import", *rest]
    assert not made.diagnostics


# ── a lost state ──


def foreign(project_id="proj_9", **more):
    return live(project_id, **more)


BROKEN = live("proj_x", brief="Another.", status="failed")
"""Some failed project: keys can't be relied on, as one of them may be of a project that failed."""


def identity(made):
    """The plan's only finding about whose a project is; beside it, the plan says that the state may be lost."""
    (found,) = made.unsettled
    assert found.attention and found.severity == "warning"
    assert [d.kind for d in made.diagnostics if d is not found] == ["lost-state"]
    return found


def test_without_failures_the_key_decides_and_the_reason_says_so():
    step = only(plan(created(), None, foreign()))

    assert step.action == "create"
    assert step.reason.startswith("not in the state; its key binds `proj_9` if")


def test_likeness_binds_nothing_where_something_failed_and_others_go_on():
    """Intent: a look-alike may be another team's; the key of a failed project would make a second one."""
    specs = desired(created(settings={"craft": "ugc"}, messages=["one"]), created("b", brief="Its own."))
    made = plan(specs, None, account(foreign(), BROKEN))

    assert [(s.address, s.action) for s in made.steps] == [("b", "create")]
    found = identity(made)
    assert found.address == "a" and "`a` may exist already: `proj_9` (idle, created" in found.summary
    for way in ("reconciler state recover", "reconciler import a proj_9", "--replace a"):
        assert way in found.detail


@pytest.mark.parametrize(
    ("made_at", "settled"),
    [("2026-01-01T12:00:00Z", True), ("2025-12-30T12:00:00Z", False), (None, False), ("yesterday", False)],
)
def test_a_key_settles_only_what_it_surely_knows(made_at, settled):
    seen = replace(account(foreign(created_at=made_at)), at="2026-01-01T12:00:01Z")
    made = plan(created(messages=["one"]), None, seen)

    assert actions(made) == (["create", "message"] if settled else [])
    assert bool(made.unsettled) is not settled
    assert [d.kind for d in made.diagnostics] == (["lost-state"] if settled else ["lost-state", "identity"])


def test_a_project_made_under_another_name_is_not_taken_by_its_looks():
    specs = desired(created(), moved=(Moved("old", "a"),))
    assert identity(plan(specs, None, foreign())).address == "a"


def test_what_the_user_says_is_no_look_alike():
    """Intent: `import` says whose a project is, so it is a candidate for no other address."""
    made = plan(desired(created(), imported("b", "proj_9")), None, account(foreign("proj_9"), BROKEN))
    assert [(s.address, s.action) for s in made.steps] == [("a", "create"), ("b", "import")]
    asked = plan(created(), None, account(foreign(), BROKEN), replace=["a"])
    assert only(asked).action == "create"


def test_a_plan_without_a_state_says_how_many_may_be_there_already():
    specs = desired(created(messages=["one"]), created("b", brief="B."), created("c", brief="C."))
    made = plan(specs, None, account(foreign(), live("proj_2", brief="B."), live("proj_3", brief="Other.")))
    told = made.diagnostics[0]
    assert told.kind == "lost-state" and "look like 2 of the 3 in the specs" in told.summary
    assert "reconciler state recover" in told.detail and "upper bound" in told.detail
    assert not plan(specs, state(), account(foreign())).diagnostics


def test_with_a_state_a_living_look_alike_is_a_strangers_and_never_bound_by_its_looks():
    step = only(plan(created(), state(), account(foreign(), BROKEN)))

    assert step.action == "create"


def test_with_a_state_a_failed_look_alike_stops_the_create_even_beside_a_living_one():
    made = plan(created(), state(), account(foreign(status="failed"), foreign("proj_8")))

    assert not made.steps
    assert finding(made).attention


def test_of_two_candidates_none_is_guessed():
    made = plan(created(), None, account(foreign(), foreign("proj_8"), BROKEN))

    assert not made.steps
    found = identity(made)
    assert "`proj_9`" in found.summary and "`proj_8`" in found.summary
    assert "reconciler import a PROJECT_ID" in found.detail


def test_a_failed_project_with_the_same_brief_is_not_made_again_unasked():
    made = plan(created(), None, account(foreign(status="failed"), foreign("proj_8", status="failed")))

    assert not made.steps
    found = identity(made)
    assert "`proj_9`, `proj_8`" in found.summary
    assert "reconciler import a proj_9" in found.detail and "--replace a" in found.detail


@pytest.mark.parametrize(
    ("specs", "seen"),
    [
        (
            desired(adopted("a"), imported("b", "proj_9", messages=["one"])),
            live("proj_9", source_project_id="studio_1"),
        ),
    ],
)
def test_two_addresses_never_come_to_stand_for_one_project(specs, seen):
    made = plan(specs, None, seen)

    assert not made.steps
    assert [(d.address, d.severity) for d in made.diagnostics] == [("a", "error"), ("b", "error")]
    assert all("would be bound to `a`, `b`" in d.summary for d in made.diagnostics)


def test_one_that_lives_beside_a_failed_one_is_not_bound_by_its_looks():
    made = plan(created(), None, account(foreign(status="failed"), foreign("proj_8")))

    assert not made.steps and "`proj_8`" in identity(made).summary


def test_a_cancelled_one_is_left_to_its_key():
    step = only(plan(created(), None, account(foreign(status="cancelled"))))

    assert step.action == "create" and step.reason == "it is in the specs and not in the state"


@pytest.mark.parametrize(
    "other",
    [
        foreign(title="T", brief="Another brief"),
        foreign(title="T", brief=None),
        foreign(title="T", source_project_id="studio_7"),
    ],
    ids=["brief", "no brief shown", "adopted"],
)
def test_what_differs_in_brief_or_came_from_the_studio_is_no_candidate(other):
    step = only(plan(created(settings={"title": "T"}), None, account(other, BROKEN)))

    assert step.action == "create" and step.reason == "it is in the specs and not in the state"


@pytest.mark.parametrize(
    "other",
    [foreign(title="Other"), foreign(title="Other", status="failed"), foreign(title="t", brief=BRIEF + " Slowly.")],
    ids=["renamed", "renamed and failed", "rewritten"],
)
def test_one_that_was_perhaps_renamed_or_rewritten_stops_its_address_where_the_key_cannot_tell(other):
    """Intent: without a state, a person's new title or a changed spec must not make a second project."""
    made = plan(created(settings={"title": "T"}), None, account(other, BROKEN))
    assert not made.steps and "a similar brief and title" in identity(made).summary
    assert only(plan(created(settings={"title": "T"}), None, account(replace(other, status="idle")))).action == "create"


def test_siblings_with_one_brief_are_not_taken_for_each_other():
    """Intent: the project that one address declares to the letter is not what another one may have had."""
    ours = foreign(title="T")
    made = plan(
        desired(created("a", settings={"title": "T"}), created("b", settings={"title": "U"})),
        None,
        account(ours, BROKEN),
    )
    assert [step.address for step in made.steps] == ["b"] and [d.address for d in made.unsettled] == ["a"]


def test_a_cancelled_one_whose_key_may_be_forgotten_is_not_made_again():
    old = foreign(status="cancelled", created_at="2025-12-01T00:00:00Z")
    assert not plan(created(), None, account(old)).steps


def test_a_successor_is_not_made_again_where_its_predecessors_key_may_be_forgotten():
    """Intent: a project that was replaced yesterday has the second key; the first one may make another by now."""
    old = foreign("proj_8", status="cancelled", brief="The old brief", created_at="2025-12-01T00:00:00Z")
    assert "cancelled so long ago" in identity(plan(created(), None, account(old, foreign()))).detail
    recent = replace(old, created_at=foreign().created_at)
    assert only(plan(created(), None, account(recent, foreign()))).action == "create"


def test_a_disputed_key_stays_so_until_the_project_is_the_one_asked_for_or_the_user_says_so():
    """Intent: no later plan touches the project that the key told of, and each way out leads out."""
    have = replace(state(), disputes={"a": Dispute(2, "proj_9")})
    other = foreign(brief="Another brief")
    made = plan(created(), have, account(other))
    (found,) = made.unsettled
    assert not made.steps and "`ws/a/2` belongs to `proj_9`" in found.summary and found.attention
    assert only(plan(created(), have, account(other), replace={"a"})).key == "ws/a/3"
    assert only(plan(created(), have, account(foreign()))).key == "ws/a/1"


def test_a_project_that_the_state_knows_elsewhere_is_no_candidate():
    have = state(b=entry("proj_9", retired=("proj_8",)))
    seen = account(foreign(), foreign("proj_8"), BROKEN)

    made = plan(desired(created("a"), created("b")), have, seen)

    assert only(made).action == "create" and only(made).address == "a"


def test_only_the_first_generation_looks_for_candidates():
    seen = account(foreign(status="failed"))

    assert only(plan(created(), state(generations={"a": 1}), seen)).key == "ws/a/2"


def test_replace_makes_a_new_one_past_every_candidate():
    assert only(plan(created(), None, account(foreign(), BROKEN), replace=["a"])).action == "create"


def test_a_long_brief_is_compared_as_far_as_the_list_shows_it():
    brief = "x" * 250
    made = plan(created(brief=brief), None, account(foreign(brief="x" * 200), BROKEN))
    other = plan(created(brief=brief), None, account(foreign(brief="x" * 100), BROKEN))  # no list cuts that early

    assert not made.steps and made.unsettled
    assert only(other).action == "create"


def test_a_secret_brief_and_title_are_compared_by_their_plain_text():
    brief = Secret("Call ${env.X}", "digest", Revealed("Call me"))

    made = plan(created(brief=brief), None, account(foreign(brief="Call me"), BROKEN))
    unknown = plan(created(brief=Secret("Call ${env.X}", "digest")), None, account(foreign(brief="Call me"), BROKEN))

    assert not made.steps and made.unsettled
    assert only(unknown).action == "create"
