"""Uploads, which the vendor offers beyond the contract: an address to PUT a file to, the file, and its id for references.

Of a file only its size and digest are kept. An id that was never given out passes in references, as the contract does not
say what becomes of it; one that was given out must be confirmed and still be there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from reconciler.model.contract import ErrorCode
from reconciler.model.contract_tables import UploadType
from reconciler.sandbox import request_checks, sample_media
from reconciler.sandbox.account import Account
from reconciler.sandbox.wire import Answer, ApiError, Call, json_answer

PATH: Final = "/storage"
"""Where files are PUT, outside the API."""


def begin(account: Account, call: Call, _: str) -> Answer:
    """``POST /uploads``."""
    request_checks.query(call.query, {})
    body = account.body(call, lambda shapes: shapes.upload)
    limits = account.contract.limits
    limit = limits.upload_bytes[_kind(account, body["content_type"])]
    if body["file_size"] > limit:
        raise ApiError(ErrorCode.VALIDATION, f"file_size: must be at most {limit}", 400)
    key, expires = f"uploads/{secrets.token_hex(8)}", account.now + limits.upload_seconds
    account.run(
        "INSERT INTO uploads (key, id, file_name, content_type, file_size, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        *(key, f"upl_{secrets.token_hex(8)}", account.veil.hide(body["file_name"])),
        *(body["content_type"], body["file_size"], expires),
    )
    proof = sample_media.sign(account.meta("secret"), key, str(int(expires)))
    url = f"{call.origin}{PATH}/{key}?expires={int(expires)}&signature={proof}"
    return json_answer(200, {"upload_url": url, "r2_key": key, "expires_in": limits.upload_seconds})


def confirm(account: Account, call: Call, _: str) -> Answer:
    """``POST /uploads/confirm``."""
    request_checks.query(call.query, {})
    body = account.veil.hide_all(account.body(call, lambda shapes: shapes.confirmation))
    row = account.one("SELECT * FROM uploads WHERE key = ?", body["r2_key"])
    if row is None or row["digest"] is None:
        raise ApiError(ErrorCode.NOT_FOUND, "r2_key: no such file was uploaded", 404)
    problems = [
        f"{name}: is not what the upload was begun with" for name in body.keys() - {"r2_key"} if body[name] != row[name]
    ]
    if problems:
        raise ApiError(ErrorCode.VALIDATION, "; ".join(sorted(problems)), 400)
    shown = {"upload_id": row["id"], "type": _kind(account, row["content_type"])}
    if row["confirmed"]:
        return json_answer(200, shown)
    account.run("UPDATE uploads SET confirmed = 1 WHERE key = ?", row["key"])
    account.record(call, "upload", "", body | {"upload_id": row["id"], "digest": row["digest"]})
    return json_answer(201, shown)


def _kind(account: Account, content_type: str) -> UploadType:
    return next(kind for kind, known in account.contract.uploads.values() if known == content_type)


def require(account: Account, references: list[dict[str, Any]]) -> None:
    """``ApiError`` 400 for a reference to an upload of this account that is not confirmed, or gone."""
    problems = []
    for index, reference in enumerate(references):
        row = account.one("SELECT * FROM uploads WHERE id = ?", reference.get("upload_id"))
        if row is not None and (row["gone"] or not row["confirmed"]):
            problems.append(f"references[{index}].upload_id: no such upload")
    if problems:
        raise ApiError(ErrorCode.VALIDATION, "; ".join(problems), 400)


def refusal(account: Account, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Why a file is not taken at an address, as a storage says it: a status and a reason."""
    row = account.one("SELECT * FROM uploads WHERE key = ?", key)
    expires = query.get("expires", "")
    proof = sample_media.sign(account.meta("secret"), key, expires)
    if row is None or not hmac.compare_digest(proof.encode(), query.get("signature", "").encode()):
        return 403, "not an address that the API gave out"
    if account.now >= int(expires):
        return 403, "the address has expired"
    if "authorization" in headers:
        return 400, "an address that proves itself takes no Authorization"
    if headers.get("content-type") != row["content_type"] or headers.get("content-length") != str(row["file_size"]):
        return 403, "not the content type and length that the upload was begun with"
    return None


async def received(stream: AsyncIterator[bytes]) -> tuple[int, str]:
    """A file read to its end: how many bytes it has, and its SHA-256."""
    size, digest = 0, hashlib.sha256()
    async for part in stream:
        size += len(part)
        digest.update(part)
    return size, digest.hexdigest()
