"""The JSON of plan, show and apply as it is promised to other tools (decisions/0013), written down independently."""

from __future__ import annotations

from typing import Any

ACTIONS = [
    "create",
    "adopt",
    "import",
    "update",
    "message",
    "render",
    "share",
    "cancel",
    "replace",
    "release",
    "forget",
    "move",
]
COUNTED = [a for a in ACTIONS if a not in ("move", "render", "share")] + ["unchanged", "attention"]
TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


DIAGNOSTIC = _object(
    severity={"enum": ["error", "warning", "note"]},
    address=MAYBE,
    summary=TEXT,
    detail=TEXT,
    file=MAYBE,
    line={"type": ["integer", "null"]},
    code=MAYBE,
    kind=MAYBE,
)
CHANGE = _object(
    path=TEXT,
    before=True,
    after=True,
    before_source={"enum": ["list", "status", "patch", "sent", "none"]},
    sensitive={"type": "boolean"},
)
REQUEST = {
    "anyOf": [
        {"type": "null"},
        _object(
            method={"enum": ["POST", "PATCH"]},
            path={"type": "string", "pattern": "^/projects"},
            body={"type": ["object", "null"]},
        ),
    ]
}
STEP = _object(
    address=TEXT,
    action={"enum": ACTIONS},
    project_id=MAYBE,
    reason=TEXT,
    ready={"type": "boolean"},
    waits_for=MAYBE,
    after={"type": "array", "items": TEXT},
    changes={"type": "array", "items": CHANGE},
    request=REQUEST,
)
PLAN = _object(
    format_version={"const": "1.2"},
    reconciler_version=TEXT,
    environment=MAYBE,
    digest={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    workspace=TEXT,
    api_url=TEXT,
    created_at={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT"},
    state=_object(lineage=TEXT, serial=COUNT),
    summary=_object(**dict.fromkeys(COUNTED, COUNT)),
    requests=_object(used=COUNT, apply_at_least=COUNT),
    uploads={"type": "array", "items": _object(file=TEXT, digest=TEXT)},
    steps={"type": "array", "items": STEP},
    diagnostics={"type": "array", "items": DIAGNOSTIC},
)
NUMBER = {"type": ["integer", "null"]}
FOUND = _object(
    rule=TEXT,
    effect={"enum": ["deny", "warn", "approve"]},
    group=MAYBE,
    message=TEXT,
    file=TEXT,
    line=NUMBER,
    column=NUMBER,
    verdict={"enum": ["denied", "waits", "approved", "waived", "warned"]},
    error=MAYBE,
    steps={"type": "array", "items": _object(address=TEXT, action={"enum": ACTIONS}, file=MAYBE, line=NUMBER)},
    waiver={"anyOf": [{"type": "null"}, _object(reason=TEXT, by=TEXT)]},
)
PLAN["properties"] |= {  # only where there is something to say
    "declared": {
        "type": "object",
        "additionalProperties": _object(file=TEXT, line=COUNT, tags={"type": "array", "items": TEXT}),
    },
    "policy": _object(
        decision={"enum": ["allow", "approve", "deny"]},
        cost={"type": "number"},
        rules=COUNT,
        findings={"type": "array", "items": FOUND},
    ),
}
ENDED = _object(
    outcome={"enum": ["done", "deferred", "failed", "skipped", "unknown"]},
    error={"anyOf": [{"type": "null"}, DIAGNOSTIC]},
)
APPLY = {
    "allOf": [
        PLAN,
        _object(converged={"type": "boolean"}, steps={"type": "array", "items": {"allOf": [STEP, ENDED]}}),
    ]
}
FAILURE = _object(format_version={"const": "1.2"}, diagnostics={"type": "array", "items": DIAGNOSTIC, "minItems": 1})
