"""What a plan shows is what it sends: the rules by which a plan file is refused whose two sides differ.

Reviewers read reasons, changes and ids; apply sends bodies. Each field of a body stands among the step's changes, with
the very value that is sent (a secret as its template), and nothing else does. A message's body is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import contract
from reconciler.model.plan import Change, Create, Message, Plan, Replace, Step, describe, sent_body
from reconciler.model.plan_node import Node
from reconciler.model.redact import REPLACEMENT
from reconciler.model.references import compared, files_in
from reconciler.model.values import Json, Value, has_secret, masked, sealed, shown


def check_shown(root: Node, plan: Plan) -> None:
    """Hold a plan against the document that it was read from.

    Raises:
        PlanFileError: something would be sent that is not shown, or is shown and not sent.

    """
    nodes = root["steps"].each(lambda node: node)
    for node, step in zip(nodes, plan.steps, strict=True):
        _check_changes(node["changes"], step)
    _check_projects(nodes, plan)
    _check_uploads(root["uploads"], plan)
    if plan.refresh_only and plan.steps:
        raise root["refresh_only"].fail("does not go with steps")


def _fields(step: Step) -> Mapping[str, Value]:
    """The fields of the request that stand among the changes. A message, and what is adopted, are shown beside them."""
    if isinstance(step, Message):
        return {}
    return {name: value for name, value in sent_body(step).items() if name != "project_id"}


def change_path(name: str) -> str:
    """How the changes of a step call a field of its body."""
    return name if name in contract.current().creation_fields else f"settings.{name}"


def _check_changes(node: Node, step: Step) -> None:
    left = {change_path(name): value for name, value in _fields(step).items()}
    for item, change in zip(node.each(lambda item: item), step.changes, strict=True):
        if describe(step).begins == "project":
            item["before_source"].compare("none")
        if change.before_source == "none":
            item["before"].compare(None)
        if change.path in left:
            value = left.pop(change.path)
            item["after"].compare(masked(value))
            item["sensitive"].compare(has_secret(value))
        elif not (isinstance(step, Replace) and _explains(change, step.body)):
            raise item["path"].fail("names nothing that the request sends")
    for path in left:
        raise node.fail(f"must show `{path}`, which the request sends")


def _explains(change: Change, body: Mapping[str, Value]) -> bool:
    """Whether a change of a replacement says why it must be: a field that is sent no longer, or a part of one that is."""
    name = change.path.split("[")[0].split(".")[0]
    if change.forces is None or name not in contract.current().creation_fields:
        return False
    if name not in body:
        return change.path == name and change.after is None
    return change.after in (None, REPLACEMENT) or change.after in [*_parts(sealed(compared(body)[name]))]


def _parts(value: Json) -> Iterator[Json]:
    """A value and all in it, as people see it."""
    yield shown(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(item)


def _check_projects(nodes: tuple[Node, ...], plan: Plan) -> None:
    """Every address is about one project: that which is shown. A new one has no id yet."""
    about: dict[str, str] = {}
    new: set[str] = set()
    for node, step in zip(nodes, plan.steps, strict=True):
        if step.project_id is not None:
            if step.address in new or describe(step).begins == "project":
                raise node["project_id"].fail("must be null: there is no project yet")
            if about.setdefault(step.address, step.project_id) != step.project_id:
                raise node["project_id"].fail(f"is not that of the steps of `{step.address}` before it")
        if isinstance(step, Create | Replace):
            new.add(step.address)


def _check_uploads(node: Node, plan: Plan) -> None:
    files = {(file, digest) for step in plan.steps for digest, file in files_in(sent_body(step)).items()}
    for item, upload in zip(node.each(lambda item: item), plan.uploads, strict=True):
        if (upload.file, upload.digest) not in files:
            raise item.fail("is not referred to by any step")
