"""What can't be changed in place: replaced, refused or ignored, as the lifecycle says."""

import pytest

from reconciler.model.values import Revealed, Secret
from tests.planning.planning_support import (
    BRIEF,
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
    sent,
    state,
)

LOGO = {"url": "https://x/1", "type": "image"}


def test_a_changed_brief_replaces_the_project_and_sends_all_messages_anew():
    project = created(brief="Another.", settings={"title": "T"}, messages=["one"])
    made = plan(project, entry(generation=2, settings={"title": "T"}), live(title="T"))

    assert actions(made) == ["replace", "message"]
    step, message = made.steps
    assert (step.project_id, step.generation, step.key) == ("proj_1", 3, "ws/a/3")
    assert step.reason == "brief changed and is fixed at creation"
    assert step.body == {"brief": "Another.", "title": "T"} and step.waits_for is None
    assert [(c.path, c.before, c.after, c.before_source, c.forces) for c in step.changes] == [
        ("brief", BRIEF, "Another.", "sent", "brief is fixed at creation"),
        ("settings.title", "T", "T", "sent", None),
    ]
    assert message.project_id is None and message.waits_for == "the agent to become idle"


def test_messages_already_sent_to_the_old_project_are_sent_to_the_new_one():
    made = plan(created(brief="B", messages=["one", "two"]), entry(messages=sent("one")), live())

    assert [s.message.id for s in made.steps[1:]] == ["1", "2"]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"aspect_ratio": "9:16"}, [("aspect_ratio", "16:9", "9:16")]),
        ({"aspect_ratio": "1:1"}, {"aspect_ratio": "16:9"}, [("aspect_ratio", "1:1", "16:9")]),
        ({}, {"extract_content": False}, [("extract_content", True, False)]),
        ({}, {"references": [LOGO]}, [("references[0]", None, LOGO)]),
        ({"references": [LOGO]}, {"references": []}, [("references[0]", LOGO, None)]),
        (
            {"references": [LOGO, {"upload_id": "u"}]},
            {"references": [{**LOGO, "url": "https://x/2"}, {"upload_id": "v"}]},
            [("references[0].url", "https://x/1", "https://x/2"), ("references[1].upload_id", "u", "v")],
        ),
        ({"references": [LOGO]}, {"references": [{"url": "https://x/1"}]}, [("references[0].type", "image", None)]),
    ],
)
def test_each_field_of_creation_forces_a_replacement(before, after, changes):
    step = only(plan(created(creation=after), entry(creation=before), live()))

    assert step.action == "replace"
    assert [(c.path, c.before, c.after) for c in step.changes if c.forces] == changes
    name = next(iter(after))
    assert step.reason == f"{name} changed and is fixed at creation"
    assert step.changes[0].forces == f"{name} is fixed at creation"


def test_several_are_named_once_each():
    after = {"references": [LOGO, LOGO], "aspect_ratio": "1:1"}
    step = only(plan(created(creation=after), entry(), live()))

    assert step.reason == "aspect_ratio, references changed and is fixed at creation"


@pytest.mark.parametrize("same", [{"aspect_ratio": "16:9"}, {"references": []}, {"extract_content": True}, {}])
def test_a_default_spelled_out_or_a_field_taken_out_is_no_change(same):
    assert quiet(plan(created(creation=same), entry(creation={}), live()))


def test_a_field_taken_out_of_the_specs_is_not_managed_any_more():
    assert quiet(plan(created(), entry(creation={"aspect_ratio": "9:16"}), live()))


def test_on_immutable_change_error_refuses():
    made = plan(
        created(brief="B", lifecycle={"on_immutable_change": "error"}, settings={"title": "T"}), entry(), live()
    )

    assert not made.steps
    assert finding(made).severity == "error" and finding(made).attention
    assert finding(made).summary == "`a` changes brief, which is fixed at creation"


def test_on_immutable_change_ignore_goes_on_with_the_rest():
    made = plan(
        created(brief="B", lifecycle={"on_immutable_change": "ignore"}, settings={"title": "T"}), entry(), live()
    )

    assert actions(made) == ["update"] and not made.diagnostics


def test_ignore_changes_hides_a_field_of_creation():
    lifecycle = {"ignore_changes": ("brief",)}

    assert quiet(plan(created(brief="B", lifecycle=lifecycle), entry(), live()))
    step = only(plan(created(brief="B", creation={"aspect_ratio": "1:1"}, lifecycle=lifecycle), entry(), live()))
    assert step.reason == "aspect_ratio changed and is fixed at creation"


def test_protect_blocks_every_replacement():
    lifecycle = {"on_remove": "protect"}
    changed = plan(created(brief="B", lifecycle=lifecycle), entry(), live())
    asked = plan(created(lifecycle=lifecycle), entry(), live(), replace=["a"])
    failed = plan(created(lifecycle={**lifecycle, "on_failed": "recreate"}), entry(), live(status="failed"))

    for made in (changed, asked, failed):
        assert not made.steps
        assert finding(made).severity == "error"
        assert finding(made).summary == "`a` is protected and can't be replaced"


