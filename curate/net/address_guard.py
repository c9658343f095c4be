"""Which addresses may be reached: public ones. Judged on the socket, after resolution, at every connect.

Rules come from the IANA special-purpose address registries; `ipaddress.is_global` is not asked, since its answers
differ between Python versions and are wrong in some (multicast, 6to4, NAT64, site-local, 192.0.0.192).
"""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import AddrInfoType
from yarl import URL

from curate.errors import ItemError, UsageError
from curate.net.urls import is_address
from curate.records import Reason

DENIED4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "168.63.129.16/32",  # a cloud's host agent, reachable from inside only
            "169.254.0.0/16",  # link-local, metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments, metadata services
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
UNICAST6 = IPv6Network("2000::/3")  # all that is assigned for the public; fc00, fe80, fec0, ff00, 5f00 lie outside
DENIED6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
            "2001:db8::/32",
            "3ffe::/16",  # 6bone, given back
            "3fff::/20",  # documentation
        ),
    )
)
EMBEDDING = (  # prefixes whose traffic ends at the IPv4 address they hold, and how many bits stand after it
    (IPv6Network("::/96"), 0),  # IPv4-compatible; `::` and `::1` too
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)

_AIM: ContextVar[tuple[str, int]] = ContextVar("aim")  # the host and port of the URL that is being connected to
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.\-]+):([0-9]{1,5})")


class DeniedError(OSError):
    """The guard's answer at connect time; aiohttp carries it out as `ClientConnectorError.os_error`."""


def unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address at which traffic to an IPv6 address ends, where it holds one; otherwise the address."""
    if isinstance(address, IPv6Address):
        for network, shift in EMBEDDING:
            if address in network:
                return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True where an address is on the public internet, unwrapped first. A site's own translators cannot be known."""
    final = unwrap(address)
    if isinstance(final, IPv4Address):
        return not any(final in network for network in DENIED4)
    return final in UNICAST6 and not any(final in network for network in DENIED6)


class Guard:
    """The one place that says which host, port and address may be reached.

    `allow_private`: "127.0.0.1:8098", "[::1]:80", "wiki.lan:443". An address is compared with the socket's, so it holds
    under any name that resolves to it. A name is compared with the URL's, so it holds for whatever that name resolves
    to, and for no other name. Raises UsageError for what is not exactly host:port.
    """

    def __init__(self, allow_private: Iterable[str] = (), allow_ports: Iterable[int] = (80, 443)) -> None:
        self._exempt = frozenset(map(_endpoint, allow_private))
        self._ports = frozenset(allow_ports)

    def exempt(self, url: URL) -> bool:
        """True where the operator named this URL's host and port."""
        return _aim(url) in self._exempt

    def check(self, url: URL) -> None:
        """Raise ItemError for a port that is not listed (port_denied) or a literal address (address_denied).

        The second only saves a host's turn: what counts is the socket.
        """
        if self.exempt(url):
            return
        if url.port not in self._ports:
            raise ItemError(Reason.PORT_DENIED, f"port {url.port}")
        if is_address(host := url.raw_host or "") and not _is_public(host):
            raise ItemError(Reason.ADDRESS_DENIED, "not a public address")

    @contextmanager
    def aimed(self, url: URL) -> Iterator[None]:
        """Connects inside are made for this URL: the socket alone does not know the name it was resolved from."""
        token = _AIM.set(_aim(url))
        try:
            yield
        finally:
            _AIM.reset(token)

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for exactly this address, or DeniedError: `aiohttp.TCPConnector(socket_factory=guard.socket)`."""
        family, kind, proto, _, target = info
        host, port = str(target[0]), int(target[1])
        if family not in (socket.AF_INET, socket.AF_INET6) or not self._may_connect(host, port):
            raise DeniedError("address denied")  # always the same text, so that many denials are reported as one
        return socket.socket(family, kind, proto)

    def _may_connect(self, host: str, port: int) -> bool:
        if (host, port) in self._exempt or _AIM.get(None) in self._exempt:
            return True
        return _is_public(host)


@lru_cache(maxsize=4096)
def _is_public(host: str) -> bool:
    try:
        return "%" not in host and is_public(ip_address(host))
    except ValueError:
        return False


def _aim(url: URL) -> tuple[str, int]:
    return (url.raw_host or "").rstrip("."), url.port or 0


def _endpoint(text: str) -> tuple[str, int]:
    match = _ENDPOINT.fullmatch(text)
    try:
        if match and 0 < int(match[2]) < 65536:
            return _aim(URL(f"http://{text}"))
    except ValueError:
        pass
    raise UsageError(f"fetch.allow_private: '{text}' is not host:port, such as 127.0.0.1:8098 or [::1]:8098")
