"""The routes outside the API: outputs to look at, and for users of other languages the controls of the sandbox."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox import deliveries, sample_media, uploads, views
from reconciler.sandbox.access import CONTROL
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.store import Store


def pages(store: Store) -> list[Route]:
    """What stands beside the API: addresses that it gives out and nobody can guess, so none of them asks for a key."""

    async def video(request: Request) -> Response:
        return _video(store, request)

    async def project_page(request: Request) -> Response:
        with store.account() as account:
            row = account.one("SELECT * FROM projects WHERE id = ?", request.path_params["id"])
        if row is None:
            raise HTTPException(404)
        return JSONResponse(
            _veiled(store, views.truth(row, store.contract)) | {"conversation": store.conversation(row["id"])}
        )

    async def shared_page(request: Request) -> Response:
        with store.account() as account:
            row = account.one("SELECT * FROM shares WHERE id = ?", request.path_params["id"])
        if row is None:
            raise HTTPException(404)
        return JSONResponse({name: row[name] for name in ("id", "title", "description")})

    async def upload(request: Request) -> Response:
        return await _upload(store, request)

    return [
        Route("/media/{id}.mp4", video),
        Route(deliveries.PAGES + "/{id}", shared_page),
        Route(uploads.PATH + "/{key:path}", upload, methods=["PUT"]),
        Route("/app/projects/{id}", project_page),
    ]


def routes(store: Store) -> list[Route]:
    """The controls. None of them asks for a key: their server puts a ``Guard`` in front."""

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            store.clear_faults()
        elif request.method == "POST":
            _attempt(lambda body: store.add_fault(Fault(**body)), await request.body())
            return JSONResponse({}, 201)
        return JSONResponse({"faults": [asdict(fault) for fault in store.faults()]})

    async def options(request: Request) -> Response:
        if request.method == "PATCH":
            _attempt(lambda body: store.change({**body}), await request.body())
        balance = store.credits()  # looks again at what other processes chose
        return JSONResponse({"options": asdict(store.options) | {"credits": balance}})

    return [
        _shows("ledger", lambda: [asdict(effect) for effect in store.ledger()]),
        _shows("requests", lambda: [asdict(request) for request in store.requests()]),
        _shows("projects", lambda: [_veiled(store, project) for project in store.projects()]),
        Route(f"{CONTROL}/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{CONTROL}/options", options, methods=["GET", "PATCH"]),
        _does("finish", store.finish_all),
        _does("forget-keys", store.forget_keys),
        _does("forget-cursors", store.forget_cursors),
    ]


def _attempt(act: Callable[[Any], None], body: bytes) -> None:
    try:
        act(json.loads(body))
    except (TypeError, ValueError, RecursionError) as error:
        raise HTTPException(400, str(error)) from None


def _does(name: str, act: Callable[[], None]) -> Route:
    async def do(_: Request) -> Response:
        act()
        return JSONResponse({})

    return Route(f"{CONTROL}/{name}", do, methods=["POST"])


def _veiled(store: Store, project: dict[str, Any]) -> dict[str, Any]:
    """A project without what most likely has a token in it."""
    fields = store.contract.fields
    hidden = {field.name for field in fields if field.kind in ("https_url", "references")}
    return project | store.digests.of_fields({name: value for name, value in project.items() if name in hidden})


async def _upload(store: Store, request: Request) -> Response:
    key = request.path_params["key"]
    with store.account() as account:
        refused = uploads.refusal(account, key, request.query_params, request.headers)
    size, digest = await uploads.received(request.stream())  # to its end: the sender is to get an answer
    if refused is not None:
        raise HTTPException(*refused)
    with store.account() as account:
        row = account.one("SELECT * FROM uploads WHERE key = ?", key)
        if row is None or size != row["file_size"]:
            raise HTTPException(400, "not as long as it said")
        account.run("UPDATE uploads SET digest = ? WHERE key = ?", digest, key)
    return Response(b"")


def _shows(name: str, read: Callable[[], list[dict[str, Any]]]) -> Route:
    async def show(_: Request) -> Response:
        return Response(json.dumps({name: read()}), media_type="application/json")

    return Route(f"{CONTROL}/{name}", show)


def _video(store: Store, request: Request) -> Response:
    media_id, expires = request.path_params["id"], request.query_params.get("expires", "")
    with store.account() as account:
        proof = sample_media.sign(account.meta("secret"), media_id, expires)
        project = account.one("SELECT title FROM projects WHERE id = ?", views.project_of(media_id))
        now = account.now
    if not hmac.compare_digest(proof.encode(), request.query_params.get("signature", "").encode()):
        raise HTTPException(403, "Not an address that the API gave out")
    if now >= int(expires):
        raise HTTPException(410, "The address has expired")
    title = project["title"] if project is not None else None
    return Response(sample_media.video(media_id, title or "Untitled"), media_type=sample_media.CONTENT_TYPE)
