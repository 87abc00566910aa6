"""Entries of the state for projects that were just created or found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from reconciler.model import contract
from reconciler.model.live import Created, LiveProject
from reconciler.model.state import Entry, Intent, Known, Outputs, Rendered
from reconciler.model.values import Secret, Value, has_secret, sealed
from reconciler.operations.apply.run import Run
from reconciler.planning.creation import creation_with_defaults


def settings_as_sent(run: Run, body: Mapping[str, Value]) -> dict[str, Known]:
    """Settings as a create sent them: a nullable one that was not sent is null."""
    values = {name: sealed(body.get(name)) for name in contract.current().settings if name in body}
    unset = {f.name: None for f in contract.current().fields_of("create") if f.nullable and f.name not in body}
    at = run.now()
    return {name: Known(value, "sent", at) for name, value in {**values, **unset}.items()}


def creation_of(body: Mapping[str, Value]) -> dict[str, Value]:
    """The create-only inputs in the body of a create."""
    return {name: body[name] for name in contract.current().creation_fields if name in body}


def retired_ids(old: Entry | None) -> tuple[str, ...]:
    return (*old.retired, old.project_id) if old else ()


def created_entry(
    run: Run, intent: Intent, body: Mapping[str, Value], created: Created | None, old: Entry | None
) -> Entry:
    """The entry of a project whose create was answered; ``old`` is the one it replaces."""
    creation = creation_of(body)
    secrets = {n: v for n, v in run.fill(creation, intent.address).items() if isinstance(v, Secret)}
    return Entry(
        project_id=created.id if created else "",
        origin="created",
        generation=intent.generation,
        creation=creation_with_defaults(creation),
        settings=settings_as_sent(run, body),
        reads={name: secret.reads for name, secret in secrets.items() if secret.reads is not None},
        retired=retired_ids(old),
        outputs=Outputs(status=created.status, project_url=created.project_url) if created else Outputs(),
    )


def bound_entry(
    run: Run,
    live: LiveProject,
    *,
    origin: Literal["created", "imported"],
    old: Entry | None = None,
    settings: Mapping[str, Value] | None = None,
) -> Entry:
    """The entry of a project that was found: only what the account shows of it is known.

    A setting whose desired value is a secret is kept sealed where the account shows that very value.
    """
    shown = {name: value for name, value in live.settings.items() if not has_secret((settings or {}).get(name))}
    return Entry(
        project_id=live.id,
        origin=origin,
        settings=run.as_known(shown, live.source),
        retired=retired_ids(old),
        outputs=run.as_outputs(live),
        rendered=found_render(live.status, at=run.now()),
    )


def found_before(run: Run, address: str, status: str) -> Rendered | None:
    """Note that an address has a project that was there before the state; what is known of its render."""
    run.found[address] = now = run.now()
    return found_render(status, at=now)


def found_render(status: str, *, at: str) -> Rendered | None:
    """What is known of the render of a project that was there before the state: it may have one, unless its agent is at
    work on another video.
    """
    may_have = status in (contract.Status.IDLE, contract.Status.RENDERING)
    return Rendered(at=at, how="found") if may_have else None
