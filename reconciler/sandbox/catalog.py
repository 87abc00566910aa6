"""What can be looked up before money is spent, which the vendor offers beyond the contract: models, own skills, studio
projects (published).
"""

from __future__ import annotations

from typing import Any, Final

from reconciler.model import contract
from reconciler.model.contract import ErrorCode
from reconciler.sandbox import request_checks, views
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Answer, ApiError, Call, json_answer

_WIDE: Final = ("16:9", "9:16", "1:1")
MODELS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "video": {"kling-3.0": _WIDE, "kling-2.6": _WIDE, "seedance-2.0": (*_WIDE, "21:9"), "veo-3.1": ("16:9", "9:16")},
    "image": {"nano-banana-pro": (*_WIDE, "21:9"), "nano-banana": _WIDE, "seedream-4.5": (*_WIDE, "21:9")},
}
"""The aspect ratios of each model, by type."""


def list_models(account: Account, call: Call, _: str) -> Answer:
    """``GET /models``."""
    query = request_checks.query(call.query, account.shapes.models_query)
    if "type" not in query:
        raise ApiError(ErrorCode.VALIDATION, "type: is required", 400)
    kind = query["type"]
    shown = [
        {
            "id": name,
            "name": name.replace("-", " ").title(),
            "type": kind,
            "generation_types": [f"text-to-{kind}", f"image-to-{kind}"],
            "aspect_ratios": list(ratios),
        }
        for name, ratios in MODELS[kind].items()
    ]
    return json_answer(200, {"models": shown})


def list_skills(account: Account, call: Call, _: str) -> Answer:
    """``GET /account/skills``: the platform's, then the account's own."""
    request_checks.query(call.query, {})
    if not account.contract.own_skills:
        raise ApiError(ErrorCode.NOT_FOUND, "No such route", 404)
    ours = [
        (name, name, "eversince") for field in account.contract.fields if field.kind == "set" for name in field.values
    ]
    own = [(row["id"], row["name"], "user") for row in account.all("SELECT * FROM skills ORDER BY name, id")]
    shown = [
        {"id": id_, "name": name, "is_active": False, "source": source, "category": None, "description": None}
        for id_, name, source in (*ours, *own)
    ]
    return json_answer(200, {"skills": shown})


def discover(account: Account, call: Call, _: str) -> Answer:
    """``GET /projects/discover``: the studio's projects that no project of the API holds."""
    query = request_checks.query(call.query, account.shapes.discover_query)
    limit = min(int(query.get("limit", account.contract.limits.list_page_default)), account.options.page_max)
    offset = int(query.get("offset", 0))
    held = {
        row["source_project_id"]
        for row in account.all(
            "SELECT source_project_id FROM projects WHERE source_project_id IS NOT NULL AND mode != ?",
            contract.MODE_RELEASED,
        )
    }
    title = query.get("title", "").casefold()
    rows = [
        row
        for row in account.all("SELECT * FROM studio ORDER BY id")
        if row["id"] not in held and title in (row["title"] or "").casefold()
    ]
    shown: dict[str, Any] = {
        "projects": [
            {
                "project_id": row["id"],
                "title": row["title"],
                "aspect_ratio": "16:9",
                "project_url": f"{call.origin}/studio/{row['id']}",
                "created_at": views.timestamp(0),
                "updated_at": views.timestamp(0),
            }
            for row in rows[offset : offset + limit]
        ],
        "total": len(rows),
        "limit": limit,
        "offset": offset,
    }
    return json_answer(200, shown)
