"""Servers that show texts otherwise than they were sent: nothing is sent twice, made twice, or lost for that."""

import html
import unicodedata

import pytest
from msgspec.structs import replace

from reconciler.sandbox import views
from reconciler.sandbox.store import Fault
from tests.recovery.accounts import OPTIONS
from tests.recovery.runs import kill_at
from tests.sampling import every

SENT, RECEIVED = 2, 3
ONE = "projects:\n  it: {brief: A brief., settings: {title: It}}\n"
LONG = "Make the first scene a bit slower and the second one a bit faster, please. " * 6 + "Thanks."
MESSAGES = [
    "Make A & B < C",
    'Say \\"it\'s on\\" - twice',
    "a\\x07b\\tc",
    "More 🎉 in the last scene",
    "Use *bold* and _this_\\n\\n1. one\\n2. two",
    LONG,
]
FORMS = {
    "escaped": html.escape,
    "numeric entities": lambda t: "".join(f"&#{ord(c)};" if c in "&<>\"'" or ord(c) > 126 else c for c in t),
    "without controls": lambda t: "".join(c for c in t if unicodedata.category(c) != "Cc" or c == "\n"),
    "curly": lambda t: t.replace("'", "’").replace('"', "”").replace("-", "–"),
    "emoji as ?": lambda t: "".join("?" if ord(c) > 0xFFFF else c for c in t),
    "emoji as U+FFFD": lambda t: "".join("\ufffd" if ord(c) > 0xFFFF else c for c in t),
    "emoji dropped": lambda t: "".join("" if ord(c) > 0xFFFF else c for c in t),
    "cut at 200": lambda t: t[:200],
    "cut with …": lambda t: t if len(t) <= 100 else t[:99] + "…",
    "a line appended": lambda t: t + "\n\n[1 reference attached: logo.png]",
    "a line prepended": lambda t: "References: https://x.test/logo.png\n\n" + t,
    "CRLF": lambda t: t.replace("\n", "\r\n"),
    "NFD": lambda t: unicodedata.normalize("NFD", t),
    "byte order mark": lambda t: "\ufeff" + t,
    "no-break blanks": lambda t: t.replace(" ", "\u00a0"),
    "in a paragraph": lambda t: f"<p>{html.escape(t)}</p>",
    "markdown escaped": lambda t: "".join("\\" + c if c in "*_.<>" else c for c in t),
    "lower case": str.lower,
}


def with_messages(*messages):
    listed = ", ".join(f'"{message}"' for message in messages)
    return f"projects:\n  it: {{brief: A brief., settings: {{title: It}}, messages: [{listed}]}}\n"


def showing(monkeypatch, form):
    """From now on conversations show what users said in this form."""
    shown = views.message

    def message(row):
        said = shown(row)
        return said | {"content": form(said["content"])} if said["role"] == "user" else said

    monkeypatch.setattr(views, "message", message)


def listing(monkeypatch, cut):
    """From now on lists show briefs as ``cut`` leaves them."""
    shown = views.listed

    def listed(project, call, secret):
        head = project["brief_head"]
        return shown(project, call, secret) | {"brief": cut(BRIEF) if BRIEF.startswith(head) else head}

    monkeypatch.setattr(views, "listed", listed)


@pytest.fixture
def world(new_world):
    return new_world(ONE, once=True)


