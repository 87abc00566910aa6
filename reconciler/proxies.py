"""The HTTP proxy of a request, from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

`NO_PROXY` may have each form that curl, requests, Go or httpx accept: names with and without a leading dot, `*` and
`*.example.com`, addresses with and without brackets, networks (`10.0.0.0/8`), ports, schemes; separated by commas or
spaces. Anything else is ignored. Lower-case variables take precedence, as in curl.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.request import getproxies

import httpx

from reconciler.model.errors import ConfigError
from reconciler.model.hosts import is_loopback

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[\w.:%-]+")
_BRACKETS: Final = r"\[([^\]]*)\](/\d+)?(?::(.*))?"


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy for a URL; ``None`` for a direct connection, as always to this machine.

    Raises:
        ConfigError: the value of the variable is not a usable proxy. It is not shown, since it may contain a password.

    """
    found = getproxies()
    kind = url.scheme if found.get(url.scheme) else "all"
    text = found.get(kind, "").strip()
    if not text or is_loopback(url.host) or _is_exempt(url, found.get("no", "")):
        return None
    try:
        proxy = httpx.URL(text if "://" in text else f"http://{text}")
        if proxy.scheme in _PORTS and _HOST.fullmatch(proxy.host) and (proxy.port is None or 0 < proxy.port <= 65_535):
            return httpx.Proxy(proxy)
    except (httpx.InvalidURL, ValueError):
        pass
    name = next((name for name in os.environ if name.lower() == f"{kind}_proxy"), "the system's proxy setting")
    raise ConfigError(
        f"{name} is not a usable proxy address",
        "Use an http:// or https:// URL, like http://proxy.example:3128; SOCKS is not supported. "
        f"Or exclude the host: NO_PROXY={url.host}.",
    )


def _is_exempt(url: httpx.URL, listed: str) -> bool:
    hosts = {url.host.lower().rstrip("."), url.raw_host.decode("ascii", "replace").lower().rstrip(".")}
    port = url.port or _PORTS.get(url.scheme)
    return any(_matches(entry.lower(), url.scheme, hosts, port) for entry in re.split(r"[,\s]+", listed) if entry)


def _matches(entry: str, scheme: str, hosts: set[str], port: int | None) -> bool:
    of, _, rest = entry.rpartition("://")
    if of not in ("", "all", scheme):
        return False
    host, of_port = _split(rest.rstrip("/") if of else rest)
    if of_port is not None and of_port != str(port):
        return False
    return any(_is_meant(host, seen) for seen in hosts)


def _split(text: str) -> tuple[str, str | None]:
    """The host (or network) and the port."""
    brackets = re.fullmatch(_BRACKETS, text)
    if brackets:
        return brackets[1] + (brackets[2] or ""), brackets[3]
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def _is_meant(entry: str, host: str) -> bool:
    if "*" in entry:
        return fnmatchcase(host, entry)
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        name = entry.strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
