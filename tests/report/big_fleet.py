"""Fleets as the report shows them: any number of projects, in every state."""

from reconciler.model.errors import Diagnostic
from reconciler.model.fleet import Fleet, Member
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry, Known, Rendered, SentMessage, Shared

AT = "2026-01-02T03:04:05Z"
STATUSES = ("idle", "idle", "idle", "idle", "running", "idle", "idle", "failed", "idle", "cancelled")
DRIFT = Diagnostic(severity="note", summary="drift: settings.title is `Mine`", address="a", kind="drift")
TALK = (
    LiveMessage(id="1", role="user", content="Make the music softer.", source="api", created_at=AT),
    LiveMessage(id="2", role="assistant", content="Done: the music is at 60 %.", created_at="2026-01-02T03:09:00Z"),
)


def fleet(count, *, media=None, talk=()):
    """``media`` gives the URL of a project's output, by its number."""
    members = tuple(_member(number, media(number) if media else None, talk) for number in range(count))
    return Fleet(workspace="acme-videos", at=AT, members=members, findings=())


def _member(number, url, talk):
    name, status = f"teaser-{number:03}", STATUSES[number % len(STATUSES)]
    live = LiveProject(
        id=f"proj_{number}",
        status=status,
        source="status",
        settings={"title": f"Autumn teaser {number}", "mode": "autonomous"},
        project_url=f"https://eversince.ai/p/{number}",
        assembled_url=url if status == "idle" else None,
        error_message="The agent ran out of frames." if status == "failed" else None,
        created_at="2026-01-01T00:00:00Z",
        updated_at=f"2026-01-02T{number % 24:02}:00:00Z",
    )
    sent = tuple(SentMessage(id=m.id, digest="d", text=m.content, content="c", at=AT) for m in talk if m.role == "user")
    extra = {
        "rendered": Rendered(at=AT, quality="1080p"),
        "shared": Shared(at=AT, share_url="https://eversince.ai/s/1"),
    }
    entry = Entry(
        project_id=f"proj_{number}",
        origin="created",
        settings={"craft": Known("cinema", "sent", AT)},
        messages=sent,
        **(extra if talk else {}),
    )
    return Member(
        address=name,
        entry=entry,
        live=None if number % 50 == 49 else live,
        messages=talk,
        findings=(DRIFT,) if number % 12 == 5 else (),
        tags=("summer",) if number % 3 == 0 else ("client:acme",),
    )
