"""What a `Workspace` resource gets in each mode, by the real process, a cluster's emulated API, and the account's ledger."""

from __future__ import annotations

import pytest

SPECS = "projects:\n  a: {brief: The brief of a., settings: {title: A}, messages: [hello]}\n"
MORE = SPECS + "  b: {brief: The brief of b.}\n"
NOBODYS = "0" * 64


@pytest.mark.sweep
@pytest.mark.long
def test_only_the_plan_whose_digest_is_approved_is_applied_and_a_new_revision_voids_it(cluster, team, operator):
    one = team(SPECS)
    one.resource(mode="approve")
    running = operator()
    first = cluster.reaches("one", "AwaitingApproval", running)
    assert first["plan"]["counts"] | {"create": 1, "message": 1} == first["plan"]["counts"]
    assert cluster.condition("one", "Blocked") == ("True", "AwaitingApproval")

    one.resource(mode="approve", approved=NOBODYS)
    cluster.until(lambda: "names another plan" in cluster.status("one")["conditions"][0]["message"], running)
    assert cluster.status("one")["plan"] == first["plan"], "the plan that waits is the same one: nothing has changed"

    one.specs(MORE)
    one.resource(mode="approve", approved=first["plan"]["digest"])
    second = cluster.until(
        lambda: cluster.status("one").get("observedRevision") != first["observedRevision"] and cluster.status("one"),
        running,
    )
    assert second["plan"]["digest"] != first["plan"]["digest"] and second["plan"]["counts"]["create"] == 2
    assert one.world.kinds() == [], "an approval of the old revision's plan is no approval"

    one.resource(mode="approve", approved=second["plan"]["digest"])
    done = cluster.reaches("one", "Applied", running)
    assert sorted(one.world.kinds()) == ["create", "create", "message"]
    assert done.get("plan") is None and done["applied"]["revision"] == second["observedRevision"]
    assert cluster.condition("one") == ("True", "Applied")
    assert ("Normal", "Applied", "one") in cluster.events()
    assert one.world.key not in cluster.text() + running.logs()
    assert running.stop() == 0


@pytest.mark.sweep
def test_the_mode_plan_changes_nothing_apply_everything_and_suspend_stops_both(cluster, team, operator):
    one = team(SPECS)
    one.resource()  # `plan`, by default
    running = operator()
    cluster.reaches("one", "ChangesPending", running)
    assert cluster.condition("one", "Blocked")[0] == "False"
    one.resource(mode="apply", suspend=True)
    kept = cluster.reaches("one", "Suspended", running)
    assert kept["plan"]["counts"]["create"] == 1 and one.world.kinds() == []
    one.resource(mode="apply", suspend=False)
    cluster.until(lambda: cluster.condition("one")[1] in ("Applied", "Deferred"), running)
    one.resource(mode="apply", suspend=False, interval="59m")  # a change makes a round at once
    cluster.until(lambda: cluster.condition("one")[0] == "True", running)
    assert sorted(one.world.kinds())[:1] == ["create"] and len(one.world.created()) == 1


@pytest.mark.sweep
def test_what_differs_from_a_revision_that_was_applied_is_drift(cluster, team, operator):
    one = team("projects:\n  a: {brief: The brief of a., settings: {title: A}}\n")
    one.resource(mode="apply")
    running = operator()
    cluster.until(lambda: cluster.condition("one")[0] == "True", running)
    assert cluster.condition("one", "Drifted")[0] == "False"
    one.specs("projects:\n  a: {brief: The brief of a., settings: {title: B}}\n")
    one.resource(mode="plan")
    cluster.reaches("one", "ChangesPending", running)
    assert cluster.condition("one", "Drifted")[0] == "False", "a new revision is no drift"


@pytest.mark.sweep
def test_one_workspace_that_fails_says_so_and_the_others_go_on(cluster, team, operator):
    bad, good = team("projects:\n  a: {brief: }\n", "bad"), team(SPECS, "good")
    bad.resource(mode="apply")
    good.resource(mode="apply")
    cluster.workspace("wrong", source={}, state="s3://a/b", keySecretRef={"name": "good"})
    cluster.workspace(
        "local", source={"configMap": {"name": "good"}}, state="state.json", keySecretRef={"name": "good"}
    )
    cluster.workspace("lost", source={"configMap": {"name": "good"}}, state=good.state, keySecretRef={"name": "nobody"})
    running = operator()
    failed = cluster.reaches("bad", "PlanFailed", running)
    assert "specs/all.yaml" in failed["lastError"] and cluster.condition("bad", "Blocked")[0] == "True"
    for name, word in (("wrong", "spec.source"), ("local", "state"), ("lost", "nobody")):
        assert word in cluster.reaches(name, "SourceFailed", running)["lastError"]
    cluster.until(lambda: len(good.world.created()) == 1, running)
    assert bad.world.kinds() == []
    cluster.until(lambda: cluster.events()[("Warning", "PlanFailed", "bad")] == 1, running)
    bad.specs(SPECS)
    bad.resource(mode="apply", interval="59m")
    cluster.until(lambda: len(bad.world.created()) == 1, running)
    cluster.until(lambda: cluster.status("bad").get("lastError") is None, running)


@pytest.mark.sweep
def test_a_deleted_resource_is_let_go_and_the_account_stays_as_it_is(cluster, team, operator):
    one = team(SPECS)
    one.resource(mode="apply")
    running = operator()
    cluster.until(lambda: "message" in one.world.kinds() or cluster.condition("one")[1] == "Deferred", running)
    cluster.until(lambda: not running.children(), running)
    before = one.world.kinds()
    assert cluster.get("one")["metadata"]["finalizers"]
    cluster.delete("one")
    cluster.until(lambda: cluster.get("one") is None, running)
    cluster.until(lambda: "nothing in the account was changed" in running.err(), running)
    assert one.world.kinds() == before and "cancel" not in before
    assert list(running.work.iterdir()) == []
    one.resource(mode="plan")  # the same state: it is managed as before
    assert cluster.until(lambda: cluster.status("one").get("observedRevision"), running)
    assert len(one.world.created()) == 1
