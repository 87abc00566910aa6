"""Live projects that two environments of one configuration declare: each would manage them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.model.config import Config
from reconciler.model.desired import AdoptOrigin, Desired, DesiredProject, ImportOrigin
from reconciler.model.errors import ConfigError, Diagnostic, SpecError

Targets = Mapping[str, DesiredProject]
"""Projects that adopt or import, by the id of what they take over."""


def shared_targets(config: Config, specs: Desired, read: Callable[[str], Desired]) -> Iterator[Diagnostic]:
    """An error for each live project that is adopted or imported in two environments, and a note for each environment
    whose specs can't be read here (a value that only its own jobs have, say). ``read`` gives those of another one.
    """
    if config.environment is None:
        return
    declared: dict[str, Targets] = {}
    for name in config.environments:
        try:
            declared[name] = _targets(specs if name == config.environment else read(name))
        except (ConfigError, SpecError) as failure:
            first = failure.diagnostics[0]
            yield Diagnostic(
                severity="note",
                summary=f"environment `{name}` was not compared with the others: {first.summary}",
                detail=f"`reconciler --environment {name} validate` shows more.",
            )
    yield from _clashes(declared)


def _targets(specs: Desired) -> Targets:
    return {p.origin.target: p for p in specs.projects.values() if isinstance(p.origin, AdoptOrigin | ImportOrigin)}


def _clashes(declared: Mapping[str, Targets]) -> Iterator[Diagnostic]:
    owners: dict[str, list[str]] = {}
    for name, targets in declared.items():
        for target in targets:
            owners.setdefault(target, []).append(name)
    for target, names in owners.items():
        if len(names) > 1:
            first = declared[names[0]][target]
            origins = (declared[name][target].origin for name in names)
            verbs = dict.fromkeys("adopted" if isinstance(o, AdoptOrigin) else "imported" for o in origins)
            verb = " and ".join(verbs)
            yield error(
                Code.DUPLICATE_TARGET,
                f"{quoted(target)} is {verb} in {len(names)} environments: {', '.join(names)}",
                f"each would manage it; keep it in one, with only: [{names[0]}] for example",
                location=first.location,
                address=first.address,
            )
