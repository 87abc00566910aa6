"""What a hook or an editor does to files without a reader's seeing it is no change: nothing is made or sent for it."""

import pytest

from reconciler.model.desired import Moved
from tests.planning.planning_support import (
    account,
    actions,
    created,
    desired,
    entry,
    live,
    plan,
    sent,
    state,
)

REWRITINGS = [
    ("One  \nTwo", "One\nTwo"),
    ("One\nTwo", "One \t\nTwo"),
    ("Gru\u0308n und blau", "Grün und blau"),
    ("Grün und blau", "Gru\u0308n und blau"),
    ("One\nTwo", "One\r\nTwo"),
    ("One\nTwo", "One\nTwo\n\n"),
    ("One", "\ufeffOne"),
    ("\u200bOne", "One"),
    ("25\u00a0seconds", "25 seconds"),
    ("25\u202fseconds", "25 seconds"),
    ("25\u2009seconds", "25 seconds"),
    ("\u200fשלום", "שלום"),
    ("\u2068One\u2069", "One"),
    ("so\u00adfter", "softer"),
    ("One\rTwo", "One\nTwo"),
    ("\u212bngström", "\u00c5ngstro\u0308m"),
]
VISIBLE = [
    ("One\nTwo", "One Two"),
    ("One\nTwo", "One\n\nTwo"),
    ("One two", "One  two"),
    ("One", "one"),
    ("It's", "It’s"),
    ("Grün", "Grun"),
]


def notes(made):
    return [d for d in made.diagnostics if "but reads the same" in d.summary]


@pytest.mark.parametrize(("before", "after"), REWRITINGS)
def test_a_brief_that_reads_as_before_replaces_nothing_and_is_told_once(before, after):
    made = plan(created(brief=after), entry(brief=before), live(brief=before))

    assert actions(made) == []
    [note] = notes(made)
    assert (note.severity, note.address, note.attention) == ("note", "a", False)


@pytest.mark.parametrize(("before", "after"), REWRITINGS)
def test_a_sent_message_that_reads_as_before_is_not_edited(before, after):
    body = {"message": after, "references": [{"url": "https://x.test/a", "type": "url"}]}
    made = plan(
        created(messages=[("m", body), "new"]),
        entry(messages=sent(("m", body | {"message": before}))),
        live(),
    )

    assert actions(made) == ["message"]
    assert not made.errors
    assert len(notes(made)) == 1


@pytest.mark.parametrize(("before", "after"), VISIBLE)
def test_what_a_reader_sees_is_a_change(before, after):
    replaced = plan(created(brief=after), entry(brief=before), live(brief=before))
    assert actions(replaced) == ["replace"]
    assert [change.path for change in replaced.steps[0].changes][:1] == ["brief"]
    edited = plan(created(messages=[after]), entry(messages=sent(before)), live())
    assert [d.summary for d in edited.errors] == ["message `1` was edited after it was sent"]
    assert not notes(replaced) and not notes(edited)


@pytest.mark.parametrize("other", [{"extract_content": False}, {"references": [{"url": "https://x.test/b"}]}])
def test_more_than_the_text_is_an_edit_whatever_the_text_does(other):
    made = plan(created(messages=[("m", {"message": "One", **other})]), entry(messages=sent(("m", "One  \n"))), live())
    assert made.errors


def test_another_field_that_changes_replaces_and_is_shown_alone():
    made = plan(
        created(brief="One\nTwo", creation={"aspect_ratio": "9:16"}),
        entry(brief="One  \nTwo"),
        live(brief="One  \nTwo"),
    )
    assert actions(made) == ["replace"]
    assert made.steps[0].changes[0].path == "aspect_ratio"
    assert made.steps[0].body["brief"] == "One\nTwo"


def test_many_projects_share_one_note():
    names = [f"p{n}" for n in range(30)]
    specs = desired(*(created(name, brief="One\nTwo") for name in names))
    have = state(**{name: entry(f"id_{name}", brief="One \nTwo") for name in names})
    made = plan(specs, have, account(*(live(f"id_{name}", brief="One \nTwo") for name in names)))
    [note] = notes(made)
    assert "`p0`" in note.summary and "25 more" in note.summary
    assert made.unchanged == 30


def test_a_title_that_reads_as_before_is_not_set_again():
    made = plan(
        created(settings={"title": "Grün"}),
        entry(settings={"title": "Gru\u0308n"}),
        live(title="Gru\u0308n"),
    )
    assert actions(made) == []


def test_a_project_under_another_name_is_known_by_what_a_reader_sees():
    made = plan(desired(created("b", brief="One\nTwo")), state(a=entry(brief="One  \nTwo")), live(brief="One  \nTwo"))
    assert any("looks renamed to `b`" in d.summary for d in made.diagnostics)


def test_a_project_that_moves_and_whose_files_were_cleaned_is_only_moved():
    specs = desired(created("b", brief="One\nTwo", messages=["x"]), moved=(Moved("a", "b"),))
    made = plan(specs, state(a=entry(brief="One  \nTwo", messages=sent("x \n"))), live(brief="One  \nTwo"))
    assert actions(made) == ["move"]
