"""Refuse connections into private networks, after DNS, on every connection and redirect.

A link can name an address, a name can resolve to one (and to another on the next lookup), and a
server can redirect to one. So the check sits where the socket is made, on the address it is about
to connect to: nothing that happens before can go around it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

Endpoint = tuple[str, int]  # (address, port)

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
# What IANA's registries list and `is_global` takes for public, in some version of Python or all.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "::/96",  # IPv4-compatible, RFC 4291
            "64:ff9b:1::/48",  # NAT64 in a network of one's own, RFC 8215
            "100::/64",  # discarded, RFC 6666
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "3fff::/20",  # documentation, RFC 9637
            "5f00::/16",  # segment routing, RFC 9602
            "fec0::/10",  # site-local, RFC 3879
        ),
    )
)


class PrivateAddressError(OSError):
    """The address is not one of the public internet.

    An OSError, since aiohttp wraps no other. Its text is the same for every address, which makes
    aiohttp hand it on where a name has several addresses and none is public.
    """

    def __init__(self) -> None:
        super().__init__("not an address of the public internet")


def is_public(address: str) -> bool:
    """Whether an IP address is a unicast address of the public internet.

    >>> is_public("93.184.216.34"), is_public("169.254.169.254"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _embedded_ipv4(ip)
        if inner is not None:
            return is_public(str(inner))
    if any(ip in network for network in _SPECIAL if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def make_socket_factory(
    allowed: frozenset[Endpoint] = frozenset(),
) -> Callable[[Any], socket.socket]:
    """A socket factory for `aiohttp.TCPConnector`.

    Args:
        allowed: endpoints let through though private: the built-in web's own server.
    """

    def make_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, endpoint = info
        if tuple(endpoint[:2]) not in allowed and not is_public(endpoint[0]):
            raise PrivateAddressError
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make_socket
