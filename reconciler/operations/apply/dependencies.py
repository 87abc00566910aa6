"""Projects and files that a step refers to: waiting for them, and resolving references before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from reconciler.model.contract import Status, current
from reconciler.model.errors import ReconcilerError
from reconciler.model.live import LiveProject
from reconciler.model.plan import Step, sent_body
from reconciler.model.references import files_in, projects_in, resolved
from reconciler.model.times import instant
from reconciler.model.values import Value, WireBody
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import Deferred, Run
from reconciler.planning.ordering import waiting_for

VALID_FOR: Final = timedelta(minutes=10)
"""How long a video's URL must still be valid when it is sent: the agent needs time to fetch it."""
READS: Final = 3
"""How often an idle project without a video is read again: it may be idle for a moment before it renders."""


async def await_others(run: Run, monitor: Monitor, step: Step, *, reported: bool) -> None:
    """Wait for the agents of the projects that a step depends on; not for the others once one is known to be over.
    ``reported``: the wait was reported already.

    Raises:
        Deferred: this run does not wait, or a video is not there though its agent has stopped.
        Interrupted: the user asked to stop.
        ReconcilerError: one of them failed or is cancelled, or can't be read.

    """
    videos = projects_in(sent_body(step))
    ids = {address: _project_id(run, address) for address in step.after}

    def ready(settled: Callable[[LiveProject], bool], live: LiveProject) -> bool:
        for address, project_id in ids.items():
            _check_alive(address, monitor.projects[project_id])
        return settled(live)

    for project_id in ids.values():
        if project_id not in monitor.projects:
            await monitor.look(project_id)
    for address, project_id in ids.items():
        video = address in videos
        settled = _video_is_settled() if video else finished
        await monitor.until(
            project_id, partial(ready, settled), waiting_for(address, video=video), step, reported=reported
        )


async def wire_body(run: Run, monitor: Monitor, body: Mapping[str, Value], address: str) -> WireBody:
    """Make the body as the API takes it: plain secrets, ids of uploads, the URLs of videos as they are at this moment.

    Raises:
        Deferred: a video is not there (yet).
        ReconcilerError: there will be no video, or the environment lacks what a secret needs.

    """
    body = run.fill(body, address)
    uploads = {digest: _upload_id(run, digest, name) for digest, name in files_in(body).items()}
    urls = {name: await _video(run, monitor, name) for name in dict.fromkeys(projects_in(body))}
    return run.reveal(resolved(body, urls, uploads), address)


def _upload_id(run: Run, digest: str, name: str) -> str:
    upload = run.draft.uploads.get(digest)
    if upload is None:
        raise ReconcilerError(f"`{name}` is not uploaded", "The next apply uploads it.")
    return upload.id


async def _video(run: Run, monitor: Monitor, address: str) -> str:
    """Read the URL of a project's video now: it expires, so one that was read before may not work."""
    live = await monitor.look(_project_id(run, address))
    _check_alive(address, live)
    lasting = run.draft.projects[address].video_url
    if lasting is not None and live.status == Status.IDLE:
        return lasting
    if live.status == Status.IDLE and live.output_type == "assets":
        wish = "Set its `expected_output` to `assembled` and tell" if current().has("expected_output") else "Tell"
        raise ReconcilerError(
            f"`{address}` has no rendered video: it made assets",
            f"{wish} its agent to render, or remove the reference.",
        )
    if live.status != Status.IDLE or live.assembled_url is None:
        raise Deferred(waiting_for(address, video=True))
    expires, now = instant(live.assembled_url_expires_at), instant(run.now())
    if expires is not None and now is not None and expires - now < VALID_FOR:
        raise ReconcilerError(
            f"the URL of the video of `{address}` expires at {live.assembled_url_expires_at}",
            f"Nothing was sent. Render it again in the studio, or declare `deliver: {{share: {{}}}}` for `{address}`, "
            "whose permanent link is used then; and apply again.",
        )
    return live.assembled_url


def _project_id(run: Run, address: str) -> str:
    entry = run.draft.projects.get(address)
    if entry is None:
        raise ReconcilerError(
            f"`{address}`, which this waits for, is not managed", f"Make a new plan that includes `{address}`."
        )
    return entry.project_id


def _check_alive(address: str, live: LiveProject) -> None:
    if live.status in {Status.FAILED, Status.CANCELLED}:
        why = f": {live.error_message}" if live.error_message else ""
        raise ReconcilerError(
            f"`{address}`, which this waits for, is {live.status}{why}",
            f"Nothing was sent. Fix `{address}` first: `reconciler plan` shows how.",
        )


def _video_is_settled() -> Callable[[LiveProject], bool]:
    """A check whether there is a video, or waiting for one is of no use any longer."""
    left = READS
    last: LiveProject | None = None

    def ready(live: LiveProject) -> bool:
        nonlocal left, last
        if not finished(live):
            return False
        left -= live is not last  # each read makes another value
        last = live
        return live.status != Status.IDLE or live.assembled_url is not None or left < 0

    return ready
