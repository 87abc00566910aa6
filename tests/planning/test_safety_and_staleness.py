"""Guards with their numbers, and when a saved plan no longer fits."""

import pytest

from reconciler.model.config import Policy
from reconciler.model.plan import Adopt, Basis, Cancel, Create, Forget, Message, Plan, Replace, Update
from reconciler.model.state import Entry
from reconciler.planning.diff import differences
from reconciler.planning.safety import violations
from reconciler.planning.staleness import stale_reason, strayed_reason
from tests.planning.planning_support import log


def a(number):
    return f"p{number}"


def create(address):
    return Create(address=address, reason="", body={"brief": "B"}, generation=1, key="k")


def replace(address):
    return Replace(address=address, reason="", body={}, generation=2, key="k")


def message(address):
    return Message(address=address, reason="", message=log("x")[0])


def cancel(address):
    return Cancel(address=address, project_id="p", reason="")


def forget(address):
    return Forget(address=address, reason="")


def update(address):
    return Update(address=address, project_id="p", reason="", body={})


def adopt(address):
    return Adopt(address=address, reason="", body={})


def plan_of(*steps, managed=0):
    return Plan(
        id="", reconciler_version="", workspace="", api_url="", created_at="", lineage="", serial=0, steps=steps, managed=managed
    )  # fmt: skip


def found(plan, *, credit_balance=None, force=False, **policy):
    return list(violations(plan, Policy(**policy), credit_balance=credit_balance, force=force))


@pytest.mark.parametrize(
    ("make", "name", "noun"),
    [
        (create, "max_creates", "creates"),
        (cancel, "max_cancels", "cancels"),
        (replace, "max_replacements", "replacements"),
        (message, "max_messages", "messages"),
    ],
)
def test_each_limit_refuses_above_it_with_both_numbers(make, name, noun):
    plan = plan_of(make("b"), make("a"), make("b"))

    assert not found(plan, **{name: 3})
    assert not found(plan)
    problem = found(plan, **{name: 2})[0]
    assert problem.severity == "error"
    assert problem.summary == f"3 {noun}, but `policy.{name}` allows 2"
    assert problem.detail.startswith("`b`, `a`\nNothing was sent.") and f"raise `{name}`" in problem.detail
    assert found(plan_of(make("a")), **{name: 0})
    assert found(plan, **{name: 2}, force=True)


def test_limits_count_their_own_action_alone():
    plan = plan_of(create("a"), replace("b"), message("c"), cancel("d"), forget("e"))

    assert not found(plan, max_creates=1, max_cancels=1, max_replacements=1, max_messages=1)


def test_a_long_list_of_addresses_is_cut():
    detail = found(plan_of(*(create(a(n)) for n in range(12))), max_creates=1)[0].detail

    assert detail.startswith("`p0`, ") and "`p9` and 2 more" in detail and "`p10`" not in detail
    whole = found(plan_of(*(create(a(n)) for n in range(10))), max_creates=1)[0].detail
    assert "`p9`\n" in whole and "more" not in whole


@pytest.mark.parametrize(
    ("touched", "managed", "share", "refused"),
    [
        (3, 10, 0.3, False),
        (4, 10, 0.3, True),
        (9, 9, 0.3, False),
        (10, 10, None, False),
        (1, 10, 0.0, True),
        (10, 10, 1.0, False),
        (29, 100, 0.29, False),
        (30, 100, 0.29, True),
        (0, 10, 0.0, False),
    ],
)
def test_the_share_guard_refuses_more_than_the_share_of_ten_or_more(touched, managed, share, refused):
    plan = plan_of(*(cancel(a(n)) if n % 2 else replace(a(n)) for n in range(touched)), managed=managed)

    assert bool(found(plan, max_share=share)) == refused
    assert not found(plan, max_share=share, force=True)


def test_the_share_guard_tells_its_numbers_and_the_way_out():
    steps = [step for n in range(4) for step in (cancel(a(n)), forget(a(n)), update(a(n)))]
    problem = found(plan_of(*steps, forget("z"), update("y"), managed=10))[0]

    assert problem.summary == "4 of 10 projects would be cancelled or replaced, limit 30%"
    assert problem.detail.startswith("`p0`, `p1`, `p2`, `p3`\n") and "--force" in problem.detail


def test_an_address_counts_once_towards_the_share():
    assert not found(plan_of(cancel("a"), cancel("a"), cancel("a"), cancel("a"), managed=10))


@pytest.mark.parametrize("step", [create, replace, message])
def test_too_few_credits_refuse_what_costs(step):
    plan = plan_of(step("a"), step("a"), update("b"))

    problem = found(plan, min_credits=100, credit_balance=99)[0]
    assert problem.summary == "the account has 99 credits, but `policy.min_credits` requires 100"
    assert problem.detail.startswith("2 steps spend credits: `a`\n")
    assert not found(plan, min_credits=100, credit_balance=100)
    assert not found(plan, min_credits=100, credit_balance=None)
    assert not found(plan, credit_balance=0)