def test_a_secret_brief_is_compared_by_digest_and_shown_as_its_template():
    def brief(digest):
        return Secret("Call ${env.X}", digest, Revealed("Call me"))

    assert quiet(plan(created(brief=brief("d1")), entry(brief=brief("d1")), live(brief="Call me")))
    made = plan(created(brief=brief("d2")), entry(brief=brief("d1")), live(brief="Call me"))
    plain = plan(created(brief=brief("d2")), entry(brief="Was plain"), live(brief="Was plain"))

    assert [(c.path, c.before, c.after, c.sensitive) for c in only(made).changes] == [
        ("brief", "(secret)", "Call ${env.X}", True)
    ]
    assert [(c.path, c.before, c.after) for c in only(plain).changes] == [("brief", "Was plain", "Call ${env.X}")]
    assert not any(text in repr(only(made).changes) for text in ("Call me", "d1", "d2"))


def test_a_secret_inside_references_is_masked_at_its_place():
    def references(digest):
        return {
            "references": [{"url": Secret("https://${env.X}/", digest, Revealed("https://h/"))}, {"upload_id": "u"}]
        }

    step = only(plan(created(creation=references("d2")), entry(creation=references("d1")), live()))

    forced = [c for c in step.changes if c.forces]
    assert [(c.path, c.before, c.after, c.sensitive) for c in forced] == [
        ("references[0].url", "(secret)", "(secret)", True)
    ]
    assert step.reason == "references changed and is fixed at creation"
    assert not any(text in repr(step.changes) for text in ("https://h/", "d1", "d2"))


# ── taken over ──


def test_of_a_project_that_was_taken_over_only_the_brief_is_held_against_the_spec():
    made = plan(created(brief="B", creation={"aspect_ratio": "1:1"}), bound(), live())

    assert not made.steps
    assert finding(made).attention and finding(made).severity == "warning"
    assert finding(made).summary == "the brief of `proj_1` differs from the spec's"
    assert BRIEF in finding(made).detail and "--replace a" in finding(made).detail


def test_a_brief_that_agrees_or_is_ignored_or_not_shown_is_no_finding():
    assert quiet(plan(created(), bound(), live()))
    assert quiet(plan(created(brief="B", lifecycle={"ignore_changes": ("brief",)}), bound(), live()))
    assert quiet(plan(created(brief="B"), bound(), live(brief=None)))
    assert quiet(plan(created(), entry(), live(brief="The account may show what it likes of our own.")))


@pytest.mark.parametrize(
    ("project", "have", "words"),
    [
        (imported(project_id="proj_2"), bound(), "is bound to `proj_1`, but the spec imports `proj_2`"),
        (adopted(studio_id="s2"), bound(studio_id="s1"), "is bound to `proj_1`, but the spec adopts `s2`"),
    ],
)
def test_an_address_that_stands_for_another_project_is_an_error(project, have, words):
    made = plan(project, have, live())

    assert not made.steps
    assert finding(made).severity == "error" and words in finding(made).summary
    assert "reconciler state rm a" in finding(made).detail


@pytest.mark.parametrize(
    ("project", "have"),
    [
        (imported(), bound()),
        (adopted(studio_id="s1"), bound(studio_id="s1")),
        (adopted(studio_id="proj_1"), bound()),
        (created(), bound()),
    ],
)
def test_an_address_that_stands_for_just_this_is_at_rest(project, have):
    assert quiet(plan(project, have, live()))


# ── asked for ──


def test_replace_is_for_the_asking():
    made = plan(created(messages=["one"]), entry(), live(), replace=["a"])

    assert actions(made) == ["replace", "message"]
    assert made.steps[0].reason == "`--replace` asked for it"
    assert [c.path for c in made.steps[0].changes] == ["brief"]


def test_replace_of_a_project_that_is_gone_makes_a_new_one():
    step = only(plan(created(), entry(), account(missing=["proj_1"]), replace=["a"]))

    assert step.action == "replace" and step.waits_for is None


def test_a_replacement_uses_no_generation_twice():
    have = state(generations={"a": 7}, a=entry(generation=2))
    from_state = plan(created(), have, live(), replace=["a"])
    from_entry = plan(created(), state(generations={"a": 1}, a=entry(generation=5)), live(), replace=["a"])

    assert only(from_state).key == "ws/a/8"
    assert only(from_entry).key == "ws/a/6"


def test_what_has_no_brief_can_not_be_replaced():
    for project in (imported(), adopted()):
        made = plan(project, bound(studio_id="studio_1"), live(), replace=["a"])

        assert not made.steps
        assert finding(made).severity == "error" and "its spec has no brief" in finding(made).summary


