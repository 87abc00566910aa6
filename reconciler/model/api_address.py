"""When two addresses of an API are one: the comparison that keeps a state from being used on another account."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"https": 443, "http": 80}
_THIS_MACHINE: Final = "localhost"


def same_api(one: str, other: str) -> bool:
    """Whether two addresses lead to the same API, however their host is written: ``localhost``, ``127.0.0.1`` and
    ``[::1]`` are one host, and so is a name in capitals. Scheme, port and path count; a slash at the end does not.
    """
    return one == other or _compared(one) == _compared(other)


def _compared(url: str) -> tuple[str, str, int | None, str] | str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname:  # the sandbox has no address
        return url
    scheme = parts.scheme.lower()
    rest = parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")
    return scheme, _host(parts.hostname), _PORTS.get(scheme) if port is None else port, rest


def _host(name: str) -> str:
    name = name.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    usual = ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")
    return _THIS_MACHINE if address in usual else address.compressed
