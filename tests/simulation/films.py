"""Videos and pictures: their way between the emulated account and a machine, and what the judge looks for at its end."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.specs.language.local_files import LocalMedia
from reconciler.cli.downloads import deliver_files
from reconciler.operations.read.download import download
from reconciler.operations.workspace import Workspace
from reconciler.sandbox import control, uploads, views, wire
from tests.simulation.clockwork import World
from tests.simulation.disk import SimulatedPath
from tests.simulation.wire import URL, Body, Flight
from tests.simulation.wire import Request as Sent

if TYPE_CHECKING:
    from reconciler.cli.context import CommandContext
    from reconciler.model.events import ApplyResult
    from reconciler.model.state import Entry, State
    from reconciler.operations.read.download import Download
    from tests.simulation.clockwork import Process
    from tests.simulation.life import Life
    from tests.simulation.teams import Team
    from tests.simulation.wire import Server

PIECES: Final = 4
"""In which a video comes."""
CALL: Final = "GET video"


def video(media_id: str, _: str) -> bytes:
    """``sample_media.video``, in no time: only what it is called tells one from another."""
    return hashlib.shake_256(media_id.encode()).digest(2000)


# ── the way ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(life: Life, server: Server, request: httpx.Request) -> wire.Answer:
    """What the storage says. Perhaps it gives validators and parts, as `ranges` in the course says."""
    media_id = request.url.path.rpartition("/")[2].removesuffix(".mp4")
    scope = {"type": "http", "query_string": request.url.query, "headers": [], "path_params": {"id": media_id}}
    try:
        found = bytes(control._video(server.store, Request(scope)).body)
    except HTTPException as error:
        return wire.Answer(error.status_code, error.detail.encode(), {}, "text/plain")
    life.videos[hashlib.sha256(found).hexdigest()] = media_id
    if not life.course.ranges:
        return wire.Answer(200, found, {}, "video/mp4")
    tag = f'"{media_id}"'
    if request.headers.get("if-none-match") == tag:
        return wire.Answer(304, b"", {"etag": tag}, "video/mp4")
    begin = request.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
    if not begin or request.headers.get("if-range") != tag:
        return wire.Answer(200, found, {"etag": tag}, "video/mp4")
    if int(begin) >= len(found):
        return wire.Answer(416, b"", {}, "text/plain")
    headers = {"etag": tag, "content-range": f"bytes {begin}-{len(found) - 1}/{len(found)}"}
    return wire.Answer(206, found[int(begin) :], headers, "video/mp4")


def picture(name: str) -> bytes:
    """The content of a file of a workspace."""
    return b"\x89PNG\r\n\x1a\n" + name.encode() * 20


def local_media(root: Path, name: str) -> LocalMedia:
    """``local_files.local_media``"""
    content = picture(name)
    return LocalMedia(root / name, "image/png", len(content), hashlib.sha256(content).hexdigest())


@contextmanager
def opened(_: Path, name: str) -> Iterator[io.BytesIO]:
    """``workspace_files.opened``"""
    yield io.BytesIO(picture(name))


def take(server: Server, request: httpx.Request, data: bytes) -> wire.Answer:
    """What the storage does with a file."""
    key = request.url.path.removeprefix(f"{uploads.PATH}/")
    with server.store.account() as account:
        refused = uploads.refusal(account, key, dict(request.url.params), request.headers)
        if refused is not None:
            return wire.Answer(refused[0], refused[1].encode(), {}, "text/plain")
        account.run("UPDATE uploads SET digest = ? WHERE key = ?", hashlib.sha256(data).hexdigest(), key)
    return wire.Answer(200, b"", {}, "text/plain")


class Transport(httpx.AsyncBaseTransport):
    """From a process to the storage of an account."""

    def __init__(self, life: Life, server: Server, process: Process) -> None:
        self._life, self._server, self._process = life, server, process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        server, process = self._server, self._process
        process.point()
        put = request.method == "PUT"
        call = "PUT picture" if put else CALL
        fate = server.fate(call, kept=False)
        if fate:
            server.meet(process, *("PUT", "/picture") if put else ("GET", "/video"), fate)
        if fate in ("refused", "connect time-out"):
            raise httpx.ConnectError("All connection attempts failed")
        self._life.fetches += 1
        sent = Sent(request.method, f"{URL}{request.url.path}", headers={}, content=None, extensions=request.extensions)
        flight = Flight(server, process, sent, f"{process.name}-v{self._life.fetches}", fate)
        sent_body = b"".join([part async for part in request.stream]) if put else b""  # type: ignore[union-attr]

        def carry_out() -> wire.Answer:
            return take(server, request, sent_body) if put else answer(self._life, server, request)

        found = await flight.leave(server.chance(call), carry_out)
        process.point()
        headers = [*found.headers.items(), ("content-type", found.content_type)]
        if fate != "cut" and found.status != 304:
            headers.append(("content-length", str(len(found.body))))
        return httpx.Response(found.status, headers=headers, stream=_Pieces(process, found.body, fate))


class _Pieces(Body):
    """A body that takes its time, so that a process can die in the midst of it."""

    def __init__(self, process: Process, data: bytes, fate: str) -> None:
        super().__init__(data, fate)
        self._process = process

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in super().__aiter__():
            size = -(-len(part) // PIECES) or 1
            for begin in range(0, len(part), size):
                await asyncio.sleep(0.05)
                self._process.point()
                yield part[begin : begin + size]


def client(life: Life, server: Server, process: Process) -> MediaClient:
    return MediaClient(local=True, transport=Transport(life, server, process))


async def deliver(
    life: Life, team: Team, workspace: Workspace, api: ApiClient, result: ApplyResult, *, stop: asyncio.Event
) -> tuple[Download, ...] | None:
    """What the command does after an apply."""
    process, server = World.current.process, life.server_of(team)
    context = SimpleNamespace(
        media=lambda *, limit: client(life, server, process),
        state=lambda: workspace.load()[0],
        workspace=workspace,
    )
    return await deliver_files(
        cast("CommandContext", context),
        api,
        result,
        base=SimulatedPath(workspace.config.root),
        fresh=True,
        show=lambda *_: None,
        stop=stop,
    )


async def fetch(life: Life, team: Team, workspace: Workspace, api: ApiClient) -> list[Download]:
    """``output --download``"""
    server, folder = life.server_of(team), SimulatedPath(workspace.config.root) / folder_of(team)
    async with client(life, server, World.current.process) as media:
        entries = workspace.load()[0].projects
        return await download(api, media, entries, folder, now=workspace.now(), tell=lambda *_: None)


# ── the judge ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def folder_of(team: Team) -> str:
    """Where the specs have a team's videos downloaded to, relative to the workspace."""
    return f"videos{team.suffix}"


