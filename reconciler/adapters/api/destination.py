"""Where the key may be sent: the API's address, checked before anything else happens."""

from __future__ import annotations

import httpx

from reconciler.model.errors import ConfigError
from reconciler.model.hosts import is_loopback

_HOW = "Set api.url (or EVERSINCE_API_URL) to something like https://host/api/v1."


def checked(text: str, *, embedded: bool) -> httpx.URL:
    """The address the client will use, without a slash at its end.

    ``embedded``: the requests stay in this process, where the host ``sandbox`` is welcome over plain http too.

    Raises:
        ConfigError: it would send the key in the clear, or is no address. It is not repeated: it may hold a password.

    """
    try:
        url = httpx.URL(text)
        port = url.port
    except (httpx.InvalidURL, ValueError):
        raise ConfigError("the API's address is not a URL", _HOW) from None
    if url.scheme not in ("http", "https") or not url.host or (port is not None and not 0 < port <= 65_535):
        raise ConfigError("the API's address is not an http or https URL with a host", _HOW)
    if url.userinfo:
        raise ConfigError("the API's address holds a user name or password", f"The key alone identifies you. {_HOW}")
    if "?" in text or "#" in text:
        raise ConfigError("the API's address holds a query or a fragment", _HOW)
    if url.scheme == "http" and not is_loopback(url.host) and not (embedded and url.host == "sandbox"):
        raise ConfigError(
            f"plain http to {url.host} would send the API key in the clear",
            "Use https. Plain http is for loopback addresses only (127.0.0.1, ::1, localhost).",
        )
    return url


def checked_key(text: str, *, needed: bool) -> str:
    """The key without white space around it.

    Raises:
        ConfigError: it is empty though ``needed``, or can't stand in a header. It is not repeated.

    """
    key = text.strip()
    if needed and not key:
        raise ConfigError("the API key is empty", "Put it into the environment variable that api.key_env names.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError("the API key holds characters that no key has", "Copy it again, without quotes or spaces.")
    return key
