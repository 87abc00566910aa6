"""Studio projects that can be adopted, and specs for them. All text of the account is untrusted: none can become YAML."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from reconciler.adapters.api.client import ApiClient
from reconciler.model.desired import AdoptOrigin, Desired
from reconciler.model.errors import UsageError
from reconciler.model.identity import Holder
from reconciler.model.live import StudioProject
from reconciler.model.redact import Redactor
from reconciler.operations.read.account import require_account
from reconciler.operations.read.export import free_name, is_usable, quoted, require_usable
from reconciler.operations.workspace import Workspace
from reconciler.report.safe_text import clean

_PAGES_MAX: Final = 1000
_HEAD: Final = """\
# Written by `reconciler export --studio`. `adopt` manages a studio project as it is.
projects:
"""


class StudioExport(Struct, frozen=True):
    """The text of a spec file, the studio projects that it adopts, by address, and the ids that no spec can name."""

    text: str
    projects: dict[str, StudioProject]
    unusable: tuple[str, ...] = ()


async def export_studio(workspace: Workspace, api: ApiClient, desired: Desired, ids: tuple[str, ...]) -> StudioExport:
    """Specs that adopt these studio projects, or all that no spec adopts. Only GETs.

    Raises:
        UsageError: the API doesn't list studio projects, or not one of these; or one is declared already, or
                no spec can name it.
        AccountError: the key is of another account.
        ReconcilerError: the state or the account can't be read.

    """
    state, _ = workspace.load()
    await require_account(api, workspace.config, state.projects, at=workspace.now())
    found = await _discover(api)
    declared = workspace.elsewhere().taken
    for address, project in desired.projects.items():
        if isinstance(project.origin, AdoptOrigin):
            declared[project.origin.studio_id] = Holder(address)
    for studio_id in ids:
        if studio_id in declared:
            raise UsageError(f"`{studio_id}` is already declared as {declared[studio_id]}")
        if studio_id not in found:
            raise UsageError(
                f"the studio has no project `{studio_id}` that can be adopted",
                "`reconciler export --studio` lists those that can.",
            )
    require_usable(ids)
    free = [studio_id for studio_id in dict.fromkeys(ids or sorted(found)) if studio_id not in declared]
    chosen = [found[studio_id] for studio_id in free if is_usable(studio_id)]
    taken = {address.partition("[")[0] for address in (*desired.projects, *state.projects)}
    named: dict[str, StudioProject] = {}
    for each in chosen:
        named[free_name(each.title or "", {*taken, *named})] = each
    text = _HEAD + "".join(_spec(address, each, workspace.redact, state.environment) for address, each in named.items())
    return StudioExport(text, named, tuple(studio_id for studio_id in free if not is_usable(studio_id)))


async def _discover(api: ApiClient) -> dict[str, StudioProject]:
    """All that can be adopted, by their ids. Raises UsageError: the API does not tell."""
    found: dict[str, StudioProject] = {}
    offset = 0
    for _ in range(_PAGES_MAX):
        page = await api.discover(offset=offset)
        if page is None:
            raise UsageError(
                "the API does not list the studio's projects", "Name the project in a spec: `adopt: STUDIO_ID`."
            )
        projects, total = page
        offset += len(projects)
        new = [each for each in projects if each.id not in found]
        found.update((each.id, each) for each in new)
        if not new or (total is not None and offset >= total):
            break
    return found


def _spec(address: str, project: StudioProject, redact: Redactor, environment: str | None) -> str:
    about = clean(redact(", ".join(filter(None, (project.title, project.aspect_ratio, project.created_at)))))
    comment = [f"    # {about}"] if about else []
    only = [f"    only: [{environment}]"] if environment is not None else []  # two can't adopt one project
    return "\n".join([f"  {address}:", *comment, f"    adopt: {quoted(project.id)}", *only]) + "\n"
