"""Errors of object stores as diagnostics that say what to do, and never show credentials."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from reconciler.files import UnsafeFileError
from reconciler.model.errors import StateError

LONGEST: Final = 300


def failure(what: str, where: str, error: Exception) -> StateError:
    """The diagnostic for an exception of obstore. It quotes only the server's message, and no URL's query."""
    if isinstance(error, UnsafeFileError):
        return StateError(f"can't {what} `{where}`: {error.strerror}", "Remove it if you did not put it there.")
    text = str(error)
    quoted = _quoted(text)
    for pattern, summary, remedy in _KNOWN:
        if re.search(pattern, text, re.IGNORECASE):
            return StateError(summary.format(what=what, where=where), f"{remedy}\nThe store says: {quoted}")
    return StateError(f"can't {what} `{where}`", f"The store says: {quoted}\nFix that. {_AGAIN}")


def missing_folder(folder: Path) -> StateError:
    if folder.is_file():
        return unusable(f"file://{folder}", "It is a file; a folder is needed.")
    return StateError(
        f"the state's folder `{folder}` does not exist",
        "It is not created automatically, because a volume may not be mounted: mount it or create the folder.",
    )


def unusable(url: str, remedy: str) -> StateError:
    return StateError(f"`{url}` can't hold the state", remedy)


def no_create_if_absent(url: str) -> StateError:
    return StateError(
        f"the store at `{url}` overwrites objects that must be created only if absent",
        "Two runs could write the same state there. Use a store, or a version of it, that honors HTTP `If-None-Match: *`.",
    )


def _quoted(text: str) -> str:
    """The code and message of an XML answer, or the first line; nothing that could contain a secret."""
    parts = [match[1].strip() for tag in ("Code", "Message") if (match := re.search(f"<{tag}>([^<]*)</{tag}>", text))]
    quoted = ": ".join(parts) or text.partition("\n")[0]
    quoted = re.sub(r"\?[^\s\"'`]+", "?…", quoted)
    return re.sub(r"[\x00-\x1f\x7f]+", " ", quoted)[:LONGEST]


_AGAIN = "Then run the command again: it first clears up what was begun."
_CREDENTIALS = (
    "s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), or the runner's role; with AWS_REGION and, "
    "for other servers, AWS_ENDPOINT_URL. gs: GOOGLE_APPLICATION_CREDENTIALS. az: AZURE_STORAGE_ACCOUNT_NAME with "
    "AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN."
)
_KNOWN: Final = (
    (
        "NoSuchBucket|ContainerNotFound|bucket does not exist|container does not exist",
        "there is no bucket or container for the state at `{where}`",
        "Create it, or fix its name in `state`. (A wrong region may also hide a bucket.)",
    ),
    (
        (
            r"169\.254\.169\.254|metadata\.google|token request|MissingAccount|Account must be specified|"
            "CredentialsNotLoaded|no credential"
        ),
        "there are no credentials for the state's store (`{where}`)",
        f"Set them in the environment. {_CREDENTIALS}",
    ),
    (
        (
            "SignatureDoesNotMatch|InvalidAccessKeyId|InvalidToken|ExpiredToken|AuthenticationFailed|401 Unauthorized|"
            "invalid_grant|Unauthenticated"
        ),
        "the state's store rejects the credentials (`{where}`)",
        f"Wrong, expired, or of another account. Check them in the environment. {_CREDENTIALS}",
    ),
    (
        "AccessDenied|403 Forbidden|AuthorizationPermissionMismatch|PermissionDenied|Permission denied|os error 13",
        "the credentials may not {what} `{where}`",
        "They need to list, read, write and delete objects under the state's prefix (to read and list, for `plan`).",
    ),
    (
        "without LOCATION|PermanentRedirect|AuthorizationHeaderMalformed|301 Moved",
        "the bucket is in another region (`{where}`)",
        "Set AWS_REGION to the bucket's region.",
    ),
    (
        "dns error|failed to lookup",
        "the state's store can't be found (`{where}`)",
        f"Its host name has no address: check the network and AWS_ENDPOINT_URL. {_AGAIN}",
    ),
    (
        "certificate|invalid peer|tls",
        "no trusted connection to the state's store (`{where}`)",
        "Its certificate is not trusted, or it speaks plain HTTP: check AWS_ENDPOINT_URL (`http://` if that is intended).",
    ),
    (
        "error sending request|timed out|TimedOut|connection|HTTP error",
        "the state's store can't be reached (`{where}`)",
        f"Check the network and AWS_ENDPOINT_URL. {_AGAIN}",
    ),
    (
        "No space left|os error 28|quota",
        "the state's store is full (`{where}`)",
        f"Free some space. {_AGAIN}",
    ),
)
