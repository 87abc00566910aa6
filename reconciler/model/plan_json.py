"""Plans as JSON documents (decisions/0013), and back; also diagnostics and outcomes.

Reading is strict: every value is checked by its type and its place; what is shown must be what is sent (``plan_shown``);
and the plan is written again and must give exactly the document that was read, digest included. So an unknown or missing
key, or a summary, path or idempotency key that does not match its step, is found without a rule of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final, TypedDict, assert_never, get_args

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import DesiredMessage, Lifecycle, OnFailed, OnImmutableChange, OnRemove
from reconciler.model.errors import Diagnostic, Kind, Location, PlanFileError, Severity
from reconciler.model.events import StepResult
from reconciler.model.live import Source
from reconciler.model.plan import (
    FORMAT_VERSION,
    Adopt,
    Basis,
    Cancel,
    Change,
    Create,
    FileUpload,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Replace,
    Step,
    Update,
    idempotency_key,
)
from reconciler.model.plan_node import REMEDY, Node
from reconciler.model.plan_shown import check_shown
from reconciler.model.step_kinds import Action
from reconciler.model.values import Json, Portable, Secret, Value, from_portable, has_sealed, masked, portable

_KEY = "idempotency_key"
_BASIS_STATUS: Final = ("absent", "active", "idle", "failed", "cancelled", "unread")


# Writing


def json_text(document: Json) -> str:
    """The text for stdout and for files: indented, pure ASCII (text of the API may have half a surrogate pair)."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def encode_plan(plan: Plan) -> dict[str, Json]:
    """The document of a plan, which :func:`decode_plan` turns back into an equal plan.

    Secrets are portable in bodies (template and digest) and masked in ``changes``.
    """
    content = _content(plan)
    return {**content, "digest": _content_digest(content)}


def plan_digest(plan: Plan) -> str:
    """The SHA-256, in hex, by which a plan is approved: over the content of its document, whatever the layout."""
    return _content_digest(_content(plan))


