"""Settings: exactly what differs is patched, whatever is known of it and from where."""

import pytest

from reconciler.model.contract import Status
from reconciler.model.live import LiveProject
from reconciler.model.state import Outputs
from reconciler.model.values import Revealed, Secret, secret_digest
from reconciler.planning.knowledge import basis
from tests.planning.planning_support import (
    LINEAGE,
    account,
    actions,
    bound,
    created,
    entry,
    finding,
    imported,
    known,
    live,
    only,
    plan,
    quiet,
)


def secret(value="s3cret", template="${env.X}"):
    return Secret(template, secret_digest(LINEAGE, Revealed(value)), Revealed(value))


def test_what_is_as_declared_is_left_alone():
    made = plan(created(settings={"title": "T", "craft": "ugc"}), entry(settings={"craft": "ugc"}), live(title="T"))

    assert quiet(made)
    assert made.unchanged == 1 and made.managed == 1 and not made.basis


def test_only_the_declared_fields_that_differ_are_patched():
    have = entry(settings={"title": "Old", "craft": "ugc", "agent_model": "opus"})
    project = created(settings={"title": "New", "craft": "cinema", "agent_model": "opus", "image_model": "m"})

    step = only(plan(project, have, live(title="Old")))

    assert step.action == "update" and step.project_id == "proj_1" and step.waits_for is None
    assert step.body == {"title": "New", "craft": "cinema", "image_model": "m"}
    assert step.reason == "settings differ"
    assert [(c.path, c.before, c.after, c.before_source, c.drift, c.sensitive, c.forces) for c in step.changes] == [
        ("settings.title", "Old", "New", "list", False, False, None),
        ("settings.craft", "ugc", "cinema", "sent", False, False, None),
        ("settings.image_model", None, "m", "none", False, False, None),
    ]


def test_what_a_person_set_on_an_undeclared_field_stays():
    assert quiet(plan(created(), entry(settings={"title": "Ours"}), live(title="Theirs")))


def test_drift_of_what_the_list_shows_is_marked_and_mended():
    have = entry(settings={"title": "T", "mode": "autonomous"})
    project = created(settings={"title": "T", "mode": "autonomous", "craft": "ugc"})

    step = only(plan(project, have, live(title="Theirs", mode="collaborative")))

    assert step.reason == "drift: title, mode changed outside"
    assert [(c.path, c.drift) for c in step.changes] == [
        ("settings.title", True),
        ("settings.mode", True),
        ("settings.craft", False),
    ]


def test_a_wish_that_changed_too_is_no_drift():
    step = only(plan(created(settings={"title": "New"}), entry(settings={"title": "Old"}), live(title="Theirs")))

    assert step.reason == "settings differ" and not step.changes[0].drift


@pytest.mark.parametrize("name", ["title", "webhook_url"])
def test_null_clears_what_is_set_and_is_content_where_nothing_is(name):
    project = created(settings={name: None})

    step = only(plan(project, entry(settings={name: "x"}), live(**({"title": "x"} if name == "title" else {}))))
    assert step.body == {name: None} and step.changes[0].after is None
    assert quiet(plan(project, entry(settings={name: None}), live()))


def test_null_on_a_field_that_nobody_knows_is_sent():
    assert only(plan(imported(settings={"webhook_url": None}), bound(), live())).body == {"webhook_url": None}


@pytest.mark.parametrize(
    ("recorded", "listed", "expected"),
    [
        (None, "assembled", {}),  # what was detected is no drift
        (None, None, {}),
        ("assets", "assets", {"expected_output": None}),
        ("assets", None, {"expected_output": None}),
        (..., "assembled", {"expected_output": None}),  # never asked for: the list is all there is
        (..., None, {}),
    ],
)
def test_expected_output_null_goes_by_what_was_asked_for(recorded, listed, expected):
    have = entry(settings={} if recorded is ... else {"expected_output": recorded})

    made = plan(created(settings={"expected_output": None}), have, live(expected_output=listed))

    assert [s.body for s in made.steps] == ([expected] if expected else [])


def test_expected_output_that_is_a_wish_goes_by_the_list():
    project = created(settings={"expected_output": "assets"})

    step = only(plan(project, entry(settings={"expected_output": "assets"}), live(expected_output="assembled")))
    assert step.changes[0].drift


def test_false_is_a_value_like_any_other():
    assert only(plan(created(settings={"craft_auto": False}), entry(settings={"craft_auto": True}), live())).body == {
        "craft_auto": False
    }


