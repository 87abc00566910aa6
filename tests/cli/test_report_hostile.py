"""Text of specs and of the API can't command the terminal or the CI service, in any renderer."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.events import (
    ApplyResult,
    Noted,
    Recovered,
    StatusChanged,
    StepEnded,
    StepResult,
    StepStarted,
    StepWaiting,
)
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.plan import Adopt, Import, Message, Replace, Update
from reconciler.model.state import Entry, Known, Outputs, State
from reconciler.report.diagnostics import diagnostic_github, diagnostic_text
from reconciler.report.event_lines import event_line
from reconciler.report.safe_text import clean, columns, pad
from reconciler.report.style import Style
from reconciler.report.tables import StatusRow, messages_text, output_text, state_list_text, status_text
from reconciler.report.text import apply_text, plan_text
from tests.cli.report_samples import PLAN, change

PLAIN = Style(color=False)
HOSTILE = (
    "x\x1b[2J\x9b1m\u202egnp.exe\u200b\r\n::error::pwned\n ##[group]x ##vso[task.x] \u2028\x7f\x00\ud83d ::add-mask::a"
)


def every_text(evil: str) -> list[str]:
    """Each renderer's output with the text in every place that foreign text can stand in (addresses are checked names)."""
    changes = (
        change(evil, evil, evil * 9),
        change("settings.title", [evil], {evil: evil}, "sent", forces=evil),
    )
    texts = {"reason": evil, "waits_for": evil, "changes": changes, "project_id": evil, "address": "a"}
    message = Message(**texts, message=DesiredMessage(evil, {"message": evil, evil: evil}))
    steps = (
        message,
        Update(**texts, body={}),
        Replace(**texts, body={}, generation=1, key="k"),
        Adopt(**texts, body={"project_id": evil}),
        Import(**texts),
    )
    found = Diagnostic(
        severity="error",
        summary=evil,
        detail=evil,
        address=evil,
        location=Location(evil, 1, 2),
        code=evil,
        attention=True,
    )
    plan = replace(PLAN, steps=steps, diagnostics=(found, replace(found, summary=evil + "2")))
    results = (
        StepResult(step=message, outcome="failed", error=found, note=evil),
        StepResult(step=message, outcome="failed", error=found),
        StepResult(step=message, outcome="deferred"),
    )
    events = [
        StepStarted(step=message),
        StepWaiting(step=message, waits_for=evil, seconds=1.0),
        StatusChanged(address="a", project_id=evil, status=evil),
        StepEnded(step=message, outcome="done", project_id=evil, note=evil),
        StepEnded(step=message, outcome="unknown", error=found),
        Recovered(address="a", kind=evil, result="unknown", note=evil),
        Noted(diagnostic=found),
    ]
    entry = Entry(
        project_id=evil,
        origin="created",
        settings={"title": Known(evil, "list", evil)},
        outputs=Outputs(status=evil, project_url=evil, agent_message=evil),
    )
    live = LiveProject(
        id=evil,
        status=evil,
        source="list",
        settings={"mode": evil},
        updated_at=evil,
        error_message=evil,
        project_url=evil,
    )
    rows = [StatusRow(address="a", entry=entry, live=live), StatusRow(address="a", entry=entry, live=None)]
    state = State(lineage="l", workspace="w", api_url="u", projects={evil: entry})
    return [
        plan_text(plan, style=PLAIN, verbose=True),
        plan_text(plan, style=PLAIN),
        apply_text(ApplyResult(plan=plan, results=results, diagnostics=(found,)), style=PLAIN),
        *(event_line(event, style=PLAIN) or "" for event in events),
        diagnostic_text(found, style=PLAIN),
        status_text(rows, style=PLAIN),
        output_text({evil: entry}, style=PLAIN),
        state_list_text(state, style=PLAIN),
        messages_text([LiveMessage(id=evil, role=evil, content=evil, source=evil, created_at=evil)], style=PLAIN),
    ]


def assert_inert(text: str) -> None:
    for line in text.split("\n"):
        assert line.isprintable(), line
        assert not line.lstrip().startswith("::"), line
        assert "##[" not in line and "##vso[" not in line
    text.encode()


@pytest.mark.sweep
@given(st.text(st.characters() | st.sampled_from(":#[ \n\x1b\r\u202e\ud83d\u2028"), max_size=40))
@example(HOSTILE)
@example("::error::x")
@example("word " * 40 + "::error::x")
@example("y" * 95 + "::error::x")
@example("- \n+ ::error::x")
@example("One. ::error::x. ::error::y")
def test_no_renderer_lets_foreign_text_act(evil):
    """Intent: whatever stands in a spec, an answer or a file name, every line printed is plain and no CI command."""
    for text in every_text(evil):
        assert_inert(text)


def test_escapes_show_what_was_there():
    """Intent: neutralised characters stay visible, so that an attack can be seen."""
    assert clean("\x1b[1m a\tb\r\nc") == "␛[1m a␉b␍␊c"
    assert clean("a\nb", multiline=True) == "a\nb"
    assert clean("\u202e\u200b\x85\x7f\ud83d\U000e0041") == "\\u202e\\u200b\\x85␡\\ud83d\\U000e0041"
    assert clean("::error::x a::b :: ##[x] ##vso[y] # [z]") == "\\::error::x a::b \\:: #\\#[x] #\\#vso[y] # [z]"


def test_ordinary_text_is_left_alone():
    """Intent: other scripts, emoji and punctuation come through as they are."""
    text = "Grüße, 日本語 – “quoted” 🎬 std::vector ## heading"
    assert clean(text) == text


@pytest.mark.sweep
@given(st.text(), st.booleans())
def test_cleaning_twice_is_cleaning_once(text, multiline):
    """Intent: a text that passes two renderers does not pile up escapes."""
    once = clean(text, multiline=multiline)
    assert clean(once, multiline=multiline) == once


def test_columns_count_what_a_terminal_shows():
    """Intent: tables stay aligned with wide and combining characters."""
    assert columns("日本") == 4
    assert columns(unicodedata.normalize("NFD", "é")) == 1
    assert pad("日本", 6) == "日本  "


@pytest.mark.sweep
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
@example("a,b:c", "50%\n::error::x", "s.yaml,line=9::x")
def test_a_github_annotation_can_not_be_broken_out_of(summary, detail, file):
    """Intent: one diagnostic gives one workflow command with just its own properties."""
    found = Diagnostic(severity="error", summary=summary, detail=detail, location=Location(file, 1, 2))
    line = diagnostic_github(found)
    assert "\n" not in line and "\r" not in line
    head, _, _ = line.removeprefix("::").partition("::")
    assert [part.split("=")[0] for part in head.removeprefix("error ").split(",")] == [
        "file",
        "line",
        "col",
        *(["title"] if detail else []),
    ]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (Diagnostic(severity="note", summary="all 100% good"), "::notice::all 100%25 good"),
        (
            Diagnostic(severity="warning", summary="a: b, c", detail="d\ne", location=Location("s.yaml", 3)),
            "::warning file=s.yaml,line=3,title=a%3A b%2C c::d%0Ae",
        ),
    ],
)
def test_github_annotations_read_like_this(found, line):
    """Intent: the annotation's form is GitHub's."""
    assert diagnostic_github(found) == line
