"""Effects of each call of the contract on the account. Every check comes before the first change."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.contract import ErrorCode, Status
from reconciler.sandbox import agent, catalog, deliveries, request_checks, uploads, views
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Answer, ApiError, Call, json_answer

Handler = Callable[[Account, Call, str], Answer]
"""Takes the account, the call and the project id of its path (empty where there is none)."""


def create(account: Account, call: Call, _: str) -> Answer:
    """``POST /projects``."""
    request_checks.query(call.query, {})
    body = account.body(call, lambda shapes: shapes.create)
    key = body.get("idempotency_key")
    lifetime = account.options.key_seconds
    held = key and account.one(
        "SELECT id, status FROM projects WHERE idempotency_key = ? AND status != ? AND created_at > ? ORDER BY seq DESC",
        key,
        Status.FAILED,
        account.now - lifetime if lifetime else 0,
    )
    if held:
        shown = {"id": held["id"], "status": held["status"]}
        return json_answer(200, shown | {"message": "Project already exists for this idempotency key"})
    account.require_credits(account.contract.limits.create_credits)
    account.require_day("create", account.options.creates_per_day, "projects can be created")
    account.require_slot()
    uploads.require(account, body.get("references", []))
    project = account.add_project(origin="created", status=Status.QUEUED, **body)
    account.charge(project["seq"], account.options.create_cost)
    account.begin(project, at=account.now + agent.QUEUED_SECONDS / account.options.speed)
    account.record(call, "create", project["id"], body)
    shown = {
        "id": project["id"],
        "status": Status.QUEUED,
        "mode": project["mode"],
        "project_url": None,
        "credits_balance": account.meta("credits"),
        "created_at": views.timestamp(account.now),
    }
    return json_answer(202, shown)


def adopt(account: Account, call: Call, _: str) -> Answer:
    """``POST /projects/adopt``. A project that was handed back to the studio can be adopted again."""
    request_checks.query(call.query, {})
    body = account.body(call, lambda shapes: shapes.adopt)
    wanted, mode = body["project_id"], body.get("mode", account.contract.mode_when_adopted)
    project = account.one(
        "SELECT * FROM projects WHERE source_project_id = ? OR id = ? ORDER BY seq DESC", wanted, wanted
    )
    studio = account.one("SELECT * FROM studio WHERE id = ?", wanted)
    if project is None and studio is None:
        raise ApiError(ErrorCode.NOT_FOUND, "Project not found", 404)
    newly = project is None or project["mode"] == contract.MODE_RELEASED
    if project is None:
        assert studio is not None
        same = {"id": wanted} if account.options.adopted_id_is_studio_id else {}
        project = account.add_project(
            origin="adopted",
            status=Status.IDLE,
            brief=studio["brief"],
            title=studio["title"],
            mode=mode,
            source_project_id=wanted,
            **same,
        )
    elif newly:
        account.change(project["seq"], mode=mode)
        project = account.project(project["id"])
    shown = {
        "id": project["id"],
        "status": project["status"],
        "mode": project["mode"],
        "project_url": views.project_url(project, call),
    }
    if not newly:
        return json_answer(200, shown | {"message": "Project already adopted"})
    account.record(call, "adopt", project["id"], body)
    return json_answer(201, shown)


def list_projects(account: Account, call: Call, _: str) -> Answer:
    """``GET /projects``."""
    query = request_checks.query(call.query, account.shapes.list_query)
    limit = min(int(query.get("limit", account.contract.limits.list_page_default)), account.options.page_max)
    offset = int(query.get("offset", 0))
    conditions, values = ["TRUE"], list[object]()
    if "status" in query:
        conditions.append("status = ?")
        values.append(query["status"])
    if query.get("title"):
        conditions.append("instr(title_folded, ?) > 0")
        values.append(account.veil.hide(query["title"]).casefold())
    where = " AND ".join(conditions)
    order = "DESC" if account.options.list_order == "newest" else "ASC"
    total = account.one(f"SELECT count(*) FROM projects WHERE {where}", *values)  # noqa: S608 — conditions are ours
    rows = account.all(
        # The inner query walks only an index, so a far page costs no reading of the rows before it.
        f"SELECT {views.list_columns(account.contract)} FROM projects WHERE seq IN"  # noqa: S608 — conditions are ours
        f" (SELECT seq FROM projects WHERE {where} ORDER BY seq {order} LIMIT ? OFFSET ?) ORDER BY seq {order}",
        *values,
        limit,
        offset,
    )
    shown = {
        "projects": [views.listed(row, call, account) for row in rows],
        "total": 0 if total is None else total[0],
        "limit": limit,
        "offset": offset,
    }
    return json_answer(200, shown)


def get_status(account: Account, call: Call, project_id: str) -> Answer:
    """``GET /projects/:id``."""
    request_checks.query(call.query, {})
    project = account.project(project_id)
    return json_answer(200, views.status(project, call, account))


def patch_settings(account: Account, call: Call, project_id: str) -> Answer:
    """``PATCH /projects/:id/settings``."""
    request_checks.query(call.query, {})
    body = account.body(call, lambda shapes: shapes.settings)
    if not body and (account.options.strict or account.options.empty_patch == "reject"):
        raise ApiError(ErrorCode.VALIDATION, "body: at least one field is required", 400)
    project = account.project(project_id)
    if not account.contract.allows("settings", project["status"]):
        raise _wrong_status("Settings can't be changed", project["status"])
    before = {name: value for name, value in views.settings(project, account.contract).items() if name in body}
    if body:
        account.change(project["seq"], **account.lagging(project), **body)
    after = account.project(project_id)
    if after["status"] == Status.QUEUED and after["next_change_at"] is not None:
        account.begin(after, at=after["next_change_at"])
    account.record(call, "settings", project_id, {"sent": body, "before": before})
    return json_answer(200, views.settings(after, account.contract))


def cancel(account: Account, call: Call, project_id: str) -> Answer:
    """``POST /projects/:id/cancel``."""
    request_checks.query(call.query, {})
    account.body(call, lambda shapes: shapes.nothing)
    project = account.project(project_id)
    if not account.contract.allows("cancel", project["status"]):
        raise _wrong_status("Project can't be cancelled", project["status"])
    account.stop(project, Status.CANCELLED)
    account.record(call, "cancel", project_id, {"from": project["status"]})
    return json_answer(200, {"id": project_id, "status": Status.CANCELLED})


def send_message(account: Account, call: Call, project_id: str) -> Answer:
    """``POST /projects/:id/messages``."""
    request_checks.query(call.query, {})
    body = account.body(call, lambda shapes: shapes.message)
    project = account.project(project_id)
    if project["mode"] == contract.MODE_RELEASED:
        raise ApiError(ErrorCode.INVALID_STATUS, "Project was handed to the studio", 400)
    if not account.contract.allows("message", project["status"]):
        raise _wrong_status("Messages can't be sent", project["status"])
    uploads.require(account, body.get("references", []))
    account.require_credits(account.contract.limits.message_credits)
    account.require_slot()
    seq, text = project["seq"], body["message"]
    refs = json.dumps(account.veil.hide_all(body.get("references", [])))
    extract = body.get("extract_content", account.contract.message_defaults.get("extract_content"))
    source = account.options.message_source
    message_id = account.add_message(seq, "user", text, source=source, refs=refs, extract=extract)
    account.charge(seq, account.options.message_cost)
    account.resume(project, text)
    account.record(call, "message", project_id, body | {"message_id": message_id})
    return json_answer(202, {"id": project_id, "status": Status.RUNNING})


def list_messages(account: Account, call: Call, project_id: str) -> Answer:
    """``GET /projects/:id/messages``. Oldest first within a page; with both cursors, the window begins at ``after``."""
    query = request_checks.query(call.query, account.shapes.messages_query)
    limit = min(int(query.get("limit", account.contract.limits.messages_page_default)), account.options.page_max)
    seq = account.project(project_id)["seq"]
    conditions, values = ["project = ?"], [seq]
    for name, sign in (("after", ">"), ("before", "<")):
        if name in query:
            cursor = account.one("SELECT seq FROM messages WHERE id = ? AND project = ?", query[name], seq)
            if cursor is None and account.options.unknown_cursor == "empty":
                return json_answer(200, {"messages": [], "has_more": False})
            if cursor is None and account.meta("cursors_forgotten"):
                raise ApiError(ErrorCode.NOT_FOUND, f"{name}: no such message", 404)
            if cursor is None:
                raise ApiError(ErrorCode.VALIDATION, f"{name}: no such message in this project", 400)
            conditions.append(f"seq {sign} ?")
            values.append(cursor["seq"])
    newest = "after" not in query and ("before" in query or account.options.messages_default == "newest")
    rows = account.all(
        f"SELECT * FROM messages WHERE {' AND '.join(conditions)}"  # noqa: S608 — conditions are ours
        f" ORDER BY seq {'DESC' if newest else 'ASC'} LIMIT ?",
        *values,
        limit + 1,
    )
    page = rows[:limit]
    if newest:
        page.reverse()
    return json_answer(200, {"messages": [views.message(row) for row in page], "has_more": len(rows) > limit})


def get_credits(account: Account, call: Call, _: str) -> Answer:
    """``GET /account/credits``, which the vendor offers beyond the contract."""
    request_checks.query(call.query, {})
    return json_answer(200, {"credits_balance": account.meta("credits")})


def get_credit_packages(account: Account, call: Call, _: str) -> Answer:
    """``GET /account/credit-packages`` (beyond the contract). What is sold here is play money."""
    request_checks.query(call.query, {})
    packages = [
        {
            "id": f"pack_{credits_}",
            "credits": credits_,
            "price": f"${credits_ // 100}",
            "price_cents": credits_,
            "purchase_url": f"{call.origin}/credits/{credits_}",
        }
        for credits_ in (1_000, 5_000)
    ]
    shown = {"has_subscription": True, "subscription_required": False, "packages": packages}
    return json_answer(200, {"credits_balance": account.meta("credits"), **shown})


_ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/projects": {"GET": list_projects, "POST": create},
    "/projects/adopt": {"POST": adopt},
    "/projects/*": {"GET": get_status},
    "/projects/*/settings": {"PATCH": patch_settings},
    "/projects/*/cancel": {"POST": cancel},
    "/projects/*/messages": {"GET": list_messages, "POST": send_message},
}
"""By the path, in which the star stands for a project's id."""
_WITH_BEYOND: Final = _ROUTES | {
    "/account/credits": {"GET": get_credits},
    "/models": {"GET": catalog.list_models},
    "/account/skills": {"GET": catalog.list_skills},
    "/projects/discover": {"GET": catalog.discover},
    "/account/credit-packages": {"GET": get_credit_packages},
    "/projects/*/render": {"POST": deliveries.render},
    "/projects/*/share": {"POST": deliveries.share},
    "/account/shares": {"GET": deliveries.list_shares},
    "/uploads": {"POST": uploads.begin},
    "/uploads/confirm": {"POST": uploads.confirm},
}
_ON_PROJECT: Final = re.compile(r"/projects/([^/]+)(.*)", re.DOTALL)


def answer(account: Account, call: Call) -> Answer:
    """What the call is answered with, its effect included; never raises ``ApiError``."""
    try:
        handler, project_id = _route(call.method, call.path, beyond=account.options.beyond_contract)
        done = handler(account, call, project_id)
    except ApiError as error:
        return error.answer
    return replace(done, body=account.veil.show_json(done.body))


@functools.lru_cache(maxsize=1024)
def _route(method: str, called: str, *, beyond: bool) -> tuple[Handler, str]:
    routes, allowed = _WITH_BEYOND if beyond else _ROUTES, set[str]()
    found = _ON_PROJECT.fullmatch(called)
    on_project = [(f"/projects/*{found[2]}", found[1])] if found else []
    for path, project_id in [(called, ""), *on_project]:
        handlers = routes.get(path, {})
        if method in handlers:
            return handlers[method], project_id
        allowed.update(handlers)
    if allowed:
        headers = {"Allow": ", ".join(sorted(allowed))}
        raise ApiError(ErrorCode.VALIDATION, f"Method {method} is not allowed here", 405, headers)
    raise ApiError(ErrorCode.NOT_FOUND, "No such route", 404)


def _wrong_status(what: str, status: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_STATUS, f"{what} while the project is {status}", 400)
