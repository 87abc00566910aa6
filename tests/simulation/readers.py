"""Commands that only read: `report` and `output`. They change nothing in the account, nor in the state, nor anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import files
from reconciler.adapters.api.client import ApiClient
from reconciler.model.errors import UsageError
from reconciler.operations.claims import look_at_claim
from reconciler.operations.read.fleet_reader import read_fleet
from reconciler.operations.read.outputs import refreshed_outputs, stale_outputs
from reconciler.operations.workspace import Workspace
from reconciler.report.fleet_page import Part, fleets_html
from reconciler.report.heading import Where
from reconciler.report.style import Style
from reconciler.report.tables import output_text, output_values
from tests.simulation import commands, people
from tests.simulation.commands import REDACT, Done
from tests.simulation.specs import desired

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.teams import Team

PAGE = "/public/"
"""The folder of the page, which a report writes."""


def reports(life: Life, team: Team, more: dict[str, Any]) -> None:
    """`report`"""
    wanted = desired(team)

    async def work(workspace: Workspace, api: ApiClient) -> int:
        state = workspace.load()[0]
        chosen = frozenset(wanted.projects.keys() | state.projects.keys())
        seen = await read_fleet(workspace, api, wanted, state, chosen, conversations=more["conversations"])
        claim, warnings = look_at_claim(workspace.store.claims)
        config = workspace.config
        where = Where(
            workspace=config.workspace,
            environment=config.environment,
            api_url=config.api_url,
            serial=seen.serial,
            place=config.state_place,
        )
        page = REDACT(fleets_html([Part(fleet=seen, where=where, claim=claim)]))
        life.leaks(page + "".join(f"{d.summary}{d.detail}" for d in warnings), "a report")
        try:
            files.replace(Path(config.root) / "public" / "index.html", page.encode(), mode=None)
        except OSError as error:
            raise UsageError(f"can't write the page: {error.strerror}") from error
        return len(seen.members)

    _reading(life, more, commands.start(life, life.runner_of(team), "report", work))


def outputs(life: Life, team: Team, more: dict[str, Any]) -> None:
    """`output`, with `--refresh` or without."""

    async def work(workspace: Workspace, api: ApiClient) -> int:
        state = workspace.load()[0]
        entries = dict(state.projects)
        if more["refresh"]:
            entries = await refreshed_outputs(workspace, api, entries, managed=state.projects)
        found = stale_outputs(entries, now=workspace.now())
        told = output_text(entries, style=Style(color=False)) + str([output_values(each) for each in entries.values()])
        life.leaks(told + "".join(f"{d.summary}{d.detail}" for d in found), "output")
        return len(entries)

    _reading(life, more, commands.start(life, life.runner_of(team), "output", work))


def _reading(life: Life, more: dict[str, Any], done: Done) -> None:
    def wrote(path: str) -> None:
        if PAGE not in path:
            life.fail(f"{done.process.name} only reads, and writes {path}")

    done.process.wrote = wrote
    life.readers.add(done.process.number)
    people._killed(life, more, done)

    def end() -> None:
        if done.error is None and not done.process.dead:
            life.figures["read"] += 1

    done.process.fibers[0].on_end.append(end)
