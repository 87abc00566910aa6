"""Progress lines, diagnostics and tables as text."""

import pytest

from reconciler.model.errors import Diagnostic, Location
from reconciler.model.events import Noted, Recovered, StatusChanged, StepEnded, StepStarted, StepWaiting
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry, Intent, Known, Outputs, State
from reconciler.report.diagnostics import diagnostic_text
from reconciler.report.event_lines import event_line
from reconciler.report.safe_text import columns
from reconciler.report.style import Style
from reconciler.report.tables import NONE_MANAGED, StatusRow, messages_text, output_text, state_list_text, status_text
from tests.cli.report_samples import FAILED, REFUSED, STEPS

PLAIN = Style(color=False)

ENTRY = Entry(
    project_id="proj_1",
    origin="created",
    settings={"title": Known("日本語", "list", ""), "mode": Known({"$secret": "x"}, "sent", "")},
    outputs=Outputs(status="idle", assembled_url="https://x.example/v.mp4", agent_message="Done.\nLook."),
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StepStarted(step=STEPS[0]), "summer-teaser: creating …"),
        (StepStarted(step=STEPS[5]), None),
        (
            StepWaiting(step=STEPS[1], waits_for="a free slot", seconds=30.0),
            'summer-teaser: message "softer" waits for a free slot (next check in 30 s)',
        ),
        (
            StepWaiting(step=STEPS[0], waits_for="a free slot", seconds=0.2),
            "summer-teaser: create waits for a free slot",
        ),
        (StatusChanged(address="a", project_id="p", status="idle"), "a: p is idle now"),
        (StepEnded(step=STEPS[0], outcome="done", project_id="proj_9"), "summer-teaser: created (proj_9)"),
        (StepEnded(step=STEPS[6], outcome="done", note="by hand"), "clip: moved: by hand"),
        (
            StepEnded(step=STEPS[3], outcome="failed", error=REFUSED),
            "intro: replace failed: the API refused the create",
        ),
        (StepEnded(step=STEPS[3], outcome="failed"), "intro: replace failed"),
        (
            Recovered(address="a", kind="message", result="done", note="found as msg_3"),
            "a: an earlier run's message had been done: found as msg_3",
        ),
        (
            Recovered(address="a", kind="create", result="not_done", note=""),
            "a: an earlier run's create had not been done",
        ),
        (Noted(diagnostic=FAILED), "warning: the project failed and `on_failed` is `keep`"),
    ],
)
def test_events_read_like_this(event, line):
    """Intent: every kind of event is one plain line, or none where the next event says it all."""
    assert event_line(event, style=PLAIN) == line


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Diagnostic(severity="error", summary="no key"), "error: no key"),
        (Diagnostic(severity="note", summary="clip is new", address="clip"), "note: clip is new"),
        (
            Diagnostic(
                severity="error",
                summary="unknown key `titel`",
                detail="did you mean `title`?\n",
                address="clip",
                location=Location("specs/a.yaml", 3, 5),
                code="E101",
            ),
            "error[E101]: unknown key `titel`\n  --> specs/a.yaml:3:5 (clip)\n    did you mean `title`?",
        ),
    ],
)
def test_diagnostics_read_like_this(found, text):
    """Intent: summary, place and detail, readable without colour; nothing is said twice."""
    assert diagnostic_text(found, style=PLAIN) == text


def test_the_status_table_tells_read_from_known_from_gone():
    """Intent: an unread project is not shown as absent, and what the status call hides comes from the state."""
    live = LiveProject(
        id="proj_1",
        status="failed",
        source="status",
        settings={"mode": "autonomous"},
        updated_at="2025-03-15T10:35:00Z",
        project_url="https://e.example/p",
        error_message="out of frames",
    )
    rows = [
        StatusRow(address="a", entry=ENTRY, live=live),
        StatusRow(address="unread", entry=ENTRY, live=None),
        StatusRow(address="c", entry=ENTRY, live=None, gone=True),
    ]
    assert status_text(rows, style=PLAIN, at="2025-03-15T10:38:10Z") == (
        "ADDRESS  PROJECT  STATUS    AGE  TITLE\n"
        "c        proj_1   gone      -    日本語\n"
        "unread   proj_1   not read  -    日本語\n"
        "a        proj_1   failed    3 m  日本語\n"
        "\n"
        "a: out of frames\n"
    )
    assert "\x1b[31mfailed\x1b[0m    -" in status_text(rows, style=Style(color=True))
    wide = status_text(rows, style=Style(color=False, columns=40), wide=True)
    assert "autonomous  2025-03-15T10:35:00Z  https://e.example/p" in wide


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_status_table_fits_the_terminal(width):
    """Intent: a line that the terminal wraps can't be read; wide characters count twice."""
    live = LiveProject(
        id="proj_1", status="running", source="status", settings={"title": "題" * 30}, updated_at="2025-03-15T10:35:00Z"
    )
    rows = [
        StatusRow(address="a" * 63, entry=ENTRY, live=live),
        StatusRow(address="b[" + "x" * 100 + "]", entry=ENTRY, live=live),
    ]
    lines = status_text(rows, style=Style(color=False, columns=width), at="2025-03-15T10:38:10Z").splitlines()
    assert all(columns(line) <= width for line in lines), lines
    assert "…" in lines[1] or width == 200


def test_output_lists_what_the_state_last_saw():
    """Intent: several lines of the agent stay readable and aligned."""
    assert output_text({"a": ENTRY}, style=PLAIN) == (
        "a\n"
        "  project_id    = proj_1\n"
        "  status        = idle\n"
        "  assembled_url = https://x.example/v.mp4\n"
        "  agent_message = Done.\n"
        "                  Look.\n"
    )


def test_the_state_list_tells_of_open_calls():
    """Intent: calls of unknown fate are not hidden."""
    intent = Intent(op="o", kind="message", address="a", at="")
    state = State(lineage="l", workspace="w", api_url="u", projects={"a": ENTRY}, pending={"o": intent})
    assert state_list_text(state, style=PLAIN) == (
        "ADDRESS  PROJECT  ORIGIN   GENERATION\n"
        "a        proj_1   created  0\n"
        "\n"
        "1 call with an unknown outcome: the next `apply` resolves this.\n"
    )


def test_a_conversation_reads_like_this():
    """Intent: who said what and when; a message that says nothing is left out."""
    messages = [
        LiveMessage(id="m1", role="user", content="Hi\n\nthere", created_at="2025-03-15T10:30:00Z"),
        LiveMessage(id="m2", role="assistant", content="", source="chat"),
    ]
    assert messages_text(messages, style=PLAIN) == ("user  2025-03-15T10:30:00Z  m1\n  Hi\n\n  there\n")


def test_nothing_managed_says_so():
    """Intent: an empty answer is a sentence, not a bare head line."""
    none = NONE_MANAGED
    assert "No projects are managed" in none and "reconciler state recover" in none
    assert status_text([], style=PLAIN) == none
    assert output_text({}, style=PLAIN) == none
    assert state_list_text(State(lineage="l", workspace="w", api_url="u"), style=PLAIN) == none
    assert messages_text([], style=PLAIN) == "No messages.\n"
