"""What the specs of a team say, as the program reads them: lives begin with their values."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Desired,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
    Moved,
    Origin,
)
from reconciler.model.values import Revealed, Secret, secret_digest
from tests.simulation import films
from tests.simulation.teams import Team, Thing

KEYS: Final = ("es_live_simulated_0123456789abcdef", "es_live_simulated_fedcba9876543210")
"""Of each account."""
SECRET: Final = "hush-0123456789-token"


def desired(team: Team) -> Desired:
    """What the specs say now."""
    projects = {}
    for thing in team.wanted():
        settings: dict[str, Any] = dict(thing.settings)
        if thing.secret:
            digest = secret_digest("", Revealed(f"https://hooks.example.com/{SECRET}"), (Revealed(SECRET),))
            settings["webhook_url"] = Secret(
                template="https://hooks.example.com/${env.TOKEN}",
                digest=digest,
                value=Revealed(f"https://hooks.example.com/{SECRET}"),
                parts=(Revealed(SECRET),),
            )
        projects[thing.address] = DesiredProject(
            thing.address,
            _origin(thing),
            settings=settings,
            messages=tuple(DesiredMessage(str(n + 1), _message(thing, words)) for n, words in enumerate(thing.words)),
            lifecycle=thing.lifecycle,
            cancelled=thing.cancelled,
            depends_on=(thing.after,) if thing.after and not thing.refers else (),
            deliver=thing.deliver,
        )
    moved = tuple(
        Moved(name, thing.address)
        for thing in team.wanted()
        for name in dict.fromkeys(thing.names)
        if name != thing.address
    )
    return Desired(team.workspace, projects, moved=moved)


def _message(thing: Thing, words: str) -> dict[str, Any]:
    name = thing.shown.get(words)
    return {"message": words} | ({"references": [_file(name)]} if name is not None else {})


def _file(name: str) -> dict[str, str]:
    return {"file": name, "digest": hashlib.sha256(films.picture(name)).hexdigest()}


def _origin(thing: Thing) -> Origin:
    if thing.project_id is not None:
        return ImportOrigin(thing.project_id)
    if thing.studio_id is not None:
        return AdoptOrigin(thing.studio_id)
    references: list[Any] = [{"project": thing.after, "type": "video"}] if thing.refers and thing.after else []
    if thing.picture is not None:
        references.append(_file(thing.picture))
    return CreateOrigin({"brief": thing.brief, **({"references": references} if references else {})})
