"""Plans as JSON documents (decisions/0013), and back; also diagnostics and outcomes.

The members of steps, changes and the rest are the fields of the model's structs, written and read by msgspec; only what a
document has in another form is said here: the request of a step, which contains its body, and the place of a diagnostic.

Reading is strict: msgspec checks every value by its type; what is shown must be what is sent (``plan_shown``); and the
plan is written again and must give exactly the document that was read, digest included. So an unknown or missing key, or a
summary, path or idempotency key that does not match its step, is found without a rule of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import asdict, replace

from reconciler.model import contract
from reconciler.model.claim import is_claim
from reconciler.model.desired import Address, DesiredMessage, Filled, Lifecycle
from reconciler.model.errors import Diagnostic, Location, PlanFileError
from reconciler.model.events import StepResult
from reconciler.model.identity import identity
from reconciler.model.plan import (
    FORMAT_VERSION,
    Adopt,
    Basis,
    Cancel,
    Count,
    Create,
    FileUpload,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Render,
    Replace,
    Share,
    Step,
    Update,
    idempotency_key,
)
from reconciler.model.plan_node import REMEDY, Node
from reconciler.model.plan_shown import check_shown
from reconciler.model.policy import policy_document
from reconciler.model.step_kinds import Action
from reconciler.model.values import (
    Json,
    Portable,
    Secret,
    Value,
    from_portable,
    has_sealed,
    masked,
    masked_fields,
    portable,
)

_KEY = "idempotency_key"
_POLICY: Final = "policy"
"""What a policy said when the document was written. It is no part of the plan: nothing reads it, and no digest covers it."""
_IN_THE_REQUEST: Final = {"body", "key", "message"}
"""The fields of a step that its document has in the request."""


# Writing


def json_text(document: Json) -> str:
    """The text for stdout and for files: indented, pure ASCII (text of the API may have half a surrogate pair)."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def encode_plan(plan: Plan) -> dict[str, Json]:
    """The document of a plan, which :func:`decode_plan` turns back into an equal plan.

    Secrets are portable in bodies (template and digest) and masked in ``changes``.
    """
    content = _content(plan)
    document = {**content, "digest": _content_digest(content)}
    if plan.policy is not None:
        document[_POLICY] = policy_document(plan.policy)
    return document


def plan_digest(plan: Plan) -> str:
    """The SHA-256, in hex, by which a plan is approved: over the content of its document, whatever the layout."""
    return _content_digest(_content(plan))


