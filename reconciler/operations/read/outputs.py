"""What the state has of a project's outputs: whether it is out of date, and what the account has now."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Final

from msgspec.structs import asdict, replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveProject
from reconciler.model.state import Entry, Outputs
from reconciler.model.times import instant
from reconciler.operations.read.account import read_managed
from reconciler.operations.workspace import Workspace

_NAMED: Final = 5
"""How many addresses a warning lists."""


def stale_outputs(entries: Mapping[str, Entry], *, now: str) -> list[Diagnostic]:
    """The findings that outputs are out of date: agents were at work when they were read, or URLs have expired."""
    working = [a for a, e in entries.items() if e.outputs.status is not None and contract.is_active(e.outputs.status)]
    expired = [a for a, e in entries.items() if a not in working and e.video_url is None and _is_over(e.outputs, now)]
    found = []
    if working:
        found.append(
            Diagnostic(
                severity="warning",
                summary=f"{_names(working)} {'was' if len(working) == 1 else 'were'} at work when the state was written, "
                "so what is shown may be out of date",
                detail=f"`reconciler output --refresh{_only(working)}` reads it now; `apply --wait idle` waits for it.",
            )
        )
    if expired:
        found.append(
            Diagnostic(
                severity="warning",
                summary=f"the `assembled_url` of {_names(expired)} has expired",
                detail="`deliver: {share: {}}` in the spec makes a permanent link; rendering again makes a new URL.",
            )
        )
    return found


async def refreshed_outputs(
    workspace: Workspace, api: ApiClient, entries: Mapping[str, Entry], *, managed: Mapping[str, Entry]
) -> dict[str, Entry]:
    """The entries, which are some of the ``managed`` ones, with their outputs as the account has them now. The state is not
    changed. Raises as ``read_managed``.
    """
    if not entries:
        return {}
    live = await read_managed(api, workspace.config, entries, managed=managed, at=workspace.now())
    seen = live.projects
    redact = workspace.redact
    return {
        address: replace(entry, outputs=redact.record(_newer(entry.outputs, seen[entry.project_id])))
        if entry.project_id in seen
        else entry
        for address, entry in entries.items()
    }


def _newer(known: Outputs, live: LiveProject) -> Outputs:
    """The outputs with what was just read. The list does not show everything, and a new URL expires at another time."""
    given = {n: v for n, v in asdict(live).items() if n in Outputs.__struct_fields__ and v is not None}
    newer = replace(known, **given)
    if live.assembled_url is None or live.assembled_url != known.assembled_url:
        newer = replace(newer, assembled_url=live.assembled_url, assembled_url_expires_at=live.assembled_url_expires_at)
    return newer if newer.status == contract.Status.FAILED else replace(newer, error_message=None)


def _is_over(outputs: Outputs, now: str) -> bool:
    expires, then = instant(outputs.assembled_url_expires_at), instant(now)
    return outputs.assembled_url is not None and expires is not None and then is not None and expires <= then


def _names(addresses: list[str]) -> str:
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return ", ".join(f"`{address}`" for address in addresses[:_NAMED]) + more


def _only(addresses: list[str]) -> str:
    return f" {quote(addresses[0])}" if len(addresses) == 1 else ""
