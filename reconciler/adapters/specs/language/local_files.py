"""Files of the workspace that references name: of a kind that can be uploaded, not too large, and known by content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.adapters.specs.workspace_files import FileProblem, inside, opened
from reconciler.model import contract

_BEGINNINGS: Final = {
    "image/jpeg": rb"\xff\xd8\xff",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/webp": rb"RIFF....WEBP",
    "video/mp4": rb"....ftyp",
    "video/webm": rb"\x1a\x45\xdf\xa3",
    "video/quicktime": rb"....(ftyp|moov|mdat|wide|free|skip|pnot)",
    "audio/mpeg": rb"ID3|\xff[\xe0-\xff]",
    "audio/wav": rb"RIFF....WAVE",
    "audio/mp4": rb"....ftyp",
}
"""How files of each content type begin."""
_HEAD: Final = 16


class LocalMedia(Struct, frozen=True):
    """A file that can be uploaded. ``size`` is in bytes, ``digest`` the SHA-256 of its content."""

    path: Path
    content_type: str
    size: int
    digest: str


def local_media(root: Path, name: str) -> LocalMedia:
    """The file of a name in the workspace, read from beginning to end.

    Raises:
        FileProblem: it is not inside the workspace, can't be read, or is none that can be uploaded.

    """
    shown = printable(name)
    real = inside(root, name)
    found = contract.current().uploads.get(PurePosixPath(name).suffix.lower())
    if found is None:
        detail = f"its name must end in one of {', '.join(contract.current().uploads)}"
        raise FileProblem(Code.FILE, f"{shown} is not a kind of file that can be uploaded", detail)
    kind, content_type = found
    limit = contract.current().limits.upload_bytes[kind]
    with opened(real, name) as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise FileProblem(Code.FILE, f"{shown} is empty")
        if size > limit:
            summary = f"{shown} has {size:,} bytes, at most {limit:,} are allowed for {kind}"
            raise FileProblem(Code.FILE, summary, "make it smaller, or put it on the web and refer to it by url")
        if not re.match(_BEGINNINGS[content_type], file.read(_HEAD), re.DOTALL):
            detail = "its name says that it is; a Git LFS pointer, or a file of another kind, is not"
            raise FileProblem(Code.FILE, f"{shown} is not {content_type}", detail)
        file.seek(0)
        return LocalMedia(real, content_type, size, hashlib.file_digest(file, "sha256").hexdigest())