def test_ignored_fields_are_left_alone():
    project = created(settings={"title": "T", "craft": "ugc"}, lifecycle={"ignore_changes": ("title",)})

    assert only(plan(project, entry(), live(title="X"))).body == {"craft": "ugc"}


@pytest.mark.parametrize("status", [*sorted(set(Status) - {"failed", "cancelled"}), "dreaming"])
def test_a_patch_waits_while_the_agent_works(status):
    made = plan(created(settings={"title": "T"}), entry(), live(status=status))

    free = status in {"queued", "idle"}
    step = only(made)
    assert step.waits_for == (None if free else f"the agent to pause ({status})") and step.ready == free


def test_a_status_never_seen_before_is_left_alone_with_a_warning():
    made = plan(created(settings={"title": "T"}, messages=["one"]), entry(), live(status="dreaming"))

    assert finding(made).severity == "warning" and not finding(made).attention
    assert "`dreaming` is not known" in finding(made).summary
    assert actions(made) == ["update", "message"] and not any(step.ready for step in made.steps)


def test_status_knowledge_shows_the_mode_alone():
    seen = LiveProject(id="proj_1", status="idle", source="status", settings={"mode": "collaborative"})
    have = entry(settings={"title": "T", "mode": "autonomous"})

    step = only(plan(created(settings={"title": "T", "mode": "autonomous"}), have, seen))

    assert step.body == {"mode": "autonomous"} and step.changes[0].before_source == "status"


# ── handing over ──


def test_handing_over_comes_after_the_messages_and_waits_for_them():
    made = plan(created(settings={"mode": "none", "title": "T"}, messages=["one"]), entry(), live())

    assert actions(made) == ["message", "update"]
    assert made.steps[1].body == {"mode": "none", "title": "T"}
    assert made.steps[1].waits_for == "the agent to become idle"


def test_handing_over_without_messages_can_go_at_once():
    assert only(plan(created(settings={"mode": "none"}), entry(), live())).waits_for is None


def test_a_project_in_the_studio_takes_no_messages():
    for settings in ({}, {"mode": "none"}, {"title": None}):
        made = plan(created(settings=settings, messages=["one"]), entry(), live(mode="none"))

        assert not made.steps
        assert finding(made).attention and "takes no messages" in finding(made).summary


def test_another_patch_does_not_take_a_project_back_from_the_studio():
    made = plan(created(settings={"title": "T"}, messages=["one"]), entry(), live(mode="none"))

    assert actions(made) == ["update"] and "takes no messages" in finding(made).summary


def test_nothing_to_say_to_a_project_in_the_studio_is_no_finding():
    assert quiet(plan(created(settings={"mode": "none"}), entry(), live(mode="none")))


def test_a_project_taken_back_gets_its_messages():
    made = plan(created(settings={"mode": "collaborative"}, messages=["one"]), entry(), live(mode="none"))

    assert actions(made) == ["update", "message"] and not made.diagnostics


# ── refresh-only ──


def test_refresh_only_tells_drift_and_does_nothing():
    have = entry(settings={"title": "T"})
    project = created(settings={"title": "T", "craft": "ugc"}, messages=["one"])

    made = plan(project, have, live(title="Theirs"), refresh_only=True)

    assert not made.steps and not made.basis and made.refresh_only
    assert finding(made).severity == "note" and finding(made).address == "a"
    assert finding(made).summary == "drift: settings.title is 'Theirs', should be 'T'"
    assert made.unchanged == 1


def test_drift_is_no_diagnostic_of_its_own_otherwise():
    assert not plan(created(settings={"title": "T"}), entry(settings={"title": "T"}), live(title="X")).diagnostics


# ── secrets ──


def test_a_secret_is_equal_by_digest_and_never_shown():
    project = created(settings={"webhook_url": secret()})
    same = plan(project, entry(settings={"webhook_url": secret()}), live())
    other = plan(project, entry(settings={"webhook_url": secret("0ld-value")}), live())

    assert quiet(same)
    change = only(other).changes[0]
    assert (change.before, change.after, change.sensitive) == ("(secret)", "${env.X}", True)
    for text in ("s3cret", "0ld-value"):
        assert text not in repr(other)


def test_a_secret_that_the_list_shows_is_compared_by_digest():
    project = created(settings={"title": secret()})

    assert quiet(plan(project, entry(), live(title="s3cret")))
    change = only(plan(project, entry(settings={"title": secret()}), live(title="other"))).changes[0]
    assert (change.before, change.after, change.drift) == ("(secret)", "${env.X}", True)


