"""Hosts and addresses: this machine, private networks, and when two addresses of an API are the same.

Only to this machine may anything go unencrypted. An address that a server chooses must be public: not this machine, not
the private network around it, not a cloud's metadata.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INSIDE: Final = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
LOOPBACK: Final = frozenset(_INSIDE[:2])
_METADATA: Final = frozenset({ip_address("100.100.100.200"), ip_address("fd00:ec2::254")})
"""Of clouds, in networks that are private otherwise; 169.254.169.254 is in none of those."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_PORTS: Final = {"https": 443, "http": 80}
PLAIN_PAGE: Final = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)+"
"""The address of a page with nothing in it that a comment or a log could take for markup."""
_THIS_MACHINE: Final = "localhost"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: 127.0.0.0/8, ::1 or ``localhost``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == _THIS_MACHINE


def inside_network(address: Address) -> Network | None:
    """The loopback or private network that an address is in, if it is in one."""
    address = _plain(address)
    return next((network for network in _INSIDE if address in network), None)


def is_reachable(address: Address, near: frozenset[Network]) -> bool:
    """Whether an address is public, or in one of the networks ``near``."""
    address = _plain(address)
    network = inside_network(address)
    if network is not None:
        return network in near and address not in _METADATA
    if isinstance(address, IPv6Address) and (address.is_site_local or address.sixtofour):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _plain(address: Address) -> Address:
    """The IPv4 address in an IPv6 address that embeds one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address
    return address


def same_api(one: str, other: str) -> bool:
    """Whether two URLs are the same API, so that a state is not used on another account.

    ``localhost``, ``127.0.0.1`` and ``[::1]`` are the same host, and so is a name in capitals. Scheme, port and path
    count; a slash at the end does not.
    """
    return one == other or _compared(one) == _compared(other)


def _compared(url: str) -> tuple[str, str, int | None, str] | str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname:  # the sandbox
        return url
    scheme = parts.scheme.lower()
    rest = parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")
    return scheme, _host(parts.hostname), _PORTS.get(scheme) if port is None else port, rest


def _host(name: str) -> str:
    name = name.lower().removesuffix(".")
    try:
        address = ip_address(name)
    except ValueError:
        return name
    usual = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
    return _THIS_MACHINE if address in usual else address.compressed
