"""Specs for live projects that nothing declares. All text of the account is untrusted: none of it can become YAML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from reconciler.adapters.specs.validation.shape_types import PROJECT_ID_PATTERN, PROJECT_ID_RULE
from reconciler.adapters.specs.yaml.scalars import scalar
from reconciler.model import contract
from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, ImportOrigin, seal
from reconciler.model.errors import UsageError
from reconciler.model.identity import Holder
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.redact import Redactor
from reconciler.model.state import State
from reconciler.operations.read.account import require_account
from reconciler.operations.read.refresh import Reader, refresh
from reconciler.operations.workspace import Workspace
from reconciler.planning.matching import Candidates
from reconciler.report.safe_text import clean

_NAME_MAX: Final = 50
_SHOWN: Final = 60
_HEAD: Final = """\
# Written by `reconciler export`. `import` manages a project as it is: nothing is created or changed.
# Briefs are comments for people, as far as the list of projects shows them.
projects:
"""


class Export(Struct, frozen=True):
    """The text of a spec file, what it declares (ids by address), and the ids left out: of failed and cancelled projects,
    and those that no spec can name.
    """

    text: str
    projects: dict[str, str]
    over: tuple[str, ...]
    unusable: tuple[str, ...]


async def export(workspace: Workspace, api: Reader, desired: Desired, ids: tuple[str, ...]) -> Export:
    """Write specs for these projects, or for all that no spec and no state entry declares and that are not over. Only GETs.

    Raises:
        UsageError: the account has no such project, or it is declared already.
        AccountError: the key is of another account.
        ReconcilerError: the state or the account can't be read.

    """
    state, _ = workspace.load()
    snapshot = await refresh(api, frozenset(ids), everything=True, at=workspace.now())
    live = snapshot.projects
    if workspace.config.account is not None or not any(e.project_id in live for e in state.projects.values()):
        await require_account(api, workspace.config, state.projects, at=workspace.now())
    declared = workspace.elsewhere().taken
    declared |= {i: Holder(address) for i, address in declared_ids(desired, state, snapshot).items()}
    for project_id in ids:
        if project_id not in live:
            raise UsageError(f"the account has no project `{project_id}`")
        if project_id in declared:
            raise UsageError(f"`{project_id}` is already declared as {declared[project_id]}")
    require_usable(ids)
    unusable = tuple(i for i in live if i not in declared and not is_usable(i))
    free = [project for project in live.values() if project.id not in declared and is_usable(project.id)]
    over = [p for p in free if p.status in (contract.Status.FAILED, contract.Status.CANCELLED)]
    chosen = [p for p in free if p.id in ids] if ids else [p for p in free if p not in over]
    taken = {address.partition("[")[0] for address in (*desired.projects, *state.projects)}
    named = names(sorted(chosen, key=lambda p: (p.created_at or "", p.id)), taken)
    text = _HEAD + "".join(
        spec(address, project, workspace.redact, state.environment) for address, project in named.items()
    )
    left_out = () if ids else tuple(project.id for project in over)
    return Export(text, {address: project.id for address, project in named.items()}, left_out, () if ids else unusable)


def is_usable(project_id: str) -> bool:
    """Whether a spec can name a project with this id. What the account lists may be anything."""
    return re.fullmatch(PROJECT_ID_PATTERN, project_id) is not None


def require_usable(ids: Iterable[str]) -> None:
    """Raises UsageError: a spec can't name one of these ids."""
    for each in ids:
        if not is_usable(each):
            raise UsageError(
                f"no spec can name {quote(each)}", f"{PROJECT_ID_RULE.capitalize()}, and at most 128 of them."
            )


def declared_ids(desired: Desired, state: State, live: Snapshot) -> dict[str, str]:
    """The address of each project that the state or a spec holds, even if the state was lost."""
    sealed = seal(desired, state.lineage)
    projects = live.projects
    declared = {entry.project_id: address for address, entry in state.projects.items()}
    adopted = {p.source_project_id: p.id for p in projects.values() if p.source_project_id}
    candidates = Candidates.of(live, state.projects)
    for address, project in sealed.projects.items():
        match project.origin:
            case ImportOrigin(project_id=project_id):
                declared.setdefault(project_id, address)
            case AdoptOrigin(studio_id=studio_id):
                declared.setdefault(adopted.get(studio_id, ""), address)
            case CreateOrigin() if address not in state.projects:
                found = candidates.match(project)
                for candidate in (*found.alive, *found.failed, *found.cancelled):
                    declared.setdefault(candidate.id, address)
            case CreateOrigin():
                pass
    return declared


def names(projects: Iterable[LiveProject], taken: Collection[str]) -> dict[str, LiveProject]:
    """An address for each project: its title's letters and digits, and a number where that is taken."""
    result: dict[str, LiveProject] = {}
    for project in projects:
        title = str(project.settings.get("title") or "")
        result[free_name(title, {*taken, *result})] = project
    return result


def free_name(title: str, taken: Collection[str]) -> str:
    """A title's letters and digits, and a number where that is taken."""
    slug = re.sub("[^a-z0-9]+", "-", title.lower())[:_NAME_MAX].strip("-") or "project"
    name, number = slug, 1
    while name in taken:
        number += 1
        name = f"{slug}-{number}"
    return name


def spec(address: str, project: LiveProject, redact: Redactor, environment: str | None = None) -> str:
    """One project's lines: its brief as a comment, its id, and the settings that the list shows and a spec can hold. Only
    the ``environment`` has it, if there is one: two can't import one project.
    """
    lines = [f"  {address}:"]
    if project.brief:
        cut = len(project.brief) >= contract.current().limits.list_brief
        lines.append(f"    # brief{f' (cut at {contract.current().limits.list_brief} characters)' if cut else ''}:")
        shown = [clean(line) for line in redact(project.brief).splitlines()]
        lines += [f"    #   {line}".rstrip() for line in shown]
    lines.append(f"    import: {quoted(project.id)}")
    if environment is not None:
        lines.append(f"    only: [{environment}]")
    settings = [
        f"      {name}: {quoted(value)}"
        for name in contract.current().shown_in("list")
        if isinstance(value := project.settings.get(name), str) and _fits(name, value) and redact(value) == value
    ]
    if settings:
        lines += ["    settings:", *settings]
    if project.status == contract.Status.CANCELLED:
        lines.append("    state: cancelled")
    return "\n".join(lines) + "\n"


def _fits(name: str, value: str) -> bool:
    """Whether a spec can say it: what the contract does not know is left out."""
    field = contract.current().field(name)
    if field.kind == "choice":
        return value in field.allowed("settings")
    fits = field.max_length is None or len(value) <= field.max_length
    return fits and "\0" not in value and value.encode(errors="ignore").decode() == value


def quote(text: str) -> str:
    """An odd id in a message, cut."""
    shown = clean(text)
    return f"`{shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}…'}`"


def quoted(value: str) -> str:
    """Text as a spec says it: no YAML, and no variable."""
    return scalar(value.replace("$", "$$"))
