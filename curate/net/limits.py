"""What the client may do, as numbers: who it may reach, how often, how long, how much."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from curate.errors import UsageError

DEFAULT_RATE = 10.0
_POSITIVE = (
    "concurrency", "per_host", "rate", "max_bytes", "timeout", "connect_timeout", "read_timeout", "min_rate", "breaker",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HostRule:
    """What one system asks of its clients, for a host name and all below it. None: the general limit holds.

    `connections` at once; `rate` in requests a second; `byte_rate` in bytes a second.
    """

    connections: int | None = None
    rate: float | None = None
    byte_rate: float | None = None


# Wikimedia's robot policy of April 2025: media with a total concurrency of at most 2, at most 25 Mbit/s over any 10 s
# (22, since a bucket lets through one second's worth more).
_WIKIMEDIA = HostRule(connections=2, byte_rate=22_000_000 / 8)
KNOWN_RULES: Mapping[str, HostRule] = MappingProxyType({"wikimedia.org": _WIKIMEDIA, "wikipedia.org": _WIKIMEDIA})


@dataclass(frozen=True)
class Limits:
    """How the client behaves. Times in seconds, sizes in bytes, rates a second.

    `contact` is an address or URL where an operator can complain; without it there is no client. `allow_private` are
    exact "host:port" exceptions to the address guard and to `allow_ports`. `rate` None means 10 a second, and no limit
    for the hosts in `allow_private`. `read_timeout` is the longest silence that is waited out, before the answer or
    within it; an answer that does come, but slower than `min_rate`, is given up after the same time. `max_wait` is the
    longest Retry-After that is waited for, and the longest Crawl-delay that is kept to. A host that failed `breaker`
    times in a row is asked once more after each of `probes` seconds, before it is left alone. `tokens` go as bearer
    tokens to exactly the hosts named, with `get` and `post` only.
    """

    contact: str | None = None
    allow_private: tuple[str, ...] = ()
    allow_ports: tuple[int, ...] = (80, 443)
    concurrency: int = 64
    per_host: int = 4
    rate: float | None = None
    max_bytes: int = 64 * 2**20
    timeout: float = 60.0
    connect_timeout: float = 10.0
    read_timeout: float = 10.0
    min_rate: float = 1024.0
    retries: int = 3
    backoff: float = 0.5
    max_wait: float = 600.0
    max_redirects: int = 5
    breaker: int = 10
    probes: tuple[float, ...] = (1.0, 4.0, 15.0)
    robots: bool = True
    opt_out: bool = True
    rules: Mapping[str, HostRule] = field(default_factory=lambda: KNOWN_RULES)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could be fetched, and a client that does not say who it is."""
        if not (self.contact or "").strip() or not (self.contact or "").isprintable():
            raise UsageError(
                "fetch.contact: missing; give an address or URL where a site's operator can reach you"
                " (it goes into the User-Agent)"
            )
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"fetch.{name}: must be more than 0, not {value}")
