"""What the API shows of a project, in the contract's shapes."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from sqlite3 import Row
from typing import Any, Final

from reconciler.model import contract
from reconciler.sandbox import habits, sample_media
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Call

LIST_COLUMNS: Final = "seq, id, source_project_id, status, mode, title, brief_head, expected_output, output_type, output_at, started, created_at, updated_at, lagging"


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
    shown = {name: project[name] for name in contract.LIST_SETTINGS}
    if late.pop("until", 0) > account.now:
        shown |= late
    return {
        "id": project["id"],
        "source_project_id": project["source_project_id"],
        "status": project["status"],
        "mode": shown["mode"],
        "title": shown["title"],
        "brief": habits.listed(brief, options.list_brief, utf16=options.list_utf16),
        "expected_output": shown["expected_output"],
        "assembled_url": _assembled(project, call, account.secret),
        "project_url": project_url(project, call),
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }


def status(project: Row, call: Call, secret: str, balance: int) -> dict[str, Any]:
    """A project as ``GET /projects/:id`` shows it."""
    url = _assembled(project, call, secret)
    shown = {
        "id": project["id"],
        "status": project["status"],
        "mode": project["mode"],
        "output_type": project["output_type"] or "pending",
        "assembled_url": url,
        "assembled_url_expires_at": None
        if url is None
        else timestamp(int(project["output_at"]) + sample_media.LIFETIME_SECONDS),
        "project_url": project_url(project, call),
        "agent_message": project["agent_message"],
        "variation_id": project["variation_id"],
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }
    if balance < contract.CREDITS_WARNING_BELOW:
        shown["credits_warning"] = f"Credit balance is low: {balance} left"
    if project["status"] == contract.Status.FAILED:
        shown["error_message"] = project["error_message"]
    return shown


def settings(project: Row) -> dict[str, Any]:
    """A project as the answer of ``PATCH /projects/:id/settings`` shows it."""
    shown = {name: project[name] for name in ("title", "mode", "aspect_ratio", *contract.SETTINGS[2:])}
    return shown | {"craft_auto": bool(project["craft_auto"])}


def message(row: Row) -> dict[str, Any]:
    """A message as ``GET /projects/:id/messages`` shows it."""
    shown = {name: row[name] for name in ("id", "role", "content", "source")}
    return shown | {"created_at": timestamp(row["created_at"])}


def truth(project: Row) -> dict[str, Any]:
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
        **settings(project),
        "references": json.loads(project["refs"]),
        "extract_content": bool(project["extract_content"]),
        "created_at": timestamp(project["created_at"]),
        "updated_at": timestamp(project["updated_at"]),
    }


def _assembled(project: Row, call: Call, secret: str) -> str | None:
    if project["output_type"] != "assembled":
        return None
    return sample_media.address(call.origin, secret, project["id"], project["output_at"])