def test_a_replacement_can_not_be_born_released():
    made = plan(created(settings={"mode": "none"}), entry(), live(), replace=["a"])

    assert not made.steps and "can't be created with `mode: none`" in finding(made).summary


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ("queued", None),
        ("running", None),
        ("generating", None),
        ("idle", None),
        ("failed", None),
        ("cancelled", None),
        ("rendering", "the project to leave `rendering`"),
        ("dreaming", "the project to leave `dreaming`"),
    ],
)
def test_a_replacement_waits_while_the_old_one_can_not_be_cancelled(status, waits):
    made = plan(created(brief="B"), entry(), live(status=status))

    assert only(made).waits_for == waits


def test_a_replacement_that_was_cut_short_is_gone_on_with():
    have = entry(replacing=True)

    step = only(plan(created(), have, live(status="cancelled")))
    assert step.action == "replace" and step.reason == "its replacement was interrupted"
    assert plan(imported(), bound(replacing=True), live(status="cancelled")).diagnostics[0].attention


# ── failed ──


def test_on_failed_recreate_makes_a_new_one():
    made = plan(created(lifecycle={"on_failed": "recreate"}, messages=["one"]), entry(), live(status="failed"))

    assert actions(made) == ["replace", "message"] and not made.diagnostics
    assert made.steps[0].reason == "it failed, and `on_failed` is `recreate`"


def test_a_failed_project_to_keep_is_reported_and_not_recreated():
    project = created(lifecycle={"on_failed": "recreate"})
    made = plan(project, entry(), live(status="failed"), keep_failed=["a"])

    assert not made.steps and finding(made).attention
    assert "`watch` creates no other one" in finding(made).detail
    assert actions(plan(created(brief="B"), entry(), live(status="failed"), keep_failed=["a"])) == ["replace"]


@pytest.mark.parametrize(
    ("have", "made_at", "steps"),
    [
        (entry(generation=2), "2025-12-31T00:00:01Z", []),
        (entry(generation=1, retired=("proj_0",)), "2025-12-31T00:00:01Z", []),
        (entry(generation=2), "2025-12-30T23:00:00Z", ["replace"]),
        (entry(generation=2), None, ["replace"]),
        (entry(generation=1), "2025-12-31T00:00:01Z", ["replace"]),
    ],
)
def test_a_successor_that_failed_within_a_day_is_not_replaced_by_a_loop(have, made_at, steps):
    project = created(lifecycle={"on_failed": "recreate"})
    seen = live(status="failed", created_at=made_at)
    assert actions(plan(project, have, seen, recreate_daily=True)) == steps
    assert actions(plan(project, have, seen)) == ["replace"], "a person's apply does as the spec says"


@pytest.mark.parametrize("project", [imported(lifecycle={"on_failed": "recreate"})])
def test_what_was_taken_over_is_never_recreated(project):
    made = plan(project, bound(), live(status="failed"))

    assert not made.steps and finding(made).attention


def test_a_change_of_brief_mends_a_failed_and_a_cancelled_project():
    for status in ("failed", "cancelled"):
        assert actions(plan(created(brief="B"), entry(), live(status=status))) == ["replace"]


# ── declared cancelled ──


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("queued", [("cancel", None)]),
        ("running", [("cancel", None)]),
        ("generating", [("cancel", None)]),
        ("idle", [("cancel", None)]),
        ("rendering", [("cancel", "the project to leave `rendering`")]),
        ("dreaming", [("cancel", "the project to leave `dreaming`")]),
        ("failed", []),
        ("cancelled", []),
    ],
)
def test_state_cancelled_cancels_what_is_not_over_and_does_nothing_else(status, expected):
    project = created(brief="B", cancelled=True, settings={"title": "T"}, messages=["one"])

    made = plan(project, entry(), live(status=status))

    assert [(s.action, s.waits_for) for s in made.steps] == expected
    assert all(s.reason == "the spec says `state: cancelled`" and s.project_id == "proj_1" for s in made.steps)
    assert [d.severity for d in made.diagnostics] == (["warning"] if status == "dreaming" else [])


def test_what_is_to_be_cancelled_is_not_made_anew():
    cut_short = entry(replacing=True)
    assert quiet(plan(created(cancelled=True, messages=["one"]), cut_short, live(status="cancelled")))

    for status in ("idle", "cancelled"):
        made = plan(created(cancelled=True), entry(), live(status=status), replace=["a"])
        assert not made.steps
        assert finding(made).severity == "error" and "can't be replaced" in finding(made).summary


def test_a_protected_project_is_not_cancelled():
    project = created(cancelled=True, lifecycle={"on_remove": "protect"})

    made = plan(project, entry(), live())
    assert not made.steps
    assert finding(made).severity == "error" and finding(made).summary == "`a` is protected and can't be cancelled"
    assert quiet(plan(project, entry(), live(status="cancelled")))


def test_an_adopted_project_that_is_there_already_is_cancelled_at_once():
    made = plan(adopted(cancelled=True), None, live(source_project_id="studio_1"))

    assert actions(made) == ["adopt", "cancel"]


def test_one_replacement_does_not_touch_another_address():
    specs = desired(created("a"), created("b"))
    made = plan(specs, state(a=entry(), b=entry("proj_2")), account(live(), live("proj_2")), replace=["b"])

    assert only(made).address == "b"