def test_a_secret_where_nothing_was_shows_that_nothing_was():
    change = only(plan(created(settings={"title": secret()}), entry(), live(title=None))).changes[0]

    assert change.before is None and change.before_source == "list"
    unknown = only(plan(imported(settings={"webhook_url": secret()}), bound(), live())).changes[0]
    assert unknown.before is None and unknown.before_source == "none"


def test_what_was_a_secret_is_not_shown_when_the_wish_is_none_any_more():
    have = entry(settings={"title": secret()})
    change = only(plan(created(settings={"title": "Plain"}), have, live(title="s3cret"))).changes[0]

    assert (change.before, change.after, change.sensitive) == ("(secret)", "Plain", False)


def test_secrets_of_a_creation_are_masked_in_the_plan():
    made = plan(
        created(brief=secret("top s3cret"), settings={"webhook_url": secret()}, messages=[("1", {"message": secret()})])
    )

    assert [(c.path, c.after, c.sensitive) for c in made.steps[0].changes] == [
        ("brief", "${env.X}", True),
        ("settings.webhook_url", "${env.X}", True),
    ]
    assert "s3cret" not in repr(made)


# ── over ──


@pytest.mark.parametrize(
    ("told", "remembered", "summary"),
    [
        ("no credits", "older", "`a` failed: no credits"),
        (None, "older", "`a` failed: older"),
        (None, None, "`a` failed"),
    ],
)
def test_a_failed_project_is_kept_and_reported(told, remembered, summary):
    have = entry(outputs=Outputs(error_message=remembered))
    made = plan(created(settings={"title": "T"}, messages=["one"]), have, live(status="failed", error_message=told))

    assert not made.steps and made.unchanged == 0
    assert finding(made).summary == summary and finding(made).attention and finding(made).severity == "warning"
    assert "--replace a" in finding(made).detail


def test_a_project_that_a_person_cancelled_is_reported_and_not_made_again():
    made = plan(created(settings={"title": "T"}, messages=["one"]), entry(), live(status="cancelled"))

    assert not made.steps and made.unchanged == 0
    assert finding(made).attention and "was cancelled and should be present" in finding(made).summary
    assert made.summary["attention"] == 1


def test_a_project_that_is_gone_is_reported_and_not_made_again():
    made = plan(created(), entry(), account(missing=["proj_1"]))

    assert not made.steps and finding(made).attention and finding(made).severity == "warning"
    assert "the account no longer has project `proj_1`" in finding(made).summary


def test_knowledge_of_a_patch_counts_until_the_list_says_otherwise():
    have = bound(settings=known("patch", title="T", craft="ugc"))
    project = imported(settings={"title": "T", "craft": "ugc"})

    assert quiet(plan(project, have, live(title="T")))
    assert only(plan(project, have, live(title="X"))).changes[0].before_source == "list"


def test_what_a_person_set_on_a_field_that_is_to_be_clear_is_drift():
    step = only(plan(created(settings={"title": None}), entry(settings={"title": None}), live(title="Theirs")))

    assert step.body == {"title": None} and step.changes[0].drift and step.changes[0].before == "Theirs"


def test_what_stands_where_a_secret_is_to_be_is_not_shown_whatever_is_recorded():
    change = only(plan(created(settings={"title": secret()}), entry(), live(title="perhaps an older secret"))).changes[
        0
    ]

    assert change.before == "(secret)" and not change.drift


def test_a_secret_brief_of_a_saved_plan_is_unknown_text():
    made = plan(created(brief=Secret("${env.X}", "digest")), bound(), live())

    assert "differs from the spec's" in finding(made).summary


def test_what_was_not_read_is_another_basis_than_what_is_gone():
    def status(**more):
        return basis(more.pop("have", entry()), None, fields=(), **more).status

    assert status(missing=False) == "unread"
    assert status(missing=True) == "absent"
    assert status(missing=False, have=None) == "absent"


def test_a_title_that_is_known_to_have_changed_is_drift_even_where_nobody_saw_the_new_one():
    have = entry(settings={"title": "T"})
    seen = LiveProject(id="proj_1", status="idle", source="status", differing=frozenset({"title"}))
    step = only(plan(created(settings={"title": "T"}), have, seen))

    assert step.body == {"title": "T"}
    assert (step.changes[0].drift, step.changes[0].before, step.changes[0].before_source) == (True, None, "none")