def test_too_few_credits_refuse_nothing_else():
    plan = plan_of(update("a"), cancel("a"), forget("a"), adopt("b"))

    assert not found(plan, min_credits=100, credit_balance=0)


def test_all_violations_are_told_at_once():
    plan = plan_of(create("a"), message("a"))

    assert len(found(plan, max_creates=0, max_messages=0, min_credits=5, credit_balance=1)) == 3


# ── staleness ──

SAME = Basis(entry="e", status="idle", observed={"title": "d1"})


@pytest.mark.parametrize(
    ("planned", "now", "steps", "why"),
    [
        (SAME, SAME, [update("a")], None),
        (None, SAME, [update("a")], "the plan does not say what these steps are based on"),
        (SAME, Basis(entry="f", status="idle"), [update("a")], "the state of this project changed"),
        (SAME, Basis(entry=None, status="absent"), [update("a")], "the state no longer has this project"),
        (Basis(status="absent"), SAME, [create("a")], "the state already has this project"),
        (Basis(status="absent"), Basis(status="absent"), [create("a")], None),
        (SAME, Basis(entry="e", status="active"), [update("a")], None),
        (Basis(entry="e", status="active"), Basis(entry="e", status="idle"), [message("a")], None),
        (SAME, Basis(entry="e", status="active"), [update("a"), cancel("a")], "the project was idle and is active"),
        (Basis(entry="e", status="active"), SAME, [cancel("a")], "the project was active and is idle"),
        (SAME, Basis(entry="e", status="failed"), [update("a")], "the project was idle and is failed"),
        (SAME, Basis(entry="e", status="cancelled"), [update("a")], "the project was idle and is cancelled"),
        (SAME, Basis(entry="e", status="unread"), [update("a")], "the project was idle and is unread"),
        (Basis(entry="e", status="failed"), SAME, [replace("a")], "the project was failed and is idle"),
        (SAME, Basis(entry="e", status="idle", observed={"title": "d2"}), [update("a")], "title changed outside"),
        (SAME, Basis(entry="e", status="idle", observed={}), [update("a")], None),
        (SAME, Basis(entry="e", status="idle", observed={"title": "d1", "mode": "d3"}), [update("a")], None),
        (
            Basis(entry="e", status="idle", observed={"title": "d1", "mode": "d1"}),
            Basis(entry="e", status="active", observed={"title": "d2", "mode": "d2"}),
            [update("a")],
            "mode, title changed outside",
        ),
    ],
)
def test_a_saved_plan_is_stale_where_its_basis_no_longer_holds(planned, now, steps, why):
    assert stale_reason(planned, now, steps) == why


MADE = {"origin": "created", "creation": {"brief": "B"}}


@pytest.mark.parametrize(
    ("entry", "steps", "done", "why"),
    [
        (Entry(project_id="p", **MADE), [create("a"), message("a")], 1, None),
        (
            Entry(project_id="p", origin="imported"),
            [create("a"), message("a")],
            1,
            "`p` was created from another brief",
        ),
        (Entry(project_id="p", origin="imported"), [create("a"), message("a")], 2, None),
        (None, [create("a"), message("a")], 0, None),
        (None, [create("a"), message("a")], 1, "the state no longer has this project"),
        (Entry(project_id="p", **MADE), [update("a"), message("a")], 1, None),
        (Entry(project_id="q", **MADE), [update("a"), cancel("a")], 1, "it is bound to `q` now, not to `p`"),
    ],
)
def test_the_rest_of_a_saved_plan_is_stale_where_the_address_stands_for_something_else(entry, steps, done, why):
    assert strayed_reason(entry, steps, done) == why


# ── differences ──


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({}, {"a": None}, [("a", None, None)]),
        ({"b": 1, "a": {"x": 1, "y": [1]}}, {"b": 2, "a": {"x": 1, "y": [2]}}, [("a.y[0]", 1, 2), ("b", 1, 2)]),
        ({"r": []}, {"r": [{"url": "u"}]}, [("r[0]", None, {"url": "u"})]),
        ({"r": [{"url": "u"}, {"url": "v"}]}, {"r": [{"url": "v"}]}, None),
        ({"r": [{"url": "u", "type": "image"}]}, {"r": [{"url": "u"}]}, [("r[0].type", "image", None)]),
        ({"r": [{"url": "u"}]}, {"r": [{"upload_id": "u"}]}, [("r[0].upload_id", None, "u"), ("r[0].url", "u", None)]),
        ({"x": None}, {"x": "y"}, [("x", None, "y")]),
    ],
)
def test_differences_name_every_leaf_that_differs(before, after, expected):
    rows = list(differences(before, after))

    if expected is None:
        assert rows and all(path.startswith("r[") for path, _, _ in rows)
    else:
        assert rows == expected
