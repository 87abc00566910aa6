"""Questions that people are asked: each has a cause, since an answer costs them a look into the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.model.state import Intent

if TYPE_CHECKING:
    from reconciler.sandbox.store import Effect
    from tests.simulation.clockwork import Process
    from tests.simulation.life import Life
    from tests.simulation.teams import Team


def asked(life: Life, team: Team, intent: Intent) -> None:
    """People are asked what became of a call: the answer was lost, and nothing in the account tells."""
    if team.lost or any(thing.destroyed for thing in team.things):  # what was forgotten does not tell what it was sent
        return
    if _answered(life, team, intent):
        life.fail(f"people are asked what became of {intent.kind} of {intent.address}, which was answered")
    elif _is_told(life, team, intent):
        life.fail(f"people are asked whether {intent.message_id} of {intent.address} was sent: the conversation tells")


RECORDED: Final = 5.0
"""Seconds after an answer in which a run that is neither paused nor without its store has it on record."""


def _answered(life: Life, team: Team, intent: Intent) -> bool:
    """Whether the answer came to a run that was not killed soon, where all runs are on one machine with a good disk."""
    one = life.course.runners.count(life.teams.index(team)) == 1
    if life.course.disk or (life.course.remote and not one):
        return False
    heard = life.server_of(team).heard
    return any(_is_kept(life, *heard[e.request_id]) for e in _done(life, team, intent) if e.request_id in heard)


def _is_kept(life: Life, process: Process, at: float) -> bool:
    """Whether a process had the time to write down what it was told."""
    lasted = process.died - at >= RECORDED and process.held_until < at and not life.course.remote
    return lasted or not process.dead


def _done(life: Life, team: Team, intent: Intent) -> list[Effect]:
    """What the server did at this call, by its ledger."""
    ledger = life.server_of(team).store.ledger()
    if intent.kind == "create":
        key = f"{team.identity}/{intent.address}/{intent.generation}"
        return [e for e in ledger if e.kind == "create" and e.idempotency_key == key]
    of = [e for e in ledger if e.project_id == intent.project_id]
    if intent.kind == "message":
        return [e for e in of if e.kind == "message" and e.detail["message"] == intent.body["message"]]
    newest = max((n for n, e in enumerate(of) if e.kind == "message"), default=-1)
    return [e for e in of[newest + 1 :] if e.kind == intent.kind]


def _is_told(life: Life, team: Team, intent: Intent) -> bool:
    """Whether the run that asked had itself made the project, and nobody else wrote there: it knows what is the brief, and its
    own words are as they were sent.
    """
    server, id_ = life.server_of(team), intent.project_id
    creates = [e for e in server.store.ledger() if e.kind == "create" and e.project_id == id_]
    makers = [server.heard[e.request_id][0] for e in creates if e.request_id in server.heard]
    return (
        bool(intent.near)
        and life.in_doubt.get((id_, intent.message_id)) in makers
        and life.made_by.get(id_) in makers
        and not (life.altered or life.forgetful)
        and id_ not in life.typed
    )