def _content_digest(content: Mapping[str, Json]) -> str:
    """A digest with sorted keys, no white space and pure ASCII: the same after a tool has reformatted the file."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(plan: Plan) -> dict[str, Json]:
    """The document of a plan without its digest."""
    other: dict[str, Json] = {} if plan.api_version == contract.DEFAULT_VERSION else {"api_version": plan.api_version}
    if plan.credit_balance is not None:
        other["credits"] = {"balance": plan.credit_balance, "needed": plan.credits_needed}
    return {
        **other,
        "format_version": FORMAT_VERSION,
        "reconciler_version": plan.reconciler_version,
        "id": plan.id,
        "environment": plan.environment,
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
        "uploads": [asdict(upload) for upload in plan.uploads],
        **({"left_out": [*plan.left_out]} if plan.left_out else {}),
        **({"downloads": dict(plan.downloads)} if plan.downloads else {}),
        **({"claim": asdict(plan.claim)} if plan.claim is not None else {}),
        **(
            {"declared": {a: asdict(d) | {"tags": [*d.tags]} for a, d in plan.declared.items()}}
            if plan.declared
            else {}
        ),
        "steps": [encode_step(step) for step in plan.steps],
        "diagnostics": [encode_diagnostic(diagnostic) for diagnostic in plan.diagnostics],
        "basis": {address: _basis(basis) for address, basis in plan.basis.items()},
        "lifecycles": {address: _lifecycle(lifecycle) for address, lifecycle in plan.lifecycles.items()},
    }


def _basis(basis: Basis) -> Json:
    members = asdict(basis)
    former = [*members.pop("former")]
    return members | ({"former": former} if former else {})


def _lifecycle(lifecycle: Lifecycle) -> Json:
    members = asdict(lifecycle)
    if not members["resume_from"]:
        del members["resume_from"]  # only some versions of the API have it
    return masked(members)


def encode_step(step: Step) -> dict[str, Json]:
    fields = {name: value for name, value in asdict(step).items() if name not in _IN_THE_REQUEST}
    if fields.get("resumes", "") is None:
        del fields["resumes"]  # only some versions of the API have it
    fields["after"] = list(step.after)
    fields["changes"] = [masked_fields(asdict(change)) for change in step.changes]
    return {"action": step.action, **fields, "ready": step.ready, **_request(step)}


def _request(step: Step) -> dict[str, Json]:  # noqa: PLR0911  one for each kind
    """The request that a step sends, and the id of its message, which is not sent."""
    project = f"/projects/{step.project_id or '{id}'}"
    match step:
        case Create() | Replace():
            return {"request": _call("POST", "/projects", {**step.body, _KEY: step.key})}
        case Adopt():
            return {"request": _call("POST", "/projects/adopt", step.body)}
        case Update():
            return {"request": _call("PATCH", f"{project}/settings", step.body)}
        case Message():
            request = _call("POST", f"{project}/messages", step.message.body)
            return {"request": request, "message_id": step.message.id}
        case Render():
            return {"request": _call("POST", f"{project}/render", step.body)}
        case Share():
            return {"request": _call("POST", f"{project}/share", step.body)}
        case Cancel():
            return {"request": _call("POST", f"{project}/cancel", None)}
        case Release():
            return {"request": _call("PATCH", f"{project}/settings", {"mode": contract.MODE_RELEASED})}
        case Import() | Forget() | Move():
            return {"request": None}
        case _:
            assert_never(step)


def _call(method: str, path: str, body: Mapping[str, Value] | None) -> Json:
    return {"method": method, "path": path, "body": None if body is None else portable(body)}


def encode_diagnostic(diagnostic: Diagnostic) -> dict[str, Json]:
    location = diagnostic.location
    place = asdict(location) if location else dict.fromkeys(Location.__struct_fields__)
    members = asdict(diagnostic) | place
    del members["location"], members["source"]
    return members


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
        with contract.kept():
            _choose_api(root)
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


def _choose_api(root: Node) -> None:
    """Speak the version of the API that the plan is for: its bodies have the fields of that."""
    version = root["api_version"].text() if "api_version" in root.mapping() else contract.DEFAULT_VERSION
    if version not in contract.versions():
        raise root["api_version"].fail("is not a version of the API that this program knows")
    contract.choose(version)


def _check_digest(root: Node, content: Mapping[str, Json]) -> None:
    """Check that the document is ``content`` with its digest."""
    read = {key: value for key, value in root.mapping().items() if key not in ("digest", _POLICY)}
    # a version before may not have known a kind of step or a key: what is empty now was not written then
    counts, told = Node(content)["summary"].mapping(), root["summary"].mapping()
    content = {key: value for key, value in content.items() if value or key in read}
    content["summary"] = {kind: count for kind, count in counts.items() if count or kind in told}
    named = root["digest"].text()
    found = _content_digest(content)
    if _content_digest(read) != found:
        Node(read).compare(content)
    if found != named:
        raise PlanFileError(
            "the plan file was changed after it was written",
            f"Its content has the digest {found}, but it says {named}. {REMEDY}",
        )


class _State(Struct):
    lineage: str
    serial: Count


class _Requests(Struct):
    used: Count
    apply_at_least: Count


class _Credits(Struct):
    balance: int | None = None
    needed: Count = 0


class _Kind(Struct):
    action: Action


class _Message(Struct):
    message_id: Filled


class _ProjectReference(Struct):
    project: Address


def _plan(root: Node) -> Plan:
    steps = root["steps"]
    state, requests = root["state"].read(_State), root["requests"].read(_Requests)
    credits_ = root["credits"].read(_Credits) if "credits" in root.mapping() else _Credits()
    plan = root.read(
        Plan,
        credit_balance=credits_.balance,
        credits_needed=credits_.needed,
        lineage=state.lineage,
        serial=state.serial,
        steps=[{**node.mapping(), **_sent(node)} for node in steps],
        diagnostics=[_diagnostic(node) for node in root["diagnostics"]],
        basis={address: node.read(Basis) for address, node in root["basis"].fields()},
        lifecycles={address: node.read(Lifecycle) for address, node in root["lifecycles"].fields()},
        requests_used=requests.used,
        policy=None,
    )
    if plan.claim is not None and not is_claim(plan.claim):
        raise root["claim"].fail("is not a claim of a pull request")
    _check_keys(steps, plan)
    _check_order(steps, plan)
    # How many calls apply needs is not part of the format: other versions may count differently.
    needed = requests.apply_at_least
    return plan if needed == plan.requests_needed else replace(plan, requests_told=needed)


def _check_keys(steps: Node, plan: Plan) -> None:
    """Check that each create has the idempotency key that follows from its address."""
    for node, step in zip(steps, plan.steps, strict=True):
        if isinstance(step, Create | Replace):
            try:
                key = idempotency_key(identity(plan.workspace, plan.environment), step.address, step.generation)
            except ValueError:
                raise node["address"].fail("makes the idempotency key too long") from None
            node["request"]["body"][_KEY].compare(key)


def _check_order(steps: Node, plan: Plan) -> None:
    """Check that no address waits for itself, since the apply would never end."""
    waits: dict[str, set[str]] = {}
    for step in plan.steps:
        waits.setdefault(step.address, set()).update(step.after)
    try:
        TopologicalSorter(waits).prepare()
    except CycleError:
        raise steps.fail("must not wait for one another") from None


def _sent(node: Node) -> dict[str, object]:
    """The fields of a step that the document has in its request."""
    action = node.read(_Kind).action
    match action:
        case "create" | "replace":
            return {"body": _body(node, "create"), "key": node["request"]["body"][_KEY].value}
        case "adopt":
            return {"body": _body(node, "adopt")}
        case "update":
            return {"body": _body(node, "settings")}
        case "message":
            return {"message": DesiredMessage(node.read(_Message).message_id, _body(node, "message"))}
        case "render":
            return {"body": _body(node, "render")}
        case "share":
            return {"body": _body(node, "share")}
        case "import" | "cancel" | "release" | "forget" | "move":
            return {}
        case _:
            assert_never(action)


def _body(node: Node, call: contract.Call) -> dict[str, Value]:
    """The body of a step's request, which has the fields of a call."""
    body, known = node["request"]["body"], contract.current().fields_of(call)
    fields = {key: value for key, value in body.mapping().items() if key != _KEY}
    for key in fields.keys() - {field.name for field in known}:
        raise body[key].fail("is not a field of this request")
    for reference in body["references"] if "references" in fields else ():
        if "project" in reference.mapping():
            reference.read(_ProjectReference)
        if "file" in reference.mapping():
            reference.read(FileUpload)
    values = from_portable(Portable(fields))
    if has_sealed(values):
        raise body.fail("has an invalid `$secret`")
    for required in (field.name for field in known if field.required):
        if not isinstance(values.get(required, body[required].value), str | Secret):
            raise body[required].fail("must be a string")
    return values


def _diagnostic(node: Node) -> Diagnostic:
    location = node.read(Location) if node["file"].value is not None else None
    return node.read(Diagnostic, location=location)
