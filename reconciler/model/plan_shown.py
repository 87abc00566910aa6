"""The check that a plan file shows exactly what it sends.

Reviewers read reasons, changes and ids; apply sends bodies. Each field of a body must be among the step's changes, with
the value that is sent (a secret as its template), and no other field may be. The bodies of a message, a render and a share
are shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import contract
from reconciler.model.plan import (
    Change,
    Create,
    Message,
    Plan,
    Render,
    Replace,
    Share,
    Step,
    change_path,
    describe,
    sent_body,
)
from reconciler.model.plan_node import Node
from reconciler.model.redact import REPLACEMENT
from reconciler.model.references import compared, files_in
from reconciler.model.values import Json, Value, has_secret, masked, sealed, shown


def check_shown(root: Node, plan: Plan) -> None:
    """Compare a plan with the document that it was read from.

    Raises:
        PlanFileError: something would be sent that is not shown, or is shown but not sent.

    """
    nodes = [*root["steps"]]
    for node, step in zip(nodes, plan.steps, strict=True):
        _check_changes(node["changes"], step)
    _check_projects(nodes, plan)
    _check_uploads(root["uploads"], plan)
    for address, folder in plan.downloads.items():
        if folder.startswith("/") or ".." in folder.split("/"):
            raise root["downloads"][address].fail("is not a folder inside the workspace")
    if plan.refresh_only and plan.steps:
        raise root["refresh_only"].fail("can't be combined with steps")


def _fields(step: Step) -> Mapping[str, Value]:
    """The fields of the request that are among the changes: not a message, not what is rendered or shared, and not the id of
    an adopted project.
    """
    if isinstance(step, Message | Render | Share):
        return {}
    return {name: value for name, value in sent_body(step).items() if name != "project_id"}


def _check_changes(node: Node, step: Step) -> None:
    left = {change_path(name): value for name, value in _fields(step).items()}
    for item, change in zip(node, step.changes, strict=True):
        if describe(step).begins == "project":
            item["before_source"].compare("none")
        if change.before_source == "none":
            item["before"].compare(None)
        if change.path in left:
            value = left.pop(change.path)
            item["after"].compare(masked(value))
            item["sensitive"].compare(has_secret(value))
        elif not (isinstance(step, Replace) and _explains(change, step.body)):
            raise item["path"].fail("is not a field that the request sends")
    for path in left:
        raise node.fail(f"must show `{path}`, which the request sends")


def _explains(change: Change, body: Mapping[str, Value]) -> bool:
    """Whether a change explains a replacement: it is about a field that is no longer sent, or a part of one that is."""
    name = change.path.split("[")[0].split(".")[0]
    if change.forces is None or name not in contract.current().creation_fields:
        return False
    if name not in body:
        return change.path == name and change.after is None
    return change.after in (None, REPLACEMENT) or change.after in [*_parts(sealed(compared(body)[name]))]


def _parts(value: Json) -> Iterator[Json]:
    """A value and everything inside it, as people see it."""
    yield shown(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(item)


def _check_projects(nodes: list[Node], plan: Plan) -> None:
    """Check that all steps of an address are about one project. A new project has no id yet."""
    about: dict[str, str] = {}
    new: set[str] = set()
    for node, step in zip(nodes, plan.steps, strict=True):
        if step.project_id is not None:
            if step.address in new or describe(step).begins == "project":
                raise node["project_id"].fail("must be null: there is no project yet")
            if about.setdefault(step.address, step.project_id) != step.project_id:
                raise node["project_id"].fail(f"differs from that of the earlier steps of `{step.address}`")
        if isinstance(step, Create | Replace):
            new.add(step.address)


def _check_uploads(node: Node, plan: Plan) -> None:
    files = {(file, digest) for step in plan.steps for digest, file in files_in(sent_body(step)).items()}
    for item, upload in zip(node, plan.uploads, strict=True):
        if (upload.file, upload.digest) not in files:
            raise item.fail("is not used by any step")
