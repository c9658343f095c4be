"""The client against servers that misbehave: each ends in its reason, in bounded time and memory."""

import asyncio
import socket
import ssl
import subprocess
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import client_exceptions

from curate.contracts import Http
from curate.errors import ItemError, UsageError
from curate.net import failures
from curate.net.client import Client
from curate.net.limits import Limits
from curate.records import Reason
from tests.support.net_cases import BODY, CASES, LIMITS, Case
from tests.support.net_server import Server, answer, closed_port, head, raw, redirect
from tests.support.still_loop import now

SECONDS = 4.0
MEMORY = 16 * 2**20


@pytest.fixture(autouse=True)
def no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are not looked up outside: there are none but this machine's."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *args: object, **more: object) -> object:
        if host.endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def outcome(client: Client, url: str, api: bool = False) -> Reason | bytes:
    try:
        return (await (client.get(url) if api else client.media(url))).body
    except ItemError as error:
        return error.reason


def limits(*servers: Server, base: Limits = LIMITS) -> Limits:
    return replace(base, allow_private=tuple(server.at for server in servers))


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_each_misbehaviour_ends_in_its_reason_soon_and_small(case: Case) -> None:
    async with Server({"/x": case.does, **case.more}) as server, Client(limits(server, base=case.limits)) as client:
        tracemalloc.start()
        try:
            started = now()
            assert await outcome(client, server.url("/x"), case.api) == case.ends
            assert now() - started < SECONDS
            assert tracemalloc.get_traced_memory()[1] < MEMORY
        finally:
            tracemalloc.stop()


async def test_the_client_works_on_after_every_misbehaviour() -> None:
    """One session for all: no case leaves a place taken, a connection dirty or a host blocked for the next."""
    quick = [
        case
        for name, case in CASES.items()
        if case.limits is LIMITS
        and "/robots.txt" not in case.more
        and name != "429 that says when"  # and is waited for
    ]
    routes = {f"/{n}/x": case.does for n, case in enumerate(quick)}
    async with Server(routes | {"/ok": answer(200, BODY)}) as server:
        base = replace(
            limits(server), concurrency=2, per_host=2, breaker=10**6, retries=1,
            timeout=0.3, connect_timeout=0.2, read_timeout=0.1,
        )  # fmt: skip
        async with Client(base) as client:
            for path in routes:
                await outcome(client, server.url(path))
                assert await outcome(client, server.url("/ok")) == BODY


URLS = {
    "": Reason.MALFORMED_URL,
    "nonsense": Reason.MALFORMED_URL,
    "//example.com/x.jpg": Reason.MALFORMED_URL,
    "example.com:80/x.jpg": Reason.MALFORMED_URL,
    "http://": Reason.MALFORMED_URL,
    "http:///x.jpg": Reason.MALFORMED_URL,
    "http:x.jpg": Reason.MALFORMED_URL,
    "http://exa mple.com/": Reason.MALFORMED_URL,
    "http://example.com/a b.jpg": Reason.MALFORMED_URL,
    "http://example.com/a\nb.jpg": Reason.MALFORMED_URL,
    "http://example.com\\x.jpg": Reason.MALFORMED_URL,
    "http://example..com/": Reason.MALFORMED_URL,
    "http://.example.com/": Reason.MALFORMED_URL,
    f"http://{'a' * 64}.com/": Reason.MALFORMED_URL,
    f"http://{'a.' * 130}com/": Reason.MALFORMED_URL,
    f"http://example.com/{'a' * 20_000}": Reason.MALFORMED_URL,
    "http://example.com:0/": Reason.MALFORMED_URL,
    "http://example.com:99999/": Reason.MALFORMED_URL,
    "http://example.com:x/": Reason.MALFORMED_URL,
    "http://[::1/": Reason.MALFORMED_URL,
    "http://user:secret@example.com/": Reason.MALFORMED_URL,
    "http://user@example.com/": Reason.MALFORMED_URL,
    "http://exa%6dple.com/": Reason.MALFORMED_URL,
    "http://\u202eexample.com/": Reason.MALFORMED_URL,
    "file:///etc/passwd": Reason.UNSUPPORTED_SCHEME,
    "FTP://example.com/x.jpg": Reason.UNSUPPORTED_SCHEME,
    "data:image/png;base64,AAAA": Reason.UNSUPPORTED_SCHEME,
    "javascript:alert(1)": Reason.UNSUPPORTED_SCHEME,
    "gopher://example.com/": Reason.UNSUPPORTED_SCHEME,
    "blob:http://example.com/x": Reason.UNSUPPORTED_SCHEME,
    "https+unix://x/": Reason.UNSUPPORTED_SCHEME,
}


