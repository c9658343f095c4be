"""robots.txt (RFC 9309), once per origin: it governs media and pages, not documented APIs."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protego import Protego
from yarl import URL

from curate.errors import ItemError
from curate.records import Reason, Response

AGENT = "curate"  # the product token that a robots.txt names us by
MAX_BYTES = 512 * 1024  # what is beyond is not read
DAY = 24 * 3600.0
UNREACHABLE_FOR = 300.0  # how long a server error counts as "everything is disallowed" before it is asked again
MAX_ORIGINS = 10_000

ALLOW_ALL = frozenset(
    {Reason.HTTP_401_403, Reason.HTTP_404, Reason.HTTP_410, Reason.HTTP_451, Reason.HTTP_4XX, Reason.TOO_MANY_REDIRECTS}
)


_AGENT_FIELDS = frozenset({"user-agent", "useragent", "user agent"})  # as site owners misspell it
_RULE_FIELDS = frozenset({"allow", "disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"})
_TOKEN = re.compile(r"[a-z_-]+")


def group(text: str, agent: str) -> str:
    """The rules of a robots.txt that bind `agent`, as one group for everybody (RFC 9309, section 2.2.1).

    A group binds by its product token, compared as a whole and without case; what follows the token ("/1.0") says
    nothing. Groups of one token are one; where there is none of ours, those of "*" hold. Only a rule ends the row of
    user-agents of a group: other records (sitemaps, delays, unknown ones) do not.
    """
    ours: list[str] = []
    everybody: list[str] = []
    named, tokens, ruled = False, set[str](), False
    for line in re.split(r"\r\n|\r|\n", text):
        field, colon, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        if not colon:
            continue
        if (name := field.lower()) in _AGENT_FIELDS:
            tokens, ruled = (set() if ruled else tokens) | {_token(value)}, False
            named = named or agent in tokens
            continue
        ruled = ruled or name in _RULE_FIELDS
        if agent in tokens:
            ours.append(f"{name}: {value}")
        if "*" in tokens:
            everybody.append(f"{name}: {value}")
    return "\n".join(["user-agent: *", *(ours if named else everybody)])


def _token(value: str) -> str:
    """The product token that a user-agent line names, in lower case; "*" for everybody."""
    found = _TOKEN.match(value.lower())
    return "*" if value.startswith("*") else found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one origin says: `parsed` None means everything is allowed, unless `refusal` says that nothing is."""

    parsed: Protego | None = None
    refusal: str = ""
    expires: float = 0.0


class Robots:
    """Asks each origin at most once at a time and remembers the answer for a day.

    `fetch` gets a robots.txt through the guarded client; `slow` is told of an origin's Crawl-delay, in seconds.
    """

    def __init__(self, fetch: Callable[[URL], Awaitable[Response]], slow: Callable[[URL, float], None]) -> None:
        self._fetch, self._slow = fetch, slow
        self._rules: dict[URL, Rules] = {}
        self._asking: dict[URL, asyncio.Task[Rules]] = {}

    async def check(self, url: URL) -> str:
        """What the origin's robots.txt says of this URL: "allowed", or "absent" where there is none.

        Raises ItemError(robots_disallowed) where it keeps the URL from us.
        Client errors (4xx) allow everything, server errors nothing (section 2.3.1). A host that cannot be reached is no
        answer: its own reason (dns, connect, tls, timeout, address_denied, ...) is raised.
        """
        origin = url.origin()
        rules = self._rules.get(origin)
        if rules is None or rules.expires < time.monotonic():
            rules = await self._ask(origin)
        if rules.refusal:
            raise ItemError(Reason.ROBOTS_DISALLOWED, rules.refusal)
        if rules.parsed is not None and not rules.parsed.can_fetch(str(url), AGENT):
            raise ItemError(Reason.ROBOTS_DISALLOWED)
        return "absent" if rules.parsed is None else "allowed"

    async def close(self) -> None:
        """End what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, origin: URL) -> Rules:
        if (task := self._asking.get(origin)) is None:
            task = self._asking[origin] = asyncio.create_task(self._load(origin))
            task.add_done_callback(lambda task: self._asked(origin, task))
        return await asyncio.shield(task)

    def _asked(self, origin: URL, task: asyncio.Task[Rules]) -> None:
        del self._asking[origin]
        if not task.cancelled() and task.exception() is None:
            if len(self._rules) >= MAX_ORIGINS:
                del self._rules[next(iter(self._rules))]
            self._rules[origin] = task.result()

    async def _load(self, origin: URL) -> Rules:
        now = time.monotonic()
        try:
            answer = await self._fetch(origin.with_path("/robots.txt"))
        except ItemError as error:
            if error.reason in ALLOW_ALL:
                return Rules(expires=now + DAY)
            if error.reason is Reason.HTTP_5XX:
                return Rules(None, f"robots.txt: {error.detail}", now + UNREACHABLE_FOR)
            raise
        parsed = Protego.parse(group(answer.body.decode("utf-8-sig", "replace"), AGENT))
        if delay := parsed.crawl_delay(AGENT):
            self._slow(origin, delay)
        return Rules(parsed, "", now + DAY)