def it(world):
    return world.entries()["it"]["project_id"]


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", every(3, FORMS))
def test_messages_whose_answers_are_lost_are_known_again_and_sent_once(world, monkeypatch, form):
    showing(monkeypatch, FORMS[form])
    world.specs(with_messages(*MESSAGES))
    world.store.add_fault(Fault(kind="reset", method="POST", path="/messages$", when="after", times=len(MESSAGES)))
    for _ in MESSAGES:
        done = world.apply()
        if done.code == 0:
            break
        assert "state resolve it" in done.out + done.err, str(done)
        assert world.run("state", "resolve", "it", "--sent").code == 0
    sent = world.sent("it")
    assert len(sent) == len(set(sent)) == len(MESSAGES)
    assert world.plan().code == 0


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", every(2, ["escaped", "emoji as ?", "cut at 200", "a line appended", "lower case"]))
def test_equal_messages_shown_in_another_form_are_each_sent_once(world, monkeypatch, form):
    showing(monkeypatch, FORMS[form])
    texts = ["Louder & warmer 🎉", "Louder & warmer 🎉", "Softer at the end.", "Louder & warmer 🎉"]
    world.specs(with_messages(*texts))
    world.store.add_fault(Fault(kind="reset", method="POST", path="/messages$", when="after", skip=1, times=2))
    done = world.apply()
    assert done.code == 0, str(done)
    assert world.sent("it") == texts
    assert world.plan().code == 0


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [SENT, RECEIVED])
def test_a_message_that_a_killed_run_sent_is_known_again(world, monkeypatch, at):
    showing(monkeypatch, FORMS["escaped"])
    world.specs(with_messages("Make A & B < C", "Then stop."))
    assert world.apply(orders=[kill_at("call", at)]).killed
    world.converges()
    assert world.sent("it") == ["Make A & B < C", "Then stop."]


HABITS = [
    {"message_habits": ("escape", "controls", "quotes")},
    {"message_habits": ("emoji", "fold", "trim", "nfd")},
    {"message_habits": ("lower", "joiners", "escape"), "message_line": "References: logo.png"},
    {"message_max": 200},
    {"message_max": 200, "message_habits": ("escape",), "message_line": "2 references"},
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("habits", every(3, HABITS))
def test_no_habit_of_the_emulated_api_has_a_message_sent_twice(new_world, habits):
    world = new_world(ONE, options=replace(OPTIONS, **habits))
    world.converges()
    world.specs(with_messages(*MESSAGES))
    world.store.add_fault(Fault(kind="reset", method="POST", path="/messages$", when="after", times=len(MESSAGES)))
    for _ in MESSAGES:
        done = world.apply()
        if done.code == 0:
            break
        assert world.run("state", "resolve", "it", "--sent").code == 0, str(done)
    sent = [e for e in world.store.ledger() if e.kind == "message"]
    assert len(sent) == len(MESSAGES)
    world.state.unlink()
    for _ in MESSAGES:
        if world.apply().code == 0:
            break
        assert world.run("state", "resolve", "it", "--sent").code == 0
    assert len([e for e in world.store.ledger() if e.kind == "message"]) == len(MESSAGES)
    assert len(world.created()) == 1


def lost(world, text, typed):
    """A message whose request was lost before the server acted, while a person typed something."""
    world.specs(with_messages(text))
    assert world.apply(orders=[kill_at("call", 1)]).killed
    world.store.person_writes(it(world), typed)
    world.store.finish_all()


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("ok", "no"),
        ("Make the music softer.", "Make the music louder."),
        ("Make A & B < C", "Replace the logo."),
        (LONG, "Everything is fine as it is, thank you."),
    ],
)
def test_what_a_person_typed_meanwhile_is_a_persons(world, text, typed):
    lost(world, text, typed)
    world.converges()
    assert world.sent("it") == [text]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("said", ["--sent", "--not-sent"])
def test_what_only_a_person_can_tell_is_asked_and_the_answer_is_kept(world, said):
    # Intent: nothing is sent again for inequality, nor is the same question asked twice.
    text = "Make the music of the last scene softer, and add a voice."
    lost(world, text, "Make the music of the last scene softer.")
    for _ in range(2):
        done = world.apply()
        told = done.out + done.err
        assert "unknown" in told and "state resolve it" in told, str(done)
        assert world.sent("it") == []
    planned = world.plan()
    [intent] = world.pending().values()
    assert intent["near"] and intent["near"][0] in planned.out, str(planned)
    assert "reconciler messages it" in planned.out
    assert world.run("state", "resolve", "it", said).code == 0
    world.converges()
    assert world.sent("it") == ([] if said == "--sent" else [text])
    world.specs(with_messages(text, "Make the music of the last scene softer!"))
    world.converges()
    assert len(world.sent("it")) == (1 if said == "--sent" else 2)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("form", every(2, ["escaped", "emoji as ?", "cut with …", "a line appended", "in a paragraph"]))
