"""``POST /uploads``, the file itself, ``POST /uploads/confirm``: files that a step refers to, each content uploaded once.

An upload costs no credits and makes nothing but an id that nothing refers to yet, so it is harmless to repeat. It has no
intent and no recovery: only the confirmed id is recorded. A run that is killed before that uploads the file again, and
what the first upload left is never referred to.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Final

from reconciler.adapters.specs.language.local_files import LocalMedia, local_media
from reconciler.adapters.specs.workspace_files import FileProblem, opened
from reconciler.model.errors import ApiError, Diagnostic, Fate, ReconcilerError, RefusedError, UploadError
from reconciler.model.events import Noted, Uploading
from reconciler.model.journal import End, Uploaded
from reconciler.model.plan import Step, sent_body
from reconciler.model.references import files_in
from reconciler.model.state import Upload
from reconciler.model.values import Json
from reconciler.operations.apply.run import Deferred, Interrupted, Run

ATTEMPTS: Final = 3
"""How often an upload that breaks off is begun."""
_NO_SUCH_CALL: Final = (404, 405)
_REFUSED: Final = (400, 404, 410, 422)


async def upload_files(run: Run, step: Step) -> None:
    """Upload the files that a step refers to and that the account does not have.

    Raises:
        Interrupted: the user asked to stop.
        Deferred: the time is up.
        ReconcilerError: a file is not as it was planned with, or can't be uploaded.

    """
    for digest, name in files_in(sent_body(step)).items():
        async with run.uploading.setdefault(digest, asyncio.Lock()):
            if digest not in run.draft.uploads:
                media = await asyncio.to_thread(_read_planned, run, digest, name)
                upload = Upload(id=await _upload(run, step, name, media), file=name, at=run.now())
                await run.record(End(effects=(Uploaded(digest=digest, upload=upload),)))


def _read_planned(run: Run, digest: str, name: str) -> LocalMedia:
    """The file as it is now. Raises UploadError where that is not what the step was planned with."""
    try:
        media = local_media(run.root, name)
    except FileProblem as problem:
        raise UploadError(problem.summary, problem.detail) from problem
    if media.digest != digest:
        raise UploadError(f"stale: `{name}` has changed since the plan was made", "Make a new plan.")
    return media


async def _upload(run: Run, step: Step, name: str, media: LocalMedia) -> str:
    for left in reversed(range(ATTEMPTS)):
        if run.stop.is_set():
            raise Interrupted
        if run.is_halted():
            raise Deferred
        try:
            return await _upload_once(run, step, name, media)
        except (ApiError, UploadError) as error:
            again = error.again if isinstance(error, UploadError) else error.fate is Fate.UNKNOWN
            if not (left and again):
                raise
    raise AssertionError


async def _upload_once(run: Run, step: Step, name: str, media: LocalMedia) -> str:
    """Make the three calls of an upload. Returns its id."""
    about: dict[str, Json] = {
        "file_name": PurePosixPath(name).name,
        "content_type": media.content_type,
        "file_size": media.size,
    }
    shown = -1

    def show(done: int, _: int | None) -> None:
        nonlocal shown
        if (tenth := done * 10 // media.size) > shown:
            shown = tenth
            run.emit(Uploading(address=step.address, file=name, done=done, total=media.size))

    async with run.slots:
        show(0, None)
        try:
            url, key = await run.api.begin_upload(about)
        except RefusedError as error:
            if error.status in _NO_SUCH_CALL:
                detail = "Put the file on the web and refer to it by `url`, or upload it in the studio and use its `upload_id`."
                raise UploadError("this API takes no uploads", detail) from error
            raise
        try:
            with opened(media.path, name) as file:
                async with run.media() as client:
                    await client.put(
                        url,
                        file,
                        size=media.size,
                        content_type=media.content_type,
                        digest=media.digest,
                        tell=show,
                    )
        except FileProblem as problem:
            raise UploadError(problem.summary, problem.detail) from problem
        return await run.api.confirm_upload(key, about)


async def forget_refused_uploads(run: Run, step: Step, error: ReconcilerError) -> None:
    """Forget the uploads of a step that the API refused because of them: they are gone there, and must be made again."""
    known = files_in(sent_body(step)).keys() & run.draft.uploads.keys()
    if not (known and isinstance(error, RefusedError) and error.status in _REFUSED):
        return
    if "upload" not in error.explanation.lower():
        return
    await run.record(End(effects=tuple(Uploaded(digest=digest, upload=None) for digest in sorted(known))))
    run.emit(
        Noted(
            diagnostic=Diagnostic(
                severity="warning",
                address=step.address,
                summary="the API refused the id of an earlier upload",
                detail="The id was dropped: the next apply uploads the file again.",
            )
        )
    )