def place_of(life: Life, team: Team, address: str) -> str:
    return f"{life.root(team)}/{folder_of(team)}/{address}.mp4"


def look(life: Life, when: str) -> None:
    """Each file under its final name is a whole video of a project that the address has, or had."""
    for path, data in [found for disk in life.disks for found in disk.texts()] if life.course.films else ():
        if not path.endswith(".mp4"):
            continue
        made = life.videos.get(hashlib.sha256(data).hexdigest())
        if made is None:
            life.fail(f"{path} is no whole video {when}: {len(data)} bytes")
        elif views.project_of(made) not in _projects(life, path):
            life.fail(f"{path} is the video of {made}, which is another project's, {when}")


def _projects(life: Life, path: str) -> set[str]:
    """The projects that the address of a file has, or had."""
    found = set()
    for team in life.teams:
        for thing in team.things:
            if path not in {place_of(life, team, name) for name in thing.names}:
                continue
            found |= {thing.project_id} if thing.project_id else set()
            keys = {f"{team.identity}/{name}" for name in thing.names}
            for effect in life.ledger():
                if (effect.kind == "create" and (effect.idempotency_key or "").rpartition("/")[0] in keys) or (
                    effect.kind == "adopt" and effect.detail["project_id"] == thing.studio_id
                ):
                    found.add(effect.project_id)
    return found


def heard(life: Life, name: str, downloads: Sequence[Download] | None) -> None:
    """What a command says of downloads. Nobody puts files in their way, or changes them."""
    for each in downloads or ():
        why = each.error.summary if each.error else ""
        life.figures[f"download {each.outcome}"] += 1
        life.world.tell(name, f"{each.address} download: {each.outcome} {life.short(why)}".rstrip())
        if "is in the way" in why:
            life.fail(f"{name} says that {why}")


def uploaded(life: Life) -> None:
    """Each project, and each message, has the picture that its specs name, by an id of its own account."""
    shown = {words: name for team in life.teams for thing in team.things for words, name in thing.shown.items()}
    things = {f"{team.identity}/{n}": thing for team in life.teams for thing in team.things for n in thing.names}
    for server in life.servers:
        with server.store.account() as account:
            known = {row["id"]: row["digest"] for row in account.all("SELECT * FROM uploads WHERE confirmed")}
        for effect in server.ledger():
            if effect.kind == "create":
                named = things[(effect.idempotency_key or "").rpartition("/")[0]].picture
            elif effect.kind == "message":
                named = shown.get(effect.detail["message"])
            else:
                continue
            ids = [each["upload_id"] for each in effect.detail.get("references") or () if "upload_id" in each]
            wanted = [] if named is None else [hashlib.sha256(picture(named)).hexdigest()]
            if [known.get(each) for each in ids] != wanted:
                life.fail(f"a {effect.kind} of {effect.project_id} does not have the picture {named}, but {ids}")
            life.figures["pictures sent"] += len(ids)


def complete(life: Life, team: Team, state: State) -> None:
    """In a calm world the newest video of each project is there, and nothing is left of its download."""
    disk = life.machine(life.runner_of(team))
    for thing in team.wanted():
        entry = state.projects.get(thing.address)
        if entry is None or thing.deliver.download is None or thing.cancelled:
            continue
        place, wanted = place_of(life, team, thing.address), _newest(life, team, entry)
        if wanted is None or entry.project_id in life.typed:
            continue  # what a person typed makes another video, which no render of ours made
        found = disk.names.get(place)
        if found is None or bytes(found.data) != wanted:
            life.fail(f"{place} is {'not the newest video' if found else 'not there'}")
        life.figures["videos on disk"] += 1
        begun = place.removesuffix(".mp4") + ".part"
        if begun in disk.names or f"{begun}.json" in disk.names:
            life.fail(f"{begun} is left")


def _newest(life: Life, team: Team, entry: Entry) -> bytes | None:
    """The video that a project has now, if it has a link, or an address that has not expired."""
    with life.server_of(team).store.account() as account:
        row = account.one("SELECT * FROM projects WHERE id = ?", entry.project_id)
        if row is None or row["output_type"] != "assembled":
            return None
        if entry.video_url is None and views._expires(row, account) <= account.now:
            return None
    return video(views.media_id(row), "")
