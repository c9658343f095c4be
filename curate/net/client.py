"""The guarded, polite client: one aiohttp session behind the `Http` contract. Nothing else fetches media."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.http import SERVER_SOFTWARE
from yarl import URL

from curate import __version__
from curate.errors import ItemError
from curate.net import body, failures, urls
from curate.net.address_guard import Guard
from curate.net.connector import Resolver, connector
from curate.net.limits import HostRule, Limits
from curate.net.robots import AGENT, MAX_BYTES, Robots
from curate.net.throttle import Host, Polite
from curate.records import Reason, Response

REDIRECTS = frozenset({301, 302, 303, 307, 308})
READ_BUFFER = 2**18
MAX_HEADER = 32 * 1024
REFUSAL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Ask:
    """What kind of thing is asked for: its headers, and which of the site's wishes govern it."""

    headers: Mapping[str, str]
    cap: int  # bytes, decoded
    cut: bool = False  # take what is within the cap, in place of refusing what goes beyond
    robots: bool = False
    opt_out: bool = False
    token: bool = False
    body: bytes | None = None  # what is sent


class Client:
    """An async context manager: `get` and `post` for documented APIs, `media` for media and pages.

    Guarded (public addresses on 80 and 443 only, on every hop), polite (per host), bounded (bytes, time, hops); no
    cookies, no proxies, no credentials but `Limits.tokens`. Raises ItemError and nothing else for what the web does;
    UsageError for limits that cannot be. `waits` is told of each `Retry-After`, in seconds, when it comes.
    """

    def __init__(self, limits: Limits, waits: Callable[[float], None] | None = None) -> None:
        self._limits, self._waits = limits, waits
        self._guard = Guard(limits.allow_private, limits.allow_ports)
        self._polite = Polite(limits)
        self.room = asyncio.Event()  # whoever takes the media shuts it while it has no place for more bytes
        self.room.set()
        self._robots = Robots(lambda url: self._follow(url, self._robots_txt), self._slow)
        plain, packed = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip, deflate"}
        self._api = _Ask(packed, limits.max_bytes, token=True)
        self._media = _Ask(plain, limits.max_bytes, robots=limits.robots, opt_out=limits.opt_out)
        self._robots_txt = _Ask(packed, MAX_BYTES, cut=True)

    async def __aenter__(self) -> Self:
        limits = self._limits
        self._resolver = Resolver()
        self._session = aiohttp.ClientSession(
            connector=connector(self._guard, self._resolver),
            headers={"User-Agent": user_agent(limits), "Accept": "*/*"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # `body` does it, counting
            trust_env=False,
            read_bufsize=READ_BUFFER,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._robots.close()
        await self._session.close()
        await self._resolver.close()

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        """Ask a documented API: no robots.txt, which often disallows them; gzip; the host's token, where it has one."""
        asked = urls.parse(url)
        return await self._ask(URL(str(asked)).update_query(params) if params else asked, self._api)

    async def post(self, url: str, body: bytes) -> Response:
        """Send JSON to a documented API, as `get` asks; an answer that redirects is refused (too_many_redirects)."""
        headers = {**self._api.headers, "Content-Type": "application/json"}
        return await self._ask(urls.parse(url), replace(self._api, headers=headers, body=body))

    async def media(self, url: str) -> Response:
        """Fetch a picture or a page, whole and as it is stored: robots.txt and X-Robots-Tag are honoured."""
        return await self._ask(urls.parse(url), self._media)

    def pace(self, host: str) -> HostRule:
        """How a host (`urls.host_key`) is asked: how many requests at once, how often, how many bytes a second."""
        return self._polite.rule(host, self._guard.exempt(URL(f"http://{host}")))

    def denied(self, host: str) -> Reason | None:
        """Why no URL of a host (`urls.host_key`) is asked for; None where one may be, as far as its name tells."""
        found = None
        for scheme in ("http", "https"):
            try:
                self._guard.check(URL(f"{scheme}://{host}"))
            except ItemError as error:
                found = error.reason
            else:
                return None
        return found

    async def _ask(self, url: URL, ask: _Ask) -> Response:
        return await self._polite.retry(self._host(url), lambda: self._follow(url, ask))

    async def _follow(self, url: URL, ask: _Ask) -> Response:
        """One try: the URL and what it redirects to, each hop judged and in its own host's turn."""
        hops: tuple[str, ...] = ()
        while len(hops) <= self._limits.max_redirects:
            answer = await self._hop(url, ask, hops)
            if isinstance(answer, Response):
                return answer
            if ask.body is not None:
                raise ItemError(Reason.TOO_MANY_REDIRECTS, "what is sent goes nowhere else")
            hops = (*hops, str(url))
            if str(answer) in hops:
                raise ItemError(Reason.TOO_MANY_REDIRECTS, "they go round")
            url = answer
        raise ItemError(Reason.TOO_MANY_REDIRECTS, f"more than {self._limits.max_redirects}")

    async def _hop(self, url: URL, ask: _Ask, hops: tuple[str, ...]) -> Response | URL:
        self._guard.check(url)
        said = await self._robots.check(url) if ask.robots else None
        host = self._host(url)
        async with self._polite.turn(host):
            if ask is self._media:
                await self.room.wait()
            try:
                answer = await self._exchange(url, ask, host, hops)
            except ItemError as error:
                host.record(error)
                if error.retry_after and self._waits:
                    self._waits(error.retry_after)
                raise
            host.record(None)
            return replace(answer, robots=said) if said and isinstance(answer, Response) else answer

    async def _exchange(self, url: URL, ask: _Ask, host: Host, hops: tuple[str, ...]) -> Response | URL:
        """One request and its answer: the whole of it, or where it redirects to."""
        limits, silence = self._limits, host.patience(self._limits.read_timeout)
        started = asyncio.get_running_loop().time()
        connect = min(limits.connect_timeout, silence) if silence < limits.read_timeout else limits.connect_timeout
        waits = aiohttp.ClientTimeout(total=None, connect=connect, sock_read=silence)
        try:
            with self._guard.aimed(url):
                async with (
                    asyncio.timeout(min(limits.timeout, connect + silence)) as deadline,
                    self._session.request(
                        "GET" if ask.body is None else "POST",
                        url,
                        data=ask.body,
                        headers=self._headers(url, ask),
                        allow_redirects=False,
                        timeout=waits,
                    ) as answer,
                ):
                    host.heard(asyncio.get_running_loop().time() - started)
                    deadline.reschedule(started + limits.timeout)
                    if to := await self._judge(answer, url, ask):
                        return to
                    pace = body.Pace(limits.min_rate, silence, host.brake)
                    data = await body.read(answer, ask.cap, pace, cut=ask.cut)
                    return Response(str(url), answer.status, failures.plain(answer.headers), data, hops)
        except failures.FOREIGN as error:
            raise failures.item_error(error) from error

    async def _judge(self, answer: aiohttp.ClientResponse, url: URL, ask: _Ask) -> URL | None:
        """Where the answer redirects to, or None where its body is to be read; raises ItemError for a refusal."""
        if ask.opt_out and answer.status < 400 and failures.opted_out(answer.headers.getall("X-Robots-Tag", ()), AGENT):
            raise ItemError(Reason.OPT_OUT_HEADER)
        if answer.status in REDIRECTS:
            if not (location := answer.headers.get("Location")):
                raise ItemError(Reason.MALFORMED_URL, "redirects to nowhere")
            return urls.redirected(url, location)
        first = await body.beginning(answer, REFUSAL_BYTES) if answer.status == 429 else b""
        if refusal := failures.refusal(answer.status, answer.headers, first):
            raise refusal
        return None

    def _headers(self, url: URL, ask: _Ask) -> Mapping[str, str]:
        token = self._limits.tokens.get(urls.host_key(url)) if ask.token and self._limits.tokens else None
        if token is None or not (url.scheme == "https" or self._guard.exempt(url)):
            return ask.headers
        return {**ask.headers, "Authorization": f"Bearer {token}"}

    def _host(self, url: URL) -> Host:
        return self._polite.host(urls.host_key(url), self._guard.exempt(url))

    def _slow(self, origin: URL, delay: float) -> None:
        self._host(origin).slow_to(delay)


def user_agent(limits: Limits) -> str:
    """Who asks, in the form that Wikimedia's User-Agent policy wants: product, contact, library."""
    return f"{AGENT}/{__version__} ({limits.contact}) {SERVER_SOFTWARE.split()[-1]}"
