"""The API's address and key, checked before anything is sent."""

from __future__ import annotations

import httpx

from reconciler.model.errors import ConfigError
from reconciler.model.hosts import is_loopback

_HOW = "Set api.url (or EVERSINCE_API_URL) to something like https://host/api/v1."


def checked(text: str, *, embedded: bool) -> httpx.URL:
    """The address for the client, without a slash at its end.

    ``embedded``: requests stay in this process, where the host ``sandbox`` may use plain http, too.

    Raises:
        ConfigError: it would send the key in the clear, or is not a URL. It is not shown: it may contain a password.

    """
    try:
        url = httpx.URL(text)
        port = url.port
    except (httpx.InvalidURL, ValueError):
        raise ConfigError("the API's address is not a URL", _HOW) from None
    if url.scheme not in ("http", "https") or not url.host or (port is not None and not 0 < port <= 65_535):
        raise ConfigError("the API's address is not an http or https URL with a host", _HOW)
    if url.userinfo:
        raise ConfigError(
            "the API's address contains a user name or password", f"The key is all that identifies you. {_HOW}"
        )
    if "?" in text or "#" in text:
        raise ConfigError("the API's address contains a query or a fragment", _HOW)
    if url.scheme == "http" and not is_loopback(url.host) and not (embedded and url.host == "sandbox"):
        raise ConfigError(
            f"plain http to {url.host} would send the API key in the clear",
            "Use https. Plain http is for loopback addresses only (127.0.0.1, ::1, localhost).",
        )
    return url


def checked_key(text: str, *, needed: bool) -> str:
    """The key without white space around it.

    Raises:
        ConfigError: it is empty though ``needed``, or can't be sent in a header. It is not shown.

    """
    key = text.strip()
    if needed and not key:
        raise ConfigError("the API key is empty", "Set the environment variable that api.key_env names.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            "the API key contains characters that are not allowed", "Copy it again, without quotes or spaces."
        )
    return key
