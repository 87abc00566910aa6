"""The plan as a whole: moves, selectors, slots, open calls, what it says of itself."""

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Lifecycle, Moved
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.plan import Basis
from reconciler.model.state import Intent
from reconciler.planning.planner import Selection, new_addresses, wanted_ids
from tests.planning.planning_support import (
    AT,
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


def addresses(made):
    return [(step.address, step.action) for step in made.steps]


# ── move ──


def test_a_move_renames_and_the_rest_follows_under_the_new_name():
    specs = desired(created("b", settings={"title": "T"}), moved=(Moved("a", "b"),))

    made = plan(specs, entry(), live())

    assert addresses(made) == [("b", "move"), ("b", "update")]
    assert made.steps[0].from_address == "a" and made.steps[0].project_id == "proj_1"
    assert made.steps[0].reason == "renamed from `a`"
    assert made.summary["update"] == 1 and "move" not in made.summary and made.managed == 1
    assert made.basis["b"].entry is not None


def test_a_move_that_was_made_does_nothing():
    specs = desired(created("b"), moved=(Moved("a", "b"),))

    assert quiet(plan(specs, state(b=entry()), live()))


def test_a_move_onto_what_the_state_has_is_an_error():
    specs = desired(created("b"), moved=(Moved("a", "b", Location("m.yaml", 1)),))
    have = state(a=entry(lifecycle=Lifecycle(on_remove="forget")), b=entry("proj_2"))

    made = plan(specs, have, account(live(), live("proj_2")))

    found = next(d for d in made.diagnostics if d.address == "b")
    assert found.severity == "error" and found.location == Location("m.yaml", 1)
    assert found.summary == "can't move `a` to `b`: the state has both"
    assert "move" not in actions(made)


def test_a_target_takes_a_move_by_either_name_and_never_as_a_removal():
    specs = desired(created("b"), created("c"), moved=(Moved("a", "b"),))

    assert addresses(plan(specs, entry(), live(status="running"), targets=["b"])) == [("b", "move")]
    by_old_name = plan(specs, entry(), live(status="running"), targets=["a"])
    assert not by_old_name.steps and "`a` is neither in the specs nor in the state" in finding(by_old_name).summary
    assert addresses(plan(specs, entry(), live(status="running"), targets=["c"])) == [("c", "create")]


# ── selectors ──


def test_targets_leave_everything_else_alone():
    kept = {"on_remove": "forget"}
    specs = desired(created("a", lifecycle=kept), created("b", lifecycle=kept))
    have = state(x=entry("proj_8"), y=entry("proj_9"))
    seen = account(live("proj_8"), live("proj_9"))

    made = plan(specs, have, seen, targets=["b", "y"])

    assert addresses(made) == [("b", "create"), ("y", "forget")]
    assert made.managed == 2 and set(made.lifecycles) == {"b"}


def test_selectors_that_name_nothing_are_errors_in_order():
    made = plan(created(), entry(), live(), targets=["z", "a"], replace=["y"])

    assert [(d.severity, d.address) for d in made.diagnostics] == [("error", "y"), ("error", "z")]
    assert made.diagnostics[0].summary == "`y` is neither in the specs nor in the state"


def test_a_selector_that_names_nothing_is_answered_with_what_may_have_been_meant():
    made = plan(desired(created("promo[us]"), created("promo[de]"), created("teaser")), targets=["promo", "teser", "x"])

    assert [d.detail for d in made.diagnostics[:2]] == [
        "Did you mean `promo[de]` or `promo[us]`?",
        "Did you mean `teaser`?",
    ]
    assert "state list" in made.diagnostics[2].detail


def test_a_replacement_outside_of_the_targets_is_an_error_and_not_passed_over():
    specs = desired(created("a"), created("b"))
    made = plan(
        specs, state(a=entry(), b=entry("proj_2")), account(live(), live("proj_2")), targets=["a"], replace=["b"]
    )

    assert finding(made).severity == "error" and "`--target` leaves out" in finding(made).summary


def test_replace_marks_no_other_address():
    specs = desired(created("a"), created("b"))
    made = plan(specs, state(a=entry(), b=entry("proj_2")), account(live(), live("proj_2")), replace=["a"])

    assert addresses(made) == [("a", "replace")]


def test_declared_projects_come_in_the_order_of_the_specs_then_the_rest_by_name():
    specs = desired(created("m"), created("b"))
    have = state(z=entry("proj_8"), c=entry("proj_9"))

    made = plan(specs, have, account(live("proj_8"), live("proj_9")))

    assert addresses(made) == [("m", "create"), ("b", "create"), ("c", "forget"), ("z", "forget")]


# ── slots ──


def waits(made):
    return [step.waits_for for step in made.steps]


FULL = "a free slot (2 projects may be active at once)"


def test_what_finds_no_free_slot_waits_for_one():
    specs = desired(*(created(name) for name in "abc"))

    assert waits(plan(specs, active_limit=2)) == [None, None, FULL]
    busy = account(live("proj_7", status="running", brief="x"))
    assert waits(plan(specs, None, busy, active_limit=2)) == [None, FULL, FULL]
    assert waits(plan(specs, None, account(active=2), active_limit=2)) == [FULL] * 3
    assert waits(
        plan(specs, None, account(live("proj_7", status="dreaming", brief="x"), active=0), active_limit=2)
    ) == [
        None,
        None,
        FULL,
    ]


def test_a_message_takes_a_slot_and_one_address_takes_no_more_than_one():
    specs = desired(created("a", messages=["one", "two"]), created("b"), created("c"))
    made = plan(specs, entry(), live(), active_limit=2)

    assert addresses(made) == [("a", "message"), ("a", "message"), ("b", "create"), ("c", "create")]
    assert waits(made) == [None, "the agent to become idle", None, FULL]


def test_steps_that_set_no_agent_to_work_take_no_slot():
    specs = desired(adopted("a"), imported("b", "proj_2", settings={"title": "T"}), created("c"))

    made = plan(specs, None, account(live("proj_2"), active=1), active_limit=2)

    assert addresses(made) == [("a", "adopt"), ("b", "import"), ("b", "update"), ("c", "create")]
    assert waits(made) == [None] * 4


@pytest.mark.parametrize(("status", "waits_for"), [("running", None), ("idle", FULL), ("failed", FULL)])
def test_a_replacement_takes_over_the_slot_of_the_one_it_cancels(status, waits_for):
    busy = [live(f"proj_{n}", status="running", brief="x") for n in (8, 9)][: 1 if status == "running" else 2]

    made = plan(created(brief="B"), entry(), account(live(status=status), *busy), active_limit=2)

    assert only(made).action == "replace" and only(made).waits_for == waits_for


def test_a_step_that_waits_for_something_else_takes_no_slot():
    specs = desired(created("a", messages=["one"]), created("b"))
    made = plan(specs, entry(), live(status="running"), active_limit=2)

    assert waits(made) == ["the agent to become idle", None]


# ── calls that were left open ──


def intent(address="a", *, kind="message", **more):
    return Intent(op=f"op-{address}", kind=kind, address=address, at=AT, **more)


def test_a_call_cut_short_is_told_and_planned_around():
    made = plan(created(settings={"title": "T"}), state(pending=[intent(kind="update")], a=entry()), live())

    assert actions(made) == ["update"]
    assert finding(made).severity == "warning" and not finding(made).attention
    assert "interrupted during the update of `a`" in finding(made).summary


@pytest.mark.parametrize(
    ("kind", "what"), [("message", "message `m`"), ("create", "the create"), ("cancel", "the cancel")]
)
def test_an_undecided_call_blocks_its_address_and_no_other(kind, what):
    open_call = intent(kind=kind, message_id="m", undecided=True)
    specs = desired(created("a", settings={"title": "T"}), created("b"))
    have = state(pending=[intent("b", kind="create"), open_call], a=entry())

    made = plan(specs, have, live())

    assert addresses(made) == [("b", "create")]
    found = next(d for d in made.diagnostics if d.address == "a")
    assert found.attention and found.severity == "warning"
    assert found.summary == f"it is unknown whether {what} of `a` was done; the project is not changed"
    way = "reconciler import a PROJECT_ID" if what == "the create" else "reconciler state resolve a --sent"
    assert AT in found.detail and way in found.detail and "--not-sent" in found.detail


def test_an_undecided_call_is_found_behind_others_and_blocks_a_removal_too():
    have = state(
        pending=[intent(undecided=False), Intent(op="2", kind="create", address="a", at=AT, undecided=True)], a=entry()
    )

    left = plan(None, have, live())
    declared = plan(created(), have, live())

    for made in (left, declared):
        assert not made.steps and "the create of `a`" in finding(made).summary


def test_an_undecided_call_speaks_before_what_could_not_be_read():
    made = plan(created(), state(pending=[intent(undecided=True, message_id="m")], a=entry()), account())

    assert "whether message `m`" in finding(made).summary


# ── what the plan says of itself ──


def test_a_plan_carries_what_it_was_made_from():
    note = Diagnostic(severity="warning", summary="of loading")
    specs = desired(created(lifecycle={"on_remove": "cancel"}), diagnostics=(note,))

    made = plan(specs, state(), account(requests=7))

    assert (made.id, made.reconciler_version, made.created_at) == ("plan_1", "0", AT)
    assert (made.workspace, made.api_url, made.lineage, made.serial) == ("ws", "https://api", "lineage", 3)
    assert made.requests_used == 7 and made.requests_needed == 1
    assert made.lifecycles == {"a": Lifecycle(on_remove="cancel")}
    assert made.diagnostics == (note,)
    assert not made.destroy and not made.refresh_only


def test_the_same_inputs_give_the_same_plan():
    specs = desired(
        created("a", settings={"title": "T"}, messages=["one"]),
        created("b", brief="B"),
        imported("c", "proj_3"),
        adopted("d"),
        moved=(Moved("old", "a"),),
    )
    have = state(old=entry(), b=entry("proj_2"), gone=entry("proj_4"), pending=[intent("b", kind="update")])
    seen = account(*(live(f"proj_{n}", title="X") for n in (1, 2, 3, 4)))

    assert plan(specs, have, seen) == plan(specs, have, seen)


def test_attention_and_unchanged_count_addresses():
    specs = desired(created("a"), created("b"), created("c", messages=[("x", "two")]))
    have = state(a=entry(), b=entry("proj_2"), c=entry("proj_3"))
    made = plan(specs, have, account(live(), live("proj_2", status="failed"), missing=["proj_3"]))

    assert made.unchanged == 1
    assert made.summary["attention"] == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [("idle", "idle"), ("queued", "active"), ("dreaming", "active"), ("rendering", "active")],
)
def test_the_basis_holds_the_class_of_the_status_and_what_is_changed(status, kind):
    project = created(settings={"title": "T", "craft": "ugc"})
    made = plan(project, entry(), live(status=status, title="Old"))

    basis = made.basis["a"]
    assert basis.status == kind and set(basis.observed) == {"title"} and basis.entry is not None


