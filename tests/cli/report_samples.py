"""Values for the report and plan-file tests: a plan with every kind of step, and what an apply made of it."""

from reconciler.model.desired import DesiredMessage, Lifecycle
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.events import ApplyResult, StepResult
from reconciler.model.plan import (
    Adopt,
    Basis,
    Cancel,
    Change,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Replace,
    Update,
)
from reconciler.model.values import Revealed, Secret

HOOK = Secret("https://hooks.example.com/${env.TOKEN}", "d" * 32, Revealed("https://hooks.example.com/hunter22"))
TEASER = "Fifteen seconds, upbeat, product in the last shot.\nNo voiceover."
OLD = "A calm opening. Slow music. The logo at the end."
NEW = "A calm opening. Fast music. The logo at the end."


def change(path, before, after, source="list", **more):
    return Change(path=path, before=before, after=after, before_source=source, **more)


STEPS = (
    Create(
        address="summer-teaser",
        reason="new in the specs",
        body={"brief": TEASER, "title": "Summer teaser", "webhook_url": HOOK},
        generation=0,
        key="acme-videos/summer-teaser/0",
        changes=(
            change("brief", None, TEASER, "none"),
            change("settings.title", None, "Summer teaser", "none"),
            change("settings.webhook_url", None, HOOK.template, "none", sensitive=True),
        ),
    ),
    Message(
        address="summer-teaser",
        reason="",
        waits_for="the agent to become idle",
        message=DesiredMessage("softer", {"message": "Make the music softer.", "references": [{"upload_id": "upl_1"}]}),
    ),
    Message(
        address="summer-teaser",
        reason="",
        waits_for="the message before it",
        message=DesiredMessage("2", {"message": "Add a female voiceover."}, Location("specs/a.yaml", 9)),
    ),
    Replace(
        address="intro",
        project_id="proj_1",
        reason="its brief changed",
        body={"brief": NEW},
        generation=2,
        key="acme-videos/intro/2",
        changes=(change("brief", OLD, NEW, "sent", forces="brief is fixed at creation"),),
    ),
    Adopt(
        address="from-studio",
        reason="the specs adopt it",
        body={"project_id": "6f1c", "mode": "collaborative"},
        changes=(change("settings.mode", None, "collaborative", "none"),),
    ),
    Import(address="older", project_id="proj_2", reason="the specs import it", studio_id="77aa"),
    Move(address="clip", project_id="proj_3", reason="", from_address="old-clip"),
    Update(
        address="clip",
        project_id="proj_3",
        reason="4 settings differ",
        body={
            "title": None,
            "craft": "cinema",
            "mode": "collaborative",
            "webhook_url": HOOK,
            "video_model": "kling-3.0",
        },
        changes=(
            change("settings.title", "Clip", None),
            change("settings.craft", "general", "cinema", "sent"),
            change("settings.mode", "autonomous", "collaborative", "status", drift=True),
            change("settings.webhook_url", {"$secret": "e" * 32}, HOOK.template, "patch", sensitive=True),
            change("settings.video_model", None, "kling-3.0", "none"),
        ),
    ),
    Cancel(address="stopped", project_id="proj_4", reason="the specs say `state: cancelled`"),
    Release(address="handed", project_id="proj_5", reason="it left the specs"),
    Forget(address="handed", project_id="proj_5", reason="it left the specs"),
)

FAILED = Diagnostic(
    severity="warning",
    summary="the project failed and `on_failed` is `keep`",
    detail="The API says: out of frames.\nSet `on_failed: recreate` to recreate it.",
    address="broken",
    location=Location("specs/a.yaml", 3, 5),
    code="W201",
    attention=True,
)
REMOVED = Diagnostic(severity="note", summary="a sent message left the spec", address="clip")

PLAN = Plan(
    id="plan-1",
    reconciler_version="0.1.0",
    workspace="acme-videos",
    api_url="https://eversince.ai/api/v1",
    created_at="2025-03-15T10:30:00Z",
    lineage="1b2c",
    serial=3,
    steps=STEPS,
    basis={"clip": Basis(entry="ab", status="idle", observed={"mode": "autonomous"}), "intro": Basis()},
    lifecycles={"clip": Lifecycle(on_remove="protect", ignore_changes=("title",))},
    diagnostics=(REMOVED, FAILED),
    unchanged=5,
    managed=12,
    requests_used=3,
)

REFUSED = Diagnostic(
    severity="error",
    summary="the API refused the create",
    detail="POST /projects → 402 insufficient_credits, request r-1\nTop up the account, then apply again.",
    address="intro",
)


def applied():
    outcomes = ("done", "done", "deferred", "failed", "done", "done", "done", "unknown", "done", "done", "skipped")
    results = [StepResult(step=step, outcome=outcome) for step, outcome in zip(STEPS, outcomes, strict=True)]
    results[0] = StepResult(step=STEPS[0], outcome="done", project_id="proj_9")
    results[3] = StepResult(step=STEPS[3], outcome="failed", error=REFUSED)
    return ApplyResult(plan=PLAN, results=tuple(results), diagnostics=(FAILED,), serial=4, requests=12)
