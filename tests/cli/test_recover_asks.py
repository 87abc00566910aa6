"""`state recover` at a terminal: where only the user can tell which project is meant, it asks; elsewhere it leaves them."""

import signal

import pytest

from tests.cli.cli_support import REMOTE, make_space, on_terminal
from tests.recovery.accounts import Accounts

BRIEF = "A calm film about the sea."
SPEC = f"projects:\n  teaser: {{brief: {BRIEF}, settings: {{title: Ocean}}, messages: [Softer.]}}\n"
TWICE = SPEC + f"  other: {{brief: {BRIEF}, settings: {{title: Ocean}}}}\n"
WHICH = b"n for none"


@pytest.fixture
def lost(tmp_path):
    """A workspace without a state, and its account."""
    with Accounts() as accounts:
        key, store = accounts.open()
        yield make_space(tmp_path / "ws", SPEC, REMOTE, EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key), store


def state_of(space):
    return space.run("state", "list", "--format", "json").document


def mutations(store):
    return [row.method for row in store.requests() if row.method != "GET"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("titles", [("Sea",), ("Sea", "Lake"), ("Ocean", "Ocean")], ids=" ".join)
def test_the_user_chooses_among_projects_of_the_same_brief(lost, titles):
    # Intent: one that was renamed, several, and several with the very title too: each is listed, and one is bound.
    space, store = lost
    made = [store.person_creates(brief=BRIEF, title=title) for title in titles]
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, b"1\n"),), answer=b"y\n")
    assert code == 0, shown
    assert (
        "`teaser` could be" in shown
        and all(made_id in shown for made_id in made)
        and all(title in shown for title in titles)
    )
    assert "chosen by you" in shown and "1 bound" in shown
    (bound,) = state_of(space).values()
    assert bound in made and mutations(store) == []
    planned = space.run("plan", "--format", "json").document
    assert "create" not in {step["action"] for step in planned["steps"]}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("answer", [b"n\n", b"\n"], ids=["n", "nothing"])
def test_none_of_them_leaves_all_as_it_is(lost, answer):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, answer),), answer=b"")
    assert code == 0 and "Nothing to bind." in shown and "reconciler import teaser" in shown, shown
    assert state_of(space) == {} and mutations(store) == []


def test_a_wrong_number_is_asked_again(lost):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    before = ((WHICH, b"2\n"), (WHICH, b"0\n"), (WHICH, b"1\n"))
    shown, code = on_terminal(space, "state", "recover", before=before, answer=b"y\n")
    assert code == 0 and set(state_of(space)) == {"teaser"}, shown


def test_a_choice_that_is_not_confirmed_binds_nothing(lost):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, b"1\n"),), answer=b"n\n")
    assert code == 1 and "not approved: nothing was bound" in shown
    assert state_of(space) == {}


@pytest.mark.sweep
def test_ctrl_c_at_the_question_ends_it_at_once(lost):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, signal.SIGINT),), answer=b"")
    assert code == 130 and state_of(space) == {}, shown


def test_no_project_is_offered_to_a_second_address(lost):
    # Intent: two addresses that look alike: what the first gets, the second is not asked about.
    space, store = lost
    space.write("specs/a.yaml", TWICE)
    store.person_creates(brief=BRIEF, title="Ocean")
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, b"1\n"),), answer=b"y\n")
    assert code == 0 and shown.count("could be this project") == 1, shown
    assert len(state_of(space)) == 1


def test_what_the_account_says_of_them_is_shown_harmlessly(lost):
    space, store = lost
    store.person_creates(brief=BRIEF, title="\x1b[2Jgone\n::error::boo")
    shown, _ = on_terminal(space, "state", "recover", before=((WHICH, b"n\n"),), answer=b"")
    assert "\x1b[2J" not in shown and "\n::error" not in shown and "gone" in shown


def test_a_long_list_is_cut_and_says_so(lost):
    space, store = lost
    for number in range(25):
        store.person_creates(brief=BRIEF, title=f"Sea {number}")
    shown, code = on_terminal(space, "state", "recover", before=((WHICH, b"20\n"),), answer=b"y\n")
    assert "5 more are not shown" in shown and code == 0 and len(state_of(space)) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize("args", [(), ("--auto-approve",)], ids=" ".join)
def test_without_a_terminal_nothing_is_asked(lost, args):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    ran = space.run("state", "recover", *args)
    assert "reconciler import teaser" in ran.out and "Nothing to bind." in ran.out and "could be" not in ran.err
    assert state_of(space) == {}


def test_at_a_terminal_auto_approve_does_not_ask(lost):
    space, store = lost
    store.person_creates(brief=BRIEF, title="Sea")
    shown, code = on_terminal(space, "state", "recover", "--auto-approve", answer=b"")
    assert code == 0 and "could be" not in shown and "reconciler import teaser" in shown
