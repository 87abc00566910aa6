"""Renders and permanent links: due once all messages are done, and again after each later message (decisions/0025).

Whether the video that a project has is rendered and shared is known from the state; the account is looked at before a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Final

from reconciler.model import contract
from reconciler.model.desired import DesiredProject
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.live import LiveProject
from reconciler.model.plan import Adopt, Render, Share, Update, describe
from reconciler.model.state import Entry, Rendered, Shared
from reconciler.model.values import Value
from reconciler.planning.address_view import ProjectPlan
from reconciler.planning.findings import attention

TO_IDLE = "the agent to become idle"
TO_RENDER = "the render to finish"
MOST_LINKS: Final = 10
"""How many links that may be a video's the state keeps."""
_NAMED: Final = 3
"""How many links a finding names."""


def plan_delivery(
    project: DesiredProject, result: ProjectPlan, *, live: LiveProject | None, entry: Entry | None
) -> None:
    """Plan what is due of ``deliver``. Its messages are planned already, and nothing keeps them from being sent."""
    wanted = project.deliver
    if wanted.render is None and wanted.share is None:
        return
    works = any(describe(step).slot for step in result.steps)
    rendered, shared = (entry.rendered, entry.shared) if entry is not None else (None, None)
    doubtful = wanted.render is not None and not works and is_doubtful(rendered)
    render = None if doubtful else _render_reason(wanted.render, rendered, works=works)
    if wanted.share is not None and not works and render is None and shared is not None and is_doubtful(shared):
        result.diagnostics.append(unknown_link(project.address, shared, project.location))
        return
    if doubtful:
        result.diagnostics.append(unknown_render(project.address, project.location))
        return
    share = _share_reason(shared, works=works, renders=render is not None) if wanted.share is not None else None
    if render is None and share is None:
        return
    if _is_released(live, result):
        result.diagnostics.append(
            attention(
                project,
                f"`{project.address}` was released to the studio and is not rendered or shared",
                "Set `mode: collaborative` (or `autonomous`) to take it back.",
            )
        )
        return
    idle = live is not None and live.status == contract.Status.IDLE and not works
    project_id = live.id if live else None
    if render is not None:
        if wanted.render not in contract.current().renders:
            result.diagnostics.append(_no_call(project, f"a render in {wanted.render}", "`deliver.render`"))
            return
        body: Mapping[str, Value] = {"quality": wanted.render}
        waits = None if idle else TO_IDLE
        result.steps.append(
            Render(address=project.address, project_id=project_id, reason=render, waits_for=waits, body=body)
        )
    if share is not None and wanted.share is not None:
        if not contract.current().shares:
            result.diagnostics.append(_no_call(project, "permanent links", "`deliver.share`"))
            return
        waits = TO_RENDER if render is not None else None if idle else TO_IDLE
        result.steps.append(
            Share(address=project.address, project_id=project_id, reason=share, waits_for=waits, body=wanted.share)
        )


def is_doubtful(made: Rendered | Shared | None) -> bool:
    """Whether the video may have been rendered, or have a link, and nothing tells."""
    match made:
        case Rendered():
            return made.how == "found" and not made.outdated
        case Shared():
            return made.how == "found"
        case None:
            return False


def has_no_link(shared: Shared | None) -> bool:
    """Whether the user declared that none of the account's links is that of the video."""
    if shared is None or shared.how == "found":
        return False
    return shared.how == "declared" or shared.share_url is None


def _render_reason(wanted: str | None, rendered: Rendered | None, *, works: bool) -> str | None:
    """Why a render is due, if it is."""
    if wanted is None:
        return None
    if rendered is None:
        return "its messages are done" if works else "it was not rendered yet"
    if works or rendered.outdated:
        return "a message is newer than its render"
    if rendered.quality not in (None, wanted):
        return f"it was rendered in {rendered.quality}"
    return None


def _share_reason(shared: Shared | None, *, works: bool, renders: bool) -> str | None:
    """Why a permanent link is due, if it is."""
    if shared is None:
        return "it has no permanent link yet"
    return "its permanent link shows an earlier video" if works or renders or shared.outdated else None


def _is_released(live: LiveProject | None, result: ProjectPlan) -> bool:
    """Whether the studio has it, and this plan does not take it back."""
    if live is None or live.settings.get("mode") != contract.MODE_RELEASED:
        return False
    return not any(isinstance(s, Adopt) or (isinstance(s, Update) and "mode" in s.body) for s in result.steps)


def _no_call(project: DesiredProject, what: str, key: str) -> Diagnostic:
    return attention(
        project,
        f"the API in version {contract.current().version} does not offer {what}",
        f"Nothing is rendered or shared for `{project.address}`. Remove {key} from its spec.",
    )


def unknown_render(address: str, location: Location | None = None) -> Diagnostic:
    """The finding that nothing tells whether a video was rendered."""
    named = quote(address)
    return _undecided(
        address,
        location,
        f"it is unknown whether the video of `{address}` was rendered as its spec says",
        "The project was there before this state, or it was rendered without it, and the account does not show what "
        "was rendered. A render may cost credits and is not repeated on a guess.\n"
        f"If its video is as you want it, run `reconciler state resolve {named} --sent`; to render it, "
        f"`reconciler state resolve {named} --not-sent`. After the next message it is rendered anyway.",
    )


def unknown_link(address: str, shared: Shared, location: Location | None = None) -> Diagnostic:
    """The finding that nothing tells whether one of the account's links is that of an address's video."""
    count, named = len(shared.may_be), quote(address)
    one_more = f"`reconciler state resolve {named} --not-sent` only makes one more link, which is free"
    if count == 1:
        way = f"If it is, run `reconciler state resolve {named} --sent`; if not, {one_more}."
    else:
        way = f"No call tells which project a link is of, so none of them can be bound.\n{one_more}."
    return _undecided(
        address,
        location,
        f"it is unknown whether the video of `{address}` has its share link already",
        f"{may_be_it(shared)}. {way}",
    )


def _undecided(address: str, location: Location | None, summary: str, detail: str) -> Diagnostic:
    return Diagnostic(
        severity="warning",
        address=address,
        location=location,
        attention=True,
        kind="undecided",
        summary=summary,
        detail=detail,
    )


def may_be_it(shared: Shared) -> str:
    """Which links may be that of the video, without a full stop."""
    urls = [link.share_url or "" for link in shared.may_be]
    more = f" and {len(urls) - _NAMED} more" if len(urls) > _NAMED else ""
    count = f"{len(urls)} or more" if len(urls) == MOST_LINKS else len(urls)
    which = "a link" if len(urls) == 1 else f"{count} links"
    return f"The account has {which} that may be it: {', '.join(urls[:_NAMED])}{more}"