def test_after_the_loss_of_the_state_no_message_is_sent_again(world, monkeypatch, form):
    world.specs(with_messages(*MESSAGES))
    world.converges()
    before = world.sent("it")
    showing(monkeypatch, FORMS[form])
    world.state.unlink()
    for _ in MESSAGES:
        done = world.apply()
        if done.code == 0:
            break
        assert "state resolve it" in done.out + done.err, str(done)
        assert world.run("state", "resolve", "it", "--sent").code == 0
    assert world.sent(project_id=world.created()[0]) == before
    assert world.plan().code == 0


@pytest.mark.sampled(6)
@pytest.mark.parametrize("form", every(2, ["escaped", "cut with …", "a line appended"]))
def test_state_recover_knows_messages_in_another_form(world, monkeypatch, form):
    world.specs(with_messages(*MESSAGES))
    world.converges()
    before = world.sent("it")
    showing(monkeypatch, FORMS[form])
    world.state.unlink()
    found = world.run("state", "recover", "--auto-approve")
    assert found.code == 0, str(found)
    assert f"{len(MESSAGES)} of {len(MESSAGES)} messages" in found.out + found.err
    world.converges()
    assert world.sent("it") == before


# ── briefs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

BRIEF = "Fünfzehn Sekunden 🎉 mit “Kaffee” & Kuchen, das Produkt <am Ende>. " * 8 + "Ende."
CUTS = {
    "200 and …": lambda t: t[:200] + "…",
    "197 and ...": lambda t: t[:197] + "...",
    "UTF-16 units": lambda t: t.encode("utf-16-le")[:400].decode("utf-16-le", "replace"),
    "bytes": lambda t: t.encode()[:200].decode(errors="ignore"),
    "trimmed": lambda t: t[:200].rstrip() + " …",
    "escaped": lambda t: html.escape(t)[:200],
}


def with_brief(address="it", more=""):
    return f"projects:\n  {address}: {{brief: '{BRIEF}', settings: {{title: It}}}}\n{more}"


@pytest.mark.sampled(6)
@pytest.mark.parametrize("cut", every(3, CUTS))
def test_a_failed_project_whose_state_is_lost_is_not_made_anew(new_world, monkeypatch, cut):
    listing(monkeypatch, CUTS[cut])
    world = new_world(with_brief())
    world.converges()
    world.store.set_status(world.created()[0], "failed")
    world.state.unlink()
    done = world.apply()
    assert len(world.created()) == 1, str(done)
    assert world.created()[0] in done.out + done.err


@pytest.mark.sampled(6)
@pytest.mark.parametrize("cut", every(3, reversed(CUTS)))
def test_a_renamed_project_whose_state_is_lost_is_not_made_anew(new_world, monkeypatch, cut):
    listing(monkeypatch, CUTS[cut])
    world = new_world(with_brief())
    world.converges()
    world.specs(with_brief("new", "moved: [{from: it, to: new}]\n"))
    world.converges()
    world.state.unlink()
    world.apply()
    assert len(world.created()) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize("cut", every(3, CUTS))
def test_a_create_of_unknown_fate_is_found_by_its_brief(new_world, monkeypatch, cut):
    listing(monkeypatch, CUTS[cut])
    world = new_world(with_brief())
    assert world.apply(orders=[kill_at("call", RECEIVED)]).killed
    world.backdate(days=3)
    world.store.forget_keys()
    world.converges()
    assert world.created() == [it(world)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("cut", every(3, reversed(CUTS)))
def test_an_imported_project_has_the_specs_brief_however_the_list_cuts_it(new_world, monkeypatch, cut):
    world = new_world("projects: {}\n")
    made = world.store.person_creates(brief=BRIEF, title="It")
    listing(monkeypatch, CUTS[cut])
    world.specs(with_brief())
    assert world.run("import", "it", made).code == 0
    planned = world.plan()
    assert "differs from the spec's" not in planned.out + planned.err, str(planned)
    world.specs(with_brief().replace("Kaffee", "Tee"))
    assert "differs from the spec's" in world.plan().out
