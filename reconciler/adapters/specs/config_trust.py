"""Limits on what ``reconciler.yaml`` may decide: pushing a branch is enough to write it, so it is not trusted.

Flags and the environment are their owner's. The file may name the vendor's own host, this machine, or a host that the
environment names; a place for the state inside the workspace, or a bucket; and no credential for specifications to send.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler.adapters.specs.credentials import is_credential
from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.model import contract
from reconciler.model.config import KEY_ENV, SANDBOX
from reconciler.model.errors import ConfigError
from reconciler.model.hosts import is_loopback

ALLOWED_HOSTS: Final = "RECONCILER_ALLOWED_HOSTS"
"""The variable with the hosts that ``api.url`` in the file may name: ``host`` (any port) or ``host:port``, by commas."""

_URL: Final = r"(?i)(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(?:/[^\\]*)?"
"""URLs in whose authority every reader sees the same host."""
_ENTRY: Final = r"(?i)(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?"
_PORTS: Final = {"https": 443, "http": 80}
_BUCKETS: Final = ("s3://", "gs://", "az://")


def untrusted_destination(url: str, env: Mapping[str, str]) -> Problem | None:
    """Why the key may not go where the file's ``api.url`` says; ``env`` may name more hosts.

    Raises:
        ConfigError: ``env`` names something else than hosts.

    """
    if url == SANDBOX:
        return None
    at = ("api", "url")
    if (parts := _parts(url)) is None:
        summary = "api.url: the host must be plain ASCII letters, digits, dots and hyphens"
        return Problem(Code.DESTINATION, at, summary, "write an international name in its ASCII form, xn--…")
    scheme, host, port = parts
    if is_loopback(host):
        return None
    if scheme == "http":
        summary = f"api.url: plain http to {quoted(host)} would send the API key in the clear"
        return Problem(Code.DESTINATION, at, summary, "use https; plain http is for loopback addresses only")
    named = _allowed(env.get(ALLOWED_HOSTS, ""))
    if parts != _parts(contract.DEFAULT_URL) and (host, None) not in named and (host, port) not in named:
        entry = f"[{host}]" if ":" in host else host
        entry += "" if port == _PORTS[scheme] else f":{port}"
        summary = f"api.url: the API key is not sent to {quoted(entry)}, a host that only this file names"
        detail = f"if you trust it, set {ALLOWED_HOSTS}={entry} in the environment, or give the URL with --api-url or "
        return Problem(Code.DESTINATION, at, summary, detail + "EVERSINCE_API_URL")
    return None


def _parts(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port."""
    if (match := re.fullmatch(_URL, url)) is None:
        return None
    scheme = match[1].lower()
    return scheme, _host(match[2]), int(match[3] or _PORTS[scheme])


def _host(text: str) -> str:
    """A host as it is compared."""
    bare = text.strip("[]").lower()
    try:
        return ipaddress.ip_address(bare).compressed
    except ValueError:
        return bare


def _allowed(text: str) -> set[tuple[str, int | None]]:
    """Hosts with the port that is meant, or any port."""
    found: set[tuple[str, int | None]] = set()
    for entry in filter(None, map(str.strip, text.split(","))):
        try:
            found.add((ipaddress.IPv6Address(entry).compressed, None))
        except ValueError:
            if (match := re.fullmatch(_ENTRY, entry)) is None:
                detail = (
                    "give hosts like api.example.com or api.example.com:8443, separated by commas, without wildcards"
                )
                raise ConfigError(
                    (error(Code.URL, f"{ALLOWED_HOSTS}: {quoted(entry)} is not a host", detail),)
                ) from None
            found.add((_host(match[1]), int(match[2]) if match[2] else None))
    return found


def outside_state(root: Path, place: str) -> Problem | None:
    """Why the file's ``state`` may not be there: it is not a bucket and leaves the workspace, by its name or a link."""
    if place.startswith(_BUCKETS):
        return None
    where, detail = PurePosixPath(place), "name a place outside with --state or RECONCILER_STATE"
    if (
        place.lower().startswith("file:")
        or place.startswith("~")
        or where.is_absolute()
        or "\\" in place
        or ".." in where.parts
    ):
        return Problem(Code.OUTSIDE, ("state",), f"state: {quoted(place)} is not a path inside the workspace", detail)
    if ".git" in map(str.lower, where.parts):
        return Problem(Code.OUTSIDE, ("state",), f"state: {quoted(place)} is git's own", detail)
    here = root
    for part in where.parts:
        here /= part
        if os.path.islink(here):  # noqa: PTH114  takes any name
            summary = f"state: {quoted(place)} leads through a link"
            return Problem(Code.OUTSIDE, ("state",), summary, detail)
    return None


def unallowable(names: Sequence[str], key_env: str) -> Iterator[Problem]:
    """The names of ``policy.allowed_env`` that can't be allowed. ``key_env`` is the variable with the API's key."""
    for index, name in enumerate(names):
        at = ("policy", "allowed_env", index)
        if name.upper() in (key_env.upper(), KEY_ENV):
            what = f"{name} is the API's key"
        elif is_credential(name):
            what = f"{name} is reserved for a credential"
        else:
            continue
        detail = "anyone who writes a specification could send it anywhere; give the value under a name of its own"
        yield Problem(Code.ENV_NOT_ALLOWED, at, f"{what}: it can't be allowed", detail)