@pytest.mark.parametrize("url", URLS, ids=lambda url: url[:30])
async def test_what_is_no_url_is_refused(url: str) -> None:
    async with Client(LIMITS) as client:
        assert await outcome(client, url) is URLS[url]
        assert await outcome(client, url, api=True) is URLS[url]


async def test_what_is_asked_and_what_is_not_sent() -> None:
    cookie = {"Set-Cookie": "a=b; Path=/"}
    async with (
        Server({"/x": answer(200, BODY, cookie), "/y": answer(200, BODY, cookie)}) as server,
        Client(replace(limits(server), tokens={server.at: "t0ken"})) as client,
    ):
        await client.media(server.url("/x"))
        await client.media(server.url("/x"))
        await client.get(server.url("/y?a=1"), params={"b": "2 &"})
    media, api = server.asked("/x")[1], server.asked("/y?a=1&b=2+%26")[0]
    assert media.headers["user-agent"].startswith("curate/")
    assert "(a@b.org) aiohttp/" in media.headers["user-agent"]
    assert media.headers["accept-encoding"] == "identity"
    assert api.headers["accept-encoding"] == "gzip, deflate"
    assert api.headers["authorization"] == "Bearer t0ken"
    assert not {"cookie", "authorization", "referer", "range"} & set(media.headers)
    assert len(server.asked("/robots.txt")) == 1


async def test_silence_is_waited_out_no_longer_than_allowed() -> None:
    half = raw(head(200, {"Content-Length": "9"}) + b"1234", end="hang")
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())  # now its queue is full: no other connect is answered
        deaf = f"127.0.0.1:{full.getsockname()[1]}"
        async with Server({"/half": half, "/mute": raw(end="hang")}) as server:
            base = replace(LIMITS, allow_private=(server.at, deaf), timeout=9, connect_timeout=9, read_timeout=9)
            for url, patience in (
                (f"http://{deaf}/", replace(base, connect_timeout=0.3)),
                (server.url("/half"), replace(base, read_timeout=0.3)),
                (server.url("/mute"), replace(base, read_timeout=0.3)),
            ):
                async with Client(patience) as client:
                    started = now()
                    assert await outcome(client, url) is Reason.TIMEOUT
                    assert now() - started < 1


async def test_a_token_goes_to_no_other_host() -> None:
    async with (
        Server({"/x": answer(200)}, "127.0.0.2") as other,
        Server({"/x": redirect(other.url("/x"))}) as server,
        Client(replace(limits(server, other), tokens={server.at: "t0ken"})) as client,
    ):
        await client.get(server.url("/x"))
    assert "authorization" in server.requests[0].headers
    assert "authorization" not in other.requests[0].headers


async def test_a_token_goes_nowhere_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    here = socket.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
    async with Server({"/x": answer(200)}) as server:
        name = f"api.test:{server.port}"
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, port, *_, **__: [(*i[:4], (i[4][0], port)) for i in here]
        )
        base = replace(limits(server), allow_ports=(server.port,), tokens={name: "t0ken", server.at: "t0ken"})
        async with Client(base) as client:
            await client.get(f"http://{name}/x")  # plays a public host: only its address is excepted
            await client.get(server.url("/x"))
    assert ["authorization" in request.headers for request in server.requests] == [False, True]


async def test_a_circle_of_redirects_is_seen_at_once() -> None:
    async with Server({"/x": redirect("/y"), "/y": redirect("/x")}) as server, Client(limits(server)) as client:
        assert await outcome(client, server.url("/x")) is Reason.TOO_MANY_REDIRECTS
    assert [request.path for request in server.requests] == ["/robots.txt", "/x", "/y"]


async def test_a_response_says_where_it_came_from() -> None:
    reply = answer(200, b"x", {"ETag": '"e"', "X-Twice": "1", "x-twice": "2", "X-Raw": "caf\u00e9"})
    routes = {"/a": redirect("/b"), "/b": redirect("/c?d"), "/c": reply}
    async with Server(routes) as server, Client(limits(server)) as client:
        found = await client.media(server.url("/a#top"))
    assert (found.url, found.status, found.body) == (server.url("/c?d"), 200, b"x")
    assert found.hops == (server.url("/a"), server.url("/b"))
    assert found.headers["etag"] == '"e"'
    assert found.headers["x-twice"] == "1, 2"
    assert all(text.encode() for text in found.headers.values())


