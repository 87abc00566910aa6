"""Checks of URLs."""

from __future__ import annotations

from urllib.parse import urlsplit


class AddressError(ValueError):
    """No URL that will do; the text says why, to be read after its name."""


def web_address(value: str, *schemes: str) -> str:
    """The URL, if it is one of these schemes. Raises AddressError."""
    starts = tuple(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(value)
        good = value.startswith(starts) and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise AddressError(f"is not a URL that starts with {' or '.join(starts)}")
    return value


def api_address(value: str) -> str:
    """``api.url``, if it is ``sandbox`` or a URL with no password and nothing after its path. Raises AddressError."""
    if value == "sandbox":
        return value
    parts = urlsplit(web_address(value, "https", "http"))
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise AddressError("must have no user, password, query or fragment")
    return value
