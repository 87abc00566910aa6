"""The API over HTTP: one method for each call of the contract.

Each call returns values of the model or raises an ``ApiError`` of :mod:`reconciler.model.errors`, whose ``fate`` says what
the call may have done. How a call is sent, and when it is sent again, is in :mod:`reconciler.adapters.api.sending`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

from msgspec.structs import replace

from reconciler.adapters.api import answers
from reconciler.adapters.api.body import LIST_MAX, MESSAGES_MAX
from reconciler.adapters.api.failures import Call
from reconciler.adapters.api.other_version import (
    refusing,
    telling_names,
    told_by_list,
    told_by_refusal,
    told_by_settings,
)
from reconciler.adapters.api.sending import Sender
from reconciler.model import contract
from reconciler.model.errors import AnswerError, ApiError, HaltedError, RefusedError, VersionError
from reconciler.model.live import Created, Link, LiveProject, MessagePage, Model, ProjectPage, StudioProject
from reconciler.model.values import Json, WireBody

T = TypeVar("T")
NO_SUCH_CALL: Final = (404, 405)
"""How an API refuses a call that it does not have."""
CREDITS: Final = "/account/credits"
MODELS: Final = "/models"
SKILLS: Final = "/account/skills"
_EXISTING: Final = partial(answers.made, existing=True)


class ApiClient(Sender):
    """A connection to one account, to be used with ``async with``. Its arguments are those of :class:`Sender`.

    Once an answer shows that the server speaks another version of the API, that is kept as ``other_version``, and no call
    with a body is sent any more: each raises it.
    """

    other_version: VersionError | None = None
    listed: frozenset[str] | None = None
    """What the rows of its lists had of the settings that not every version shows there; ``None``: there was no row."""
    not_spoken: frozenset[str] = frozenset()
    """The versions that it does not speak: it took what they refuse."""
    lacking: frozenset[str] = frozenset()
    """The paths of calls beyond the contract that the API said it does not have."""

    def check_version(self) -> None:
        """Raise VersionError if the server is known to speak another version."""
        if self.other_version is not None:
            raise self.other_version

    def doubts(self, body: WireBody) -> frozenset[str]:
        """The versions that would refuse this create, and that the server may speak for all that is known."""
        return refusing("create", body.expose()) - self.not_spoken

    def check_create(self, body: WireBody) -> None:
        """Raise VersionError if what the list showed speaks for a version that would refuse this create."""
        told = set() if self.listed is None else told_by_list(self.listed) & self.doubts(body)
        if told:
            shows = f"shows `{'`, `'.join(sorted(self.listed))}`" if self.listed else "lacks settings of this version"
            why = f"Its list of projects {shows}, and it would refuse the new project. Nothing was canceled."
            raise _another(Call("POST", "/projects"), sorted(told, reverse=True), why)

    async def create(self, body: WireBody) -> Created:
        """``POST /projects``: 202 for a new project, 200 for the one with this idempotency key (unless it failed)."""
        call = Call("POST", "/projects", doubled=True)
        good = {202: partial(answers.made, existing=False), 200: _EXISTING}
        return await self._send_body("create", call, good, body)

    async def adopt(self, body: WireBody) -> Created:
        """``POST /projects/adopt``: 201 newly adopted, 200 adopted before; ``NotFoundError``: no such studio project."""
        call = Call("POST", "/projects/adopt", on_project=True)
        good = {201: partial(answers.made, existing=False), 200: _EXISTING}
        return await self._send_body("adopt", call, good, body)

    async def list_projects(
        self,
        *,
        offset: int = 0,
        limit: int | None = None,
        status: str | None = None,
        title: str | None = None,
    ) -> ProjectPage:
        """``GET /projects``: one page, in the server's order, which the contract leaves open."""
        limit = limit or contract.current().limits.list_page
        query = {"limit": limit, "offset": offset, "status": status, "title": title}

        def read(answer: answers.Bytes) -> ProjectPage:
            page = answers.listed(answer, limit=limit, offset=offset)
            if page.projects:
                self.listed = (self.listed or frozenset()) | telling_names(answer)
            return page

        return await self.send(Call("GET", "/projects", most=LIST_MAX), {200: read}, query=query)

    async def project(self, project_id: str) -> LiveProject:
        """``GET /projects/:id``; ``NotFoundError`` is the only proof that a project is absent."""
        call = self._on(project_id, "GET")
        return await self.send(call, {200: answers.project})

    async def patch_settings(self, project_id: str, body: WireBody) -> dict[str, Json]:
        """``PATCH /projects/:id/settings``: the settings in the answer, perhaps ``aspect_ratio`` too."""
        call = self._on(project_id, "PATCH", "/settings")

        def read(answer: answers.Bytes) -> dict[str, Json]:
            told = told_by_settings(answer)
            if told:
                self.other_version = _another(
                    call, told, "The answer shows its settings. The change was made. Nothing else is sent."
                )
            return answers.settings(answer)

        return await self._send_body("settings", call, {200: read}, body)

    async def cancel(self, project_id: str) -> str:
        """``POST /projects/:id/cancel``: the status afterwards. Twice is a ``WrongStatusError``."""
        call = self._on(project_id, "POST", "/cancel")
        return await self.send(call, {200: answers.status})

    async def send_message(self, project_id: str, body: WireBody) -> str:
        """``POST /projects/:id/messages``: the status afterwards. Not idempotent, and there is no key."""
        call = replace(self._on(project_id, "POST", "/messages"), doubled=True)
        return await self._send_body("message", call, {202: answers.status}, body)

    async def _send_body(
        self, kind: contract.Call, call: Call, good: Mapping[int, Callable[[answers.Bytes], T]], body: WireBody
    ) -> T:
        """Send a call whose body has fields of the contract. Raises VersionError, besides what :meth:`send` raises."""
        self.check_version()
        try:
            taken = await self.send(call, good, body=body)
        except RefusedError as error:
            told = told_by_refusal(kind, body.expose(), error.explanation) if error.status in (400, 422) else ()
            if not told:
                raise
            why = f"It refused a field: {error.explanation}\nThis call changed nothing. Nothing else is sent."
            self.other_version = _another(call, told, why, error)
            raise self.other_version from error
        if not (isinstance(taken, Created) and taken.existing):  # its key answers, whatever else the body says
            self.not_spoken |= refusing(kind, body.expose())
        return taken

    async def messages(
        self,
        project_id: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> MessagePage:
        """``GET /projects/:id/messages``: one page; ids of messages as cursors."""
        limit = limit or contract.current().limits.messages_page
        call = replace(self._on(project_id, "GET", "/messages"), most=MESSAGES_MAX)
        query = {"limit": limit, "after": after, "before": before}
        return await self.send(call, {200: answers.messages}, query=query)

    async def render(self, project_id: str, body: WireBody) -> tuple[str | None, str]:
        """``POST /projects/:id/render``: the render's id, if it has one, and the status afterwards. Not idempotent.

        Beyond the contract: an API that has no such call answers 404 or 405.
        """
        call = replace(self._on(project_id, "POST", "/render"), doubled=True)
        return await self.send(call, {202: answers.rendering, 200: answers.rendering}, body=body)

    async def share(self, project_id: str, body: WireBody) -> Link:
        """``POST /projects/:id/share``: a new permanent link. Not idempotent; beyond the contract as :meth:`render`."""
        call = replace(self._on(project_id, "POST", "/share"), doubled=True)
        return await self.send(call, {201: answers.shared, 200: answers.shared}, body=body)

    async def shares(self) -> tuple[Link, ...] | None:
        """``GET /account/shares``: the account's permanent links; ``None`` if the API has no such call."""
        try:
            return await self.send(Call("GET", "/account/shares"), {200: answers.links})
        except RefusedError as error:
            if error.status in NO_SUCH_CALL:
                return None
            raise

    async def credits(self, *, needed: bool = True) -> int | None:
        """``GET /account/credits``: credits left; ``None`` if the API has no such call, which is beyond the contract.

        Where they are not ``needed``, ``None`` stands for every failure.
        """
        call = Call("GET", CREDITS, optional=not needed)
        try:
            return await self.send(call, {200: answers.balance})
        except HaltedError:
            raise
        except ApiError as error:
            self._note_if_lacking(call, error)
            if not needed or isinstance(error, AnswerError) or error.status in (*NO_SUCH_CALL, 403):
                return None
            raise

    async def models(self, kind: str) -> list[Model] | None:
        """``GET /models``: the models of a type (``video``, ``image``); ``None`` if the API has no such call."""
        call = Call("GET", MODELS, optional=True)
        return await self._if_there_is(call, {200: answers.models}, {"type": kind})

    async def skills(self) -> frozenset[str] | None:
        """``GET /account/skills``: the ids of the account's skills; ``None`` if the API has no such call."""
        return await self._if_there_is(Call("GET", SKILLS, optional=True), {200: answers.skills})

    async def discover(self, *, offset: int) -> tuple[list[StudioProject], int | None] | None:
        """``GET /projects/discover``: a page of the studio projects that can be adopted, and how many there are; ``None`` if
        the API has no such call.
        """
        limit = contract.current().limits.list_page
        call = Call("GET", "/projects/discover", most=LIST_MAX)
        good = {200: partial(answers.discovered, limit=limit)}
        return await self._if_there_is(call, good, {"limit": limit, "offset": offset})

    async def _if_there_is(
        self,
        call: Call,
        good: Mapping[int, Callable[[answers.Bytes], T]],
        query: Mapping[str, str | int | None] | None = None,
    ) -> T | None:
        """The answer to a call that is beyond the contract; ``None`` if the API has no such call."""
        try:
            return await self.send(call, good, query=query)
        except RefusedError as error:
            self._note_if_lacking(call, error)
            if error.status in (*NO_SUCH_CALL, 403):
                return None
            raise

    def _note_if_lacking(self, call: Call, error: ApiError) -> None:
        if error.status in NO_SUCH_CALL:
            self.lacking |= {call.path}

    async def purchase_link(self) -> str | None:
        """``GET /account/credit-packages``: where credits can be bought, as text for people; ``None`` if nothing tells.

        An address is the API's own, or of https on its host. Of any other, which a reader should look at before going
        there, the text has no scheme, so that nothing makes it a link.
        """
        call = Call("GET", "/account/credit-packages", optional=True)
        try:
            found = await self.send(call, {200: answers.purchase_urls})
        except ApiError:
            return None
        return next((self._as_link(url) for url in found), None)

    def _as_link(self, url: str) -> str:
        base, parts = urlsplit(self._url), urlsplit(url)
        ours = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        near = parts.hostname == base.hostname or str(parts.hostname).endswith(f".{base.hostname}")
        text = self._redact(url)
        return text if ours or (parts.scheme == "https" and near) else f"{text.partition('://')[2]} (another host)"

    async def begin_upload(self, body: Mapping[str, Json]) -> tuple[str, str]:
        """``POST /uploads``: an address to PUT a file to, valid for an hour, and the key that confirms it.

        ``body``: ``file_name``, ``content_type`` and ``file_size`` in bytes. Beyond the contract: ``RefusedError`` with
        status 404 or 405 if the API has no such call.
        """
        return await self.send(
            Call("POST", "/uploads"), {200: answers.ticket, 201: answers.ticket}, body=WireBody(body)
        )

    async def confirm_upload(self, key: str, body: Mapping[str, Json]) -> str:
        """``POST /uploads/confirm``: the file's id for references; ``body`` as in :meth:`begin_upload`.

        Harmless to repeat: 200 if it was confirmed before.
        """
        return await self.send(
            Call("POST", "/uploads/confirm"),
            {201: answers.uploaded, 200: answers.uploaded},
            body=WireBody({"r2_key": key, **body}),
        )

    def _on(self, project_id: str, method: str, rest: str = "") -> Call:
        """A call on one project. Its id can't change the rest of the path."""
        path = f"/projects/{quote(project_id, safe='', errors='replace')}{rest}"
        if project_id in ("", ".", ".."):
            raise RefusedError(f"“{project_id}” is not a project id; nothing was sent", method=method, path=path)
        return Call(method, path, by_status=method != "GET", on_project=True)


def _another(call: Call, told: Sequence[str], why: str, refusal: RefusedError | None = None) -> VersionError:
    ours, theirs = contract.current().version, " or ".join(f"`{version}`" for version in told)
    return VersionError(
        f"the API speaks version {' or '.join(told)}, and this workspace {ours}",
        f"{why}\nSet `api.version` to {theirs} in `reconciler.yaml`; "
        f"`reconciler fmt --upgrade-api {told[0]}` does that and rewrites the specs.",
        method=call.method,
        path=call.path,
        status=refusal.status if refusal else None,
        code=refusal.code if refusal else None,
        request_id=refusal.request_id if refusal else None,
    )