@pytest.mark.parametrize("status", [200, 206, 301, 302, 401, 403, 404, 410, 429, 451, 500, 503, 599, 600, 999, 100, 0])
def test_every_status_but_success_has_a_reason(status: int) -> None:
    refusal = failures.refusal(status, {}, b"")
    assert (refusal is None) == (status == 200)


def _all(kind: type[BaseException]) -> list[type[BaseException]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in _all(sub))]


@pytest.mark.parametrize("kind", _all(client_exceptions.ClientError), ids=lambda kind: kind.__name__)
def test_every_exception_of_aiohttp_is_named_at_the_border(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    if isinstance(error, aiohttp.ClientConnectorError):
        error._os_error = OSError(111, "refused")
    assert isinstance(error, failures.FOREIGN)
    found = failures.item_error(error)
    assert found.reason in {
        Reason.CONNECT, Reason.DNS, Reason.TLS, Reason.TIMEOUT, Reason.TRUNCATED,
        Reason.MALFORMED_URL, Reason.UNSUPPORTED_SCHEME, Reason.MALFORMED_ANSWER,
    }  # fmt: skip


async def test_no_detail_names_a_url_or_what_a_server_said() -> None:
    async with (
        Server({"/secret": raw(b"HTTP/1.1 200 OK\r\nX\x00: secret\r\n\r\n")}) as server,
        Client(limits(server)) as client,
    ):
        for url in (server.url("/secret"), "http://secret.test/secret", "http://127.0.0.1:81/secret"):
            with pytest.raises(ItemError) as caught:
                await client.get(url)
            assert "secret" not in str(caught.value)
            assert "127.0.0.1" not in str(caught.value)


async def test_a_closed_port_a_name_that_is_none_and_bad_tls(tmp_path: Path) -> None:
    signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed.load_cert_chain(_certificate(tmp_path))
    port = closed_port()
    async with (
        Server({}) as mute,
        Server({}, tls=signed) as own,
        await asyncio.start_server(_greet, "127.0.0.1") as plain,
    ):
        hasty = f"127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        base = replace(LIMITS, allow_private=(mute.at, own.at, hasty, f"127.0.0.1:{port}"))
        async with Client(base) as client:
            assert await outcome(client, f"http://127.0.0.1:{port}/") is Reason.CONNECT
            assert await outcome(client, "http://nobody.test/") is Reason.DNS
            assert await outcome(client, own.url(scheme="https")) is Reason.TLS  # nobody vouches for its certificate
            assert await outcome(client, f"https://{hasty}/") is Reason.TLS  # speaks no TLS
            assert await outcome(client, mute.url(scheme="https")) is Reason.TIMEOUT  # waits for the rest of a request
            assert await outcome(client, own.url()) in (Reason.CONNECT, Reason.TIMEOUT)


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


def _certificate(folder: Path) -> Path:
    """A certificate that nobody vouches for, with its key."""
    path = folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", path, "-out", folder / "cert.pem"], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write((folder / "cert.pem").read_bytes())
    return path


@pytest.mark.parametrize("contact", [None, "", "  ", "a@b.org\r\nX: y"])
def test_without_a_contact_there_is_no_client(contact: str | None) -> None:
    with pytest.raises(UsageError, match=r"fetch\.contact"):
        Limits(contact)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"concurrency": 0}, {"per_host": -1}, {"timeout": 0}, {"min_rate": 0}])
def test_limits_that_cannot_be_are_refused(wrong: Mapping[str, float]) -> None:
    with pytest.raises(UsageError, match=f"fetch.{next(iter(wrong))}"):
        replace(LIMITS, **wrong)  # type: ignore[arg-type]


def test_the_client_is_an_http() -> None:
    http: Http = Client(LIMITS)
    assert callable(http.get)


async def test_leaving_ends_what_is_under_way() -> None:
    before = asyncio.all_tasks()
    async with Server({"/robots.txt": raw(end="hang"), "/x": raw(end="hang")}) as server:
        async with Client(replace(limits(server), read_timeout=30, timeout=30)) as client:
            asking = [asyncio.create_task(ask(server.url("/x"))) for ask in (client.media, client.get)]
            await asyncio.sleep(0.1)
            for task in asking:
                task.cancel()
            results = await asyncio.gather(*asking, return_exceptions=True)
        left = asyncio.all_tasks() - before
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert {task.get_coro().__qualname__ for task in left} <= {"Server._serve"}  # type: ignore[union-attr]
