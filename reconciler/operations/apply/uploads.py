"""Files of the workspace that a step refers to: uploaded before it is begun, once for what is in them.

An upload costs no credits and makes nothing but an id that nothing refers to yet, so it is harmless to repeat: no intent
is written before it, only the id once it is confirmed. A run that is killed in between uploads the file again, and what
the first one left is never referred to.
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
from reconciler.operations.apply.run import Deferred, Interrupted, Run

TRIES: Final = 3
"""How often an upload that broke off is begun again."""
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
                media = await asyncio.to_thread(_looked_at, run, digest, name)
                upload = Upload(id=await _uploaded(run, step, name, media), file=name, at=run.now())
                await run.record(End(effects=(Uploaded(digest=digest, upload=upload),)))


def _looked_at(run: Run, digest: str, name: str) -> LocalMedia:
    """The file as it is now, which must be what the step was planned with."""
    try:
        media = local_media(run.root, name)
    except FileProblem as problem:
        raise UploadError(problem.summary, problem.detail) from problem
    if media.digest != digest:
        raise UploadError(f"stale: `{name}` is not the file that was planned with", "Plan again with it as it is now.")
    return media


async def _uploaded(run: Run, step: Step, name: str, media: LocalMedia) -> str:
    for left in reversed(range(TRIES)):
        if run.stop.is_set():
            raise Interrupted
        if run.halted():
            raise Deferred
        try:
            return await _once(run, step, name, media)
        except (ApiError, UploadError) as error:
            again = error.again if isinstance(error, UploadError) else error.fate is Fate.UNKNOWN
            if not (left and again):
                raise
    raise AssertionError


async def _once(run: Run, step: Step, name: str, media: LocalMedia) -> str:
    """The three calls of an upload; the answer is its id."""
    about = {"file_name": PurePosixPath(name).name, "content_type": media.content_type, "file_size": media.size}
    told = -1

    def tell(done: int, _: int | None) -> None:
        nonlocal told
        if (tenth := done * 10 // media.size) > told:
            told = tenth
            run.emit(Uploading(address=step.address, file=name, done=done, total=media.size))

    async with run.slots:
        tell(0, None)
        try:
            url, key = await run.api.begin_upload(about)
        except RefusedError as error:
            if error.status in _NO_SUCH_CALL:
                detail = "Put the file on the web and refer to it by `url`, or upload it in the studio and give its `upload_id`."
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
                        tell=tell,
                    )
        except FileProblem as problem:
            raise UploadError(problem.summary, problem.detail) from problem
        return await run.api.confirm_upload(key, about)


async def doubted(run: Run, step: Step, error: ReconcilerError) -> None:
    """Forget the uploads of a step that the API refused for their sake: they are gone there, and have to be made anew."""
    known = files_in(sent_body(step)).keys() & run.draft.uploads.keys()
    if not (known and isinstance(error, RefusedError) and error.status in _REFUSED):
        return
    if "upload" not in error.diagnostics[0].detail.partition("\n")[2].lower():
        return  # what the API says, behind the line that names the call
    await run.record(End(effects=tuple(Uploaded(digest=digest, upload=None) for digest in sorted(known))))
    run.emit(
        Noted(
            diagnostic=Diagnostic(
                severity="warning",
                address=step.address,
                summary="the API refused an upload that it had given an id for",
                detail="The id is forgotten: the next apply uploads the file again.",
            )
        )
    )