def _content_digest(content: Mapping[str, Json]) -> str:
    """A digest with sorted keys, no white space and pure ASCII: the same after a tool has reformatted the file."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(plan: Plan) -> dict[str, Json]:
    """The document of a plan without its digest."""
    return {
        "format_version": FORMAT_VERSION,
        "reconciler_version": plan.reconciler_version,
        "id": plan.id,
        "environment": None,
        "workspace": plan.workspace,
        "api_url": plan.api_url,
        "created_at": plan.created_at,
        "destroy": plan.destroy,
        "refresh_only": plan.refresh_only,
        "state": {"lineage": plan.lineage, "serial": plan.serial},
        "summary": plan.summary,
        "requests": {"used": plan.requests_used, "apply_at_least": plan.requests_needed},
        "unchanged": plan.unchanged,
        "managed": plan.managed,
        "families": list(plan.families),
        "uploads": [{"file": upload.file, "digest": upload.digest} for upload in plan.uploads],
        "steps": [encode_step(step) for step in plan.steps],
        "diagnostics": [encode_diagnostic(diagnostic) for diagnostic in plan.diagnostics],
        "basis": {
            address: {"entry": basis.entry, "status": basis.status, "observed": dict(basis.observed)}
            for address, basis in plan.basis.items()
        },
        "lifecycles": {
            address: {
                "on_remove": lifecycle.on_remove,
                "on_failed": lifecycle.on_failed,
                "on_immutable_change": lifecycle.on_immutable_change,
                "ignore_changes": list(lifecycle.ignore_changes),
            }
            for address, lifecycle in plan.lifecycles.items()
        },
    }


def encode_step(step: Step) -> dict[str, Json]:
    return {
        "address": step.address,
        "action": step.action,
        "project_id": step.project_id,
        "reason": step.reason,
        "ready": step.ready,
        "waits_for": step.waits_for,
        "after": list(step.after),
        "changes": [_encode_change(change) for change in step.changes],
        **_specific(step),
    }


def _encode_change(change: Change) -> dict[str, Json]:
    return {
        "path": change.path,
        "before": masked(change.before),
        "after": masked(change.after),
        "before_source": change.before_source,
        "sensitive": change.sensitive,
        "drift": change.drift,
        "forces": change.forces,
    }


def _specific(step: Step) -> dict[str, Json]:  # noqa: PLR0911  one for each kind
    """The members that depend on the kind: the request, and what else apply needs."""
    project = f"/projects/{step.project_id or '{id}'}"
    match step:
        case Create() | Replace():
            request = _call("POST", "/projects", {**step.body, _KEY: step.key})
            return {"request": request, "generation": step.generation}
        case Adopt():
            return {"request": _call("POST", "/projects/adopt", step.body)}
        case Update():
            return {"request": _call("PATCH", f"{project}/settings", step.body)}
        case Message():
            request = _call("POST", f"{project}/messages", step.message.body)
            return {"request": request, "message_id": step.message.id}
        case Cancel():
            return {"request": _call("POST", f"{project}/cancel", None)}
        case Release():
            return {"request": _call("PATCH", f"{project}/settings", {"mode": contract.MODE_RELEASED})}
        case Import():
            return {"request": None, "studio_id": step.studio_id}
        case Forget():
            return {"request": None}
        case Move():
            return {"request": None, "from_address": step.from_address}
        case _:
            assert_never(step)


def _call(method: str, path: str, body: Mapping[str, Value] | None) -> Json:
    return {"method": method, "path": path, "body": None if body is None else portable(body)}


def encode_diagnostic(diagnostic: Diagnostic) -> dict[str, Json]:
    location = diagnostic.location
    return {
        "severity": diagnostic.severity,
        "address": diagnostic.address,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
        "file": location.file if location else None,
        "line": location.line if location else None,
        "column": location.column if location else None,
        "code": diagnostic.code,
        "kind": diagnostic.kind,
        "attention": diagnostic.attention,
    }


def encode_outcome(result: StepResult) -> dict[str, Json]:
    """The keys that ``apply --format json`` adds to a step."""
    error = None if result.error is None else encode_diagnostic(result.error)
    return {"outcome": result.outcome, "note": result.note, "error": error}


# Reading


def decode_plan(document: Json) -> Plan:
    """The plan in a document of :func:`encode_plan`.

    Raises:
        PlanFileError: the document is not valid, was edited, or has another format version.

    """
    root = Node(document)
    try:
        _check_version(root)
        plan = _plan(root)
        check_shown(root, plan)
        _check_digest(root, _content(plan))
    except RecursionError:
        raise root.fail("is nested too deeply") from None
    return plan


def _check_version(root: Node) -> None:
    version = root["format_version"].text()
    if version == FORMAT_VERSION:
        return
    number = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})", version)
    if number is None:
        raise root["format_version"].fail("is not a version")
    writer = root["reconciler_version"].text()
    ours = tuple(int(part) for part in FORMAT_VERSION.split("."))
    age = "newer" if (int(number[1]), int(number[2])) > ours else "older"
    raise PlanFileError(
        f"the plan file has format {version}, {age} than {FORMAT_VERSION}, which this version reads",
        f"It was written by reconciler {writer}: apply it with that version, or create a new plan with this one.",
    )


def _check_digest(root: Node, content: Mapping[str, Json]) -> None:
    """Check that the document is ``content`` with its digest."""
    read = root.mapping()
    named = root["digest"].text()
    Node({key: value for key, value in read.items() if key != "digest"}).compare(content)
    found = _content_digest(content)
    if found != named:
        raise PlanFileError(
            "the plan file was changed after it was written",
            f"Its content has the digest {found}, but it says {named}. {REMEDY}",
        )


def _plan(root: Node) -> Plan:
    workspace = root["workspace"].text()
    steps = root["steps"].each(lambda node: _step(node, workspace))
    _check_order(root["steps"], steps)
    plan = Plan(
        id=root["id"].name(),
        reconciler_version=root["reconciler_version"].text(),
        workspace=workspace,
        api_url=root["api_url"].text(),
        created_at=root["created_at"].text(),
        lineage=root["state"]["lineage"].text(),
        serial=root["state"]["serial"].count(),
        steps=steps,
        basis={address: _basis(node) for address, node in root["basis"].fields()},
        lifecycles={address: _lifecycle(node) for address, node in root["lifecycles"].fields()},
        diagnostics=root["diagnostics"].each(_diagnostic),
        unchanged=root["unchanged"].count(),
        managed=root["managed"].count(),
        families=root["families"].each(Node.address),
        uploads=root["uploads"].each(lambda node: FileUpload(node["file"].name(), node["digest"].name())),
        requests_used=root["requests"]["used"].count(),
        destroy=root["destroy"].flag(),
        refresh_only=root["refresh_only"].flag(),
    )
    # How many calls apply needs is not part of the format: other versions may count differently.
    needed = root["requests"]["apply_at_least"].count()
    return plan if needed == plan.requests_needed else replace(plan, requests_told=needed)


def _check_order(node: Node, steps: tuple[Step, ...]) -> None:
    """Check that no address waits for itself, since the apply would never end."""
    waits: dict[str, set[str]] = {}
    for step in steps:
        waits.setdefault(step.address, set()).update(step.after)
    try:
        TopologicalSorter(waits).prepare()
    except CycleError:
        raise node.fail("must not wait for one another") from None


class _Common(TypedDict):
    address: str
    project_id: str | None
    reason: str
    waits_for: str | None
    after: tuple[str, ...]
    changes: tuple[Change, ...]


def _step(node: Node, workspace: str) -> Step:  # noqa: PLR0911  one for each kind
    action: Action = node["action"].one_of(get_args(Action))
    address = node["address"].address()
    common: _Common = {
        "address": address,
        "project_id": node["project_id"].opt(Node.name),
        "reason": node["reason"].text(),
        "waits_for": node["waits_for"].opt(Node.text),
        "after": node["after"].each(Node.address),
        "changes": node["changes"].each(_change),
    }
    match action:
        case "create" | "replace":
            kind = Create if action == "create" else Replace
            generation = node["generation"].count()
            key = _key(node, workspace, address, generation)
            return kind(**common, body=_body(node, "create"), generation=generation, key=key)
        case "adopt":
            return Adopt(**common, body=_body(node, "adopt"))
        case "import":
            return Import(**common, studio_id=node["studio_id"].opt(Node.name))
        case "update":
            return Update(**common, body=_body(node, "settings"))
        case "message":
            return Message(**common, message=DesiredMessage(node["message_id"].name(), _body(node, "message")))
        case "cancel":
            return Cancel(**common)
        case "release":
            return Release(**common)
        case "forget":
            return Forget(**common)
        case "move":
            return Move(**common, from_address=node["from_address"].address())
        case _:
            assert_never(action)


def _key(node: Node, workspace: str, address: str, generation: int) -> str:
    """The idempotency key of the step; the comparison at the end refuses a document with another one."""
    try:
        return idempotency_key(workspace, address, generation)
    except ValueError:
        raise node["address"].fail("makes the idempotency key too long") from None


def _body(node: Node, call: contract.Call) -> dict[str, Value]:
    """The body of a step's request, which has the fields of a call."""
    body, known = node["request"]["body"], contract.current().fields_of(call)
    fields = {key: value for key, value in body.mapping().items() if key != _KEY}
    for key in fields.keys() - {field.name for field in known}:
        raise body[key].fail("is not a field of this request")
    for reference in body["references"].each(lambda item: item) if "references" in fields else ():
        reference.mapping()
        if "project" in reference.mapping():
            reference["project"].address()
        if "file" in reference.mapping():
            reference["file"].name()
            reference["digest"].name()
    values = from_portable(Portable(fields))
    if has_sealed(values):
        raise body.fail("has an invalid `$secret`")
    for required in (field.name for field in known if field.required):
        if not isinstance(values.get(required, body[required].value), str | Secret):
            raise body[required].fail("must be a string")
    return values


