"""The only way in: an ASGI function around FiftyOne's own app, which knows no authentication.

FiftyOne 1.22 serves any readable file, runs operators for anyone, and takes a foreign Origin and Host. So everything is
refused that is not named here: who asks (token, Host, Origin), how (the shapes of HTTP/1.1 that two parsers read the
same way), and for what (curate/review/app/allowlist.py). Media are read here, from one folder, never by FiftyOne.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from curate.review.app.allowlist import Refusal, allowed, judged
from curate.review.app.tabs import on_its_own

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 2**20  # bytes of a request
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "media-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"x-robots-tag": b"noindex",
}
_TYPES = {".jpg": b"image/jpeg", ".png": b"image/png"}


@dataclass(frozen=True)
class ReviewDoor:
    """What one session lets in: its scheme (http, https), the authorities it answers to, its token, its media folder.

    `dataset` is the only dataset that a request may name. `shows` says whether a file of the media folder may be seen
    now; `paused` whether nothing may.
    """

    scheme: str
    authorities: frozenset[str]
    token: str
    media: Path
    dataset: str
    shows: Callable[[str], bool]
    paused: Callable[[], bool] = lambda: False

    @property
    def cookie(self) -> str:
        """The name of this session's cookie: cookies are a host's, whatever the port."""
        return cookie(self.token)


def cookie(token: str) -> str:
    """What the cookie of the session with this token is called."""
    return f"curate-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


class Guard:
    """An ASGI application: `inner` behind the door, and `own` (the session's routes, under /curate/) beside it."""

    def __init__(self, inner: App, own: App, door: ReviewDoor) -> None:
        self._inner, self._own, self._door = inner, own, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; whatever is not allowed is answered here and reaches nobody."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        refusal = refuse(scope, self._door)
        if refusal is not None:
            await _refused(scope, send, refusal)
        elif scope["type"] == "websocket":
            await self._inner(scope, receive, send)
        else:
            await self._http(scope, receive, _hardened(scope, send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/":
            await _entry(self._door, scope, send)
        elif path == "/media":
            await self._media(scope, send)
        elif scope["method"] in ("GET", "HEAD"):
            await (self._own if path.startswith("/curate/") else self._inner)(scope, receive, send)
        else:
            await self._posted(scope, receive, send)

    async def _posted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body is read whole and judged before anybody else sees it."""
        body = await _body(receive)
        refusal = Refusal(413, "the body is too large") if body is None else None
        if body is not None and not scope["path"].startswith("/curate/"):
            refusal = _judge(scope["path"], body, self._door)
        if refusal is not None or body is None:
            await _refused(scope, send, refusal or Refusal(413, ""))
            return
        if scope["path"] == "/events":
            body, send = on_its_own(body, send)
        target = self._own if scope["path"].startswith("/curate/") else self._inner
        await target(scope, _replay(body, receive), send)

    async def _media(self, scope: Scope, send: Send) -> None:
        found = _file(scope, self._door)
        if isinstance(found, Refusal):
            await _refused(scope, send, found)
            return
        try:
            data = found.read_bytes()
        except OSError:
            await _refused(scope, send, Refusal(404, "no such file"))
            return
        await answer(scope, send, 200, data, {b"content-type": _TYPES[found.suffix], b"cache-control": b"no-store"})


# -- who asks, and how -----------------------------------------------------------------------------------------------


def refuse(scope: Scope, door: ReviewDoor) -> Refusal | None:
    """Why a request goes no further; None where it may. Bodies are judged when they are read."""
    for check in (_shape, _framing, _host, _origin, _site, _token):
        if (refusal := check(scope, door)) is not None:
            return refusal
    return allowed(scope["type"], scope.get("method", "GET"), scope["path"], door.dataset)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _shape(scope: Scope, _: ReviewDoor) -> Refusal | None:
    """A target that two parsers could read in two ways: encodings, dots, doubled slashes, absolute forms."""
    raw = bytes(scope.get("raw_path") or scope["path"].encode())
    if scope["http_version"] != "1.1":
        return Refusal(505, "HTTP/1.1 only")
    if not re.fullmatch(rb"/[A-Za-z0-9@._~/-]*", raw) or b"//" in raw or b"/." in raw:
        return Refusal(400, "a target of another shape")
    return None


def _framing(scope: Scope, _: ReviewDoor) -> Refusal | None:
    """What makes a proxy and a server disagree on where a request ends, or what it asks."""
    lengths, codings = _values(scope, b"content-length"), _values(scope, b"transfer-encoding")
    if len(lengths) > 1 or (lengths and codings) or len(codings) > 1:
        return Refusal(400, "its length is said twice")
    if (lengths and not lengths[0].isdigit()) or (codings and codings[0].lower() != b"chunked"):
        return Refusal(400, "a length or coding of another shape")
    if _values(scope, b"upgrade") and scope["type"] != "websocket":
        return Refusal(400, "no such upgrade")
    odd = (b"x-http-method-override", b"x-original-url", b"x-rewrite-url", b"x-forwarded-host", b"forwarded")
    if any(_values(scope, name) for name in odd) or any(b"_" in key for key, _ in scope["headers"]):
        return Refusal(400, "a header that says what another one says")
    return None


def _host(scope: Scope, door: ReviewDoor) -> Refusal | None:
    hosts = _values(scope, b"host")
    if len(hosts) != 1 or hosts[0].decode("latin1").lower() not in door.authorities:
        return Refusal(421, "this server has another name")
    return None


def _origin(scope: Scope, door: ReviewDoor) -> Refusal | None:
    """A page of another origin, a sandboxed one (null), or a form without one changes nothing and reads nothing."""
    origins = _values(scope, b"origin")
    own = f"{door.scheme}://{_values(scope, b'host')[0].decode('latin1').lower()}"
    if len(origins) > 1 or (origins and origins[0].decode("latin1").lower() != own):
        return Refusal(403, "another origin")
    if not origins and (scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")):
        return Refusal(403, "no origin")
    return None


def _site(scope: Scope, door: ReviewDoor) -> Refusal | None:
    """What the browser says of who asks; another port of this host is another site here."""
    sites = _values(scope, b"sec-fetch-site")
    if sites and sites != [b"same-origin"] and sites != [b"none"]:
        arriving = scope["path"] == "/" and _values(scope, b"sec-fetch-dest") == [b"document"]
        if not (arriving and _asked(scope, door)):  # a link with the token, followed from somewhere else
            return Refusal(403, "another site")
    return None


def _token(scope: Scope, door: ReviewDoor) -> Refusal | None:
    if _carried(scope, door) or (scope["path"] == "/" and scope["type"] == "http" and _asked(scope, door)):
        return None
    return Refusal(403, "no token: open the address that `curate review` printed")


def _carried(scope: Scope, door: ReviewDoor) -> bool:
    """Whether a cookie bears the token."""
    for header in _values(scope, b"cookie"):
        for pair in header.decode("latin1").split(";"):  # of others' cookies nothing is asked: not even that they parse
            name, _, value = pair.strip().partition("=")
            if name == door.cookie and _same(value, door):
                return True
    return False


def _asked(scope: Scope, door: ReviewDoor) -> bool:
    """Whether the query bears the token, once, in a GET."""
    given = [value for key, value in _query(scope) if key == "token"]
    return scope["method"] == "GET" and len(given) == 1 and _same(given[0], door)


def _same(given: str, door: ReviewDoor) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), door.token.encode())


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        return parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        return []


# -- for what --------------------------------------------------------------------------------------------------------


def _file(scope: Scope, door: ReviewDoor) -> Path | Refusal:
    """The one file that the query names, inside the session's folder after every link and `..` is followed."""
    query = _query(scope)
    if len(query) != 1 or query[0][0] != "filepath":
        return Refusal(400, "one filepath, nothing else")
    name = query[0][1]
    if "\0" in name or not name.startswith("/"):
        return Refusal(403, "outside the session's folder")
    try:
        path = Path(name).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return Refusal(403, "outside the session's folder")
    if path.parent != door.media or path.suffix not in _TYPES or not path.is_file():
        return Refusal(403, "outside the session's folder")
    if door.paused():
        return Refusal(423, "a pause")
    return path if door.shows(path.name) else Refusal(404, "no longer shown")


def _judge(path: str, body: bytes, door: ReviewDoor) -> Refusal | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(400, "not JSON")
    if not isinstance(data, dict):
        return Refusal(400, "not a JSON object")
    return judged(path, data, door.dataset)


async def _body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


# -- answers ---------------------------------------------------------------------------------------------------------


async def answer(scope: Scope, send: Send, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    """One whole answer."""
    whole = {b"content-length": str(len(body)).encode(), **headers}
    await send({"type": "http.response.start", "status": status, "headers": list(whole.items())})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _refused(scope: Scope, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    body = f"curate: refused: {refusal.why}\n".encode()
    kind = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store", b"connection": b"close"}
    await answer(scope, _hardened(scope, send), refusal.status, body, kind)


async def _entry(door: ReviewDoor, scope: Scope, send: Send) -> None:
    """The printed address: the token moves from the address to a cookie, and a script of ours goes on from there.

    A page, not a redirect: a Strict cookie would not follow a redirect that began on another site.
    """
    page = b'<!doctype html><meta charset="utf-8"><title>curate review</title><script src="/curate/start.js"></script>'
    secure = "; Secure" if door.scheme == "https" else ""
    said = f"{door.cookie}={door.token}; Path=/; HttpOnly; SameSite=Strict{secure}".encode()
    kind = {b"content-type": b"text/html; charset=utf-8", b"cache-control": b"no-store", b"set-cookie": said}
    await answer(scope, send, 200, page, kind)


def _hardened(scope: Scope, send: Send) -> Send:
    """Our headers in place of the app's; what an error of the app says (stack traces, paths) stays here."""
    failed = False

    async def harder(message: Message) -> None:
        nonlocal failed
        if message["type"] == "http.response.start":
            kept = [(k, v) for k, v in message["headers"] if k.lower() not in HEADERS and k.lower() != b"server"]
            if failed := message["status"] >= 500 and message["status"] != 505:
                kept = [(b"content-type", b"application/json"), (b"content-length", b"2")]
            cached = any(k.lower() == b"cache-control" for k, _ in kept) or "/assets/" in scope["path"]
            extra = [] if cached else [(b"cache-control", b"no-store")]
            message = {**message, "headers": [*kept, *HEADERS.items(), *extra]}
        elif message["type"] == "http.response.body" and failed:
            if message.get("more_body"):
                return
            message = {"type": "http.response.body", "body": b"{}"}
        await send(message)

    return harder
