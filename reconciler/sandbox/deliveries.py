"""Renders and permanent links, which the vendor offers beyond the contract (published)."""

from __future__ import annotations

import secrets
from sqlite3 import Row
from typing import Any, Final

from reconciler.model.contract import ErrorCode, Status
from reconciler.sandbox import request_checks, sample_media, views
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Answer, ApiError, Call, json_answer

PAGES: Final = "/share"
"""Where the pages of permanent links are, outside the API."""


def render(account: Account, call: Call, project_id: str) -> Answer:
    """``POST /projects/:id/render``."""
    request_checks.query(call.query, {})
    _require_offered(offered=bool(account.contract.renders))
    body = account.body(call, lambda shapes: shapes.render)
    project = account.project(project_id)
    if not account.contract.allows("render", project["status"]):
        raise _wrong_status("rendered", project["status"])
    cost = account.contract.renders[body["quality"]]
    account.require_credits(cost)
    account.require_day("render", account.options.renders_per_day, "renders are allowed")
    account.require_slot()
    render_id = secrets.token_hex(6)
    account.charge(project["seq"], cost)
    account.render(project, render_id)
    account.record(call, "render", project_id, body | {"id": render_id})
    return json_answer(202, {"id": render_id, "status": Status.RENDERING, "quality": body["quality"]})


def share(account: Account, call: Call, project_id: str) -> Answer:
    """``POST /projects/:id/share``, of a project with a finished render."""
    request_checks.query(call.query, {})
    _require_offered(offered=account.contract.shares)
    body = account.body(call, lambda shapes: shapes.share)
    project = account.project(project_id)
    if not account.contract.allows("share", project["status"]):
        raise _wrong_status("shared", project["status"])
    if project["output_type"] != "assembled":
        raise ApiError(ErrorCode.INVALID_STATUS, "The project has no finished render", 400)
    share_id = add_link(account, project, title=body.get("title"), description=body.get("description"))
    link = account.one("SELECT * FROM shares WHERE id = ?", share_id)
    assert link is not None
    shown = _shown(link, call, account)
    account.record(call, "share", project_id, body | {"share_url": shown["share_url"]})
    return json_answer(201, {name: shown[name] for name in ("share_url", "video_url")})


def list_shares(account: Account, call: Call, _: str) -> Answer:
    """``GET /account/shares``, newest first."""
    request_checks.query(call.query, {})
    _require_offered(offered=account.contract.shares)
    rows = account.all(
        "SELECT shares.*, projects.aspect_ratio FROM shares JOIN projects ON projects.seq = shares.project"
        " ORDER BY shares.seq DESC"
    )
    more = ("title", "aspect_ratio")
    shown = [
        {
            **_shown(row, call, account),
            **{name: row[name] for name in more},
            "view_count": 0,
            "created_at": views.timestamp(row["created_at"]),
        }
        for row in rows
    ]
    return json_answer(200, {"shares": shown})


def add_link(account: Account, project: Row, *, title: str | None = None, description: str | None = None) -> str:
    """A new permanent link to a project's output as it is now; gives its id. Without a title it has the project's."""
    share_id = f"shr_{secrets.token_hex(8)}"
    hidden = account.veil.hide_all({"title": project["title"] if title is None else title, "description": description})
    account.run(
        "INSERT INTO shares (id, project, media, title, description, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        *(share_id, project["seq"], views.media_id(project), hidden["title"], hidden["description"], account.now),
    )
    return share_id


def _shown(link: Row, call: Call, account: Account) -> dict[str, Any]:
    video = sample_media.address(call.origin, account.secret, link["media"], sample_media.FOREVER)
    return {"share_url": f"{call.origin}{PAGES}/{link['id']}", "video_url": video}


def _require_offered(*, offered: bool) -> None:
    if not offered:
        raise ApiError(ErrorCode.NOT_FOUND, "No such route", 404)


def _wrong_status(done: str, status: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_STATUS, f"A project can't be {done} while it is {status}", 400)