def _change(node: Node) -> Change:
    return Change(
        path=node["path"].text(),
        before=node["before"].value,
        after=node["after"].value,
        before_source=node["before_source"].one_of(get_args(Source)),
        sensitive=node["sensitive"].flag(),
        drift=node["drift"].flag(),
        forces=node["forces"].opt(Node.text),
    )


def _diagnostic(node: Node) -> Diagnostic:
    file = node["file"].opt(Node.text)
    return Diagnostic(
        severity=node["severity"].one_of(get_args(Severity)),
        summary=node["summary"].text(),
        detail=node["detail"].text(),
        address=node["address"].opt(Node.text),
        location=None if file is None else Location(file, node["line"].opt(Node.count), node["column"].opt(Node.count)),
        code=node["code"].opt(Node.text),
        kind=node["kind"].opt(lambda kind: kind.one_of(get_args(Kind))),
        attention=node["attention"].flag(),
    )


def _basis(node: Node) -> Basis:
    return Basis(
        entry=node["entry"].opt(Node.text),
        status=node["status"].one_of(_BASIS_STATUS),
        observed=dict(node["observed"].mapping()),
    )


def _lifecycle(node: Node) -> Lifecycle:
    return Lifecycle(
        on_remove=node["on_remove"].one_of(get_args(OnRemove)),
        on_failed=node["on_failed"].one_of(get_args(OnFailed)),
        on_immutable_change=node["on_immutable_change"].one_of(get_args(OnImmutableChange)),
        ignore_changes=node["ignore_changes"].each(Node.text),
    )
