"""Answers of the API about a project, in the contract's shapes."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from sqlite3 import Row
from typing import Any, Final

from reconciler.model import contract
from reconciler.model.contract_tables import Answer, Contract
from reconciler.sandbox import columns, habits, sample_media
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Call

_LIST_COLUMNS: Final = "seq, id, source_project_id, status, brief_head, output_type, output_at, started, created_at, updated_at, lagging, rendered"


def list_columns(api: Contract) -> str:
    """The columns that the list shows."""
    return ", ".join((_LIST_COLUMNS, *map(columns.quoted, api.shown_in("list"))))


def timestamp(at: float) -> str:
    """Seconds since the epoch as the API writes a time."""
    return _second(int(at))


@lru_cache(maxsize=4096)
def _second(at: int) -> str:  # many projects share one
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def project_url(project: Row, call: Call) -> str | None:
    """Where people see the project; ``None`` until the agent starts."""
    return f"{call.origin}/app/projects/{project['id']}" if project["started"] else None


def listed(project: Row, call: Call, account: Account) -> dict[str, Any]:
    """A project as ``GET /projects`` shows it. Its brief is cut once its secrets are back in it."""
    options = account.options
    brief = account.veil.show(project["brief_head"])
    late = json.loads(project["lagging"]) if project["lagging"] else {}
    shown = _fields(project, account.contract, "list")
    if late.pop("until", 0) > account.now:
        shown |= {name: value for name, value in late.items() if name in shown}
    return {
        "id": project["id"],
        "source_project_id": project["source_project_id"],
        "status": project["status"],
        **shown,
        "brief": habits.listed_brief(
            brief, options.list_brief, limit=account.contract.limits.list_brief, utf16=options.list_utf16
        ),
        "assembled_url": _assembled(project, call, account),
        "project_url": project_url(project, call),
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }


def status(project: Row, call: Call, account: Account) -> dict[str, Any]:
    """A project as ``GET /projects/:id`` shows it."""
    url, balance = _assembled(project, call, account), account.meta("credits")
    shown = {
        "id": project["id"],
        "status": project["status"],
        **_fields(project, account.contract, "status"),
        "output_type": project["output_type"] or "pending",
        "assembled_url": url,
        "assembled_url_expires_at": None if url is None else timestamp(_expires(project, account)),
        "project_url": project_url(project, call),
        "agent_message": project["agent_message"],
        "variation_id": project["variation_id"],
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }
    if balance < account.contract.limits.low_credits:
        shown["credits_warning"] = f"Credit balance is low: {balance} left"
    if project["status"] == contract.Status.FAILED:
        shown["error_message"] = project["error_message"]
    return shown


def settings(project: Row, api: Contract) -> dict[str, Any]:
    """A project as the answer of ``PATCH /projects/:id/settings`` shows it."""
    return _fields(project, api, "settings")


def _fields(project: Row, api: Contract, answer: Answer) -> dict[str, Any]:
    return {name: columns.shown(project, api.field(name), api) for name in api.shown_in(answer)}


def message(row: Row) -> dict[str, Any]:
    """A message as ``GET /projects/:id/messages`` shows it."""
    shown = {name: row[name] for name in ("id", "role", "content", "source")}
    return shown | {"created_at": timestamp(row["created_at"])}


def truth(project: Row, api: Contract) -> dict[str, Any]:
    """Everything about a project, for tests and people; the wire never shows all of it."""
    plain = (
        "id",
        "source_project_id",
        "origin",
        "status",
        "brief",
        "idempotency_key",
        "error_message",
        "agent_message",
    )
    return {
        **{name: project[name] for name in (*plain, "variation_id", "credits_spent")},
        **{field.name: columns.shown(project, field, api) for field in columns.plain_fields(api)},
        "references": json.loads(project["refs"]),
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }


def _assembled(project: Row, call: Call, account: Account) -> str | None:
    if project["output_type"] != "assembled":
        return None
    return sample_media.address(call.origin, account.secret, media_id(project), _expires(project, account))


def media_id(project: Row) -> str:
    """What the address of a project's output contains: each render has one of its own."""
    return f"{project['id']}-{project['rendered']}" if project["rendered"] else str(project["id"])


def project_of(media_id: str) -> str:
    """The project's id in what :func:`media_id` gave."""
    return media_id.partition("-")[0]


def _expires(project: Row, account: Account) -> int:
    return int(project["output_at"]) + account.contract.limits.video_hours * 3600
