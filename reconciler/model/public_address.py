"""Network addresses that everybody reaches, and those that lead into the user's own network.

An address that a server chooses must be of the first kind: not this machine, not the private network around it, not a
cloud's metadata.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INSIDE: Final = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
LOOPBACK: Final = frozenset(_INSIDE[:2])
_METADATA: Final = frozenset({ip_address("100.100.100.200"), ip_address("fd00:ec2::254")})
"""Of clouds, in networks that are private otherwise; 169.254.169.254 is in none of them."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


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
    """What carries an IPv4 address inside leads to that one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address
    return address