@pytest.mark.parametrize(("status", "kind"), [("failed", "failed"), ("cancelled", "cancelled")])
def test_the_basis_of_what_is_over(status, kind):
    assert plan(created(brief="B"), entry(), live(status=status)).basis["a"].status == kind


def test_the_basis_of_what_is_gone():
    assert plan(None, entry(), account(missing=["proj_1"])).basis["a"] == Basis(
        entry=plan(None, entry(), live()).basis["a"].entry, status="absent"
    )


def test_the_basis_ignores_what_only_informs():
    def held(**more):
        return plan(created(settings={"title": "T"}), entry(**more), live()).basis["a"].entry

    assert held() == held(cursor="m1") == held(lifecycle=Lifecycle(on_remove="cancel"))
    assert held() != held(settings={"craft": "ugc"})
    assert held() != held(generation=2)


# ── what planning needs to know ──


def test_the_ids_that_planning_needs_are_those_managed_and_to_be_imported():
    specs = desired(created("a"), imported("b", "proj_2"), adopted("c"))

    assert wanted_ids(specs, state(a=entry(), x=entry("proj_9"))) == {"proj_1", "proj_2", "proj_9"}


def test_new_are_those_of_which_nothing_was_ever_known():
    specs = desired(
        created("new"),
        created("known"),
        created("forgotten"),
        created("moved"),
        created("stopped", cancelled=True),
        created("elsewhere"),
        imported("b"),
        adopted("c"),
        moved=(Moved("old", "moved"), Moved("never", "new")),
    )
    have = state(generations={"forgotten": 1}, known=entry(), old=bound("proj_2"))
    chosen = Selection(targets=frozenset({"new", "known", "forgotten", "moved", "stopped", "b", "c"}))

    assert [p.address for p in new_addresses(specs, have, chosen)] == ["new"]
    assert new_addresses(specs, have, Selection(destroy=True)) == []


# ── what the types exclude ──


@pytest.mark.parametrize(
    ("project", "have", "seen"),
    [
        (created(brief="B", lifecycle={"on_immutable_change": "?"}), entry(), live()),
        (None, entry(lifecycle=Lifecycle(on_remove="?")), live()),
        (replace(created(), origin="?"), None, None),
    ],
)
def test_a_kind_that_nobody_handles_is_never_passed_over(project, have, seen):
    with pytest.raises(AssertionError):
        plan(project, have, seen)


def test_an_address_of_for_each_is_quoted_for_the_shell_where_a_command_is_named():
    address = "promo[us,16:9]"
    made = plan(desired(created(address)), state(**{address: entry()}), live(status="failed"))

    assert f"`--replace '{address}'`" in finding(made).detail
    assert "`--replace a`" in finding(plan(created("a"), entry(), live(status="failed"))).detail
