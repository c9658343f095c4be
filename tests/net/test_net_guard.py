"""The guard: no form of a private address, however written, resolved or redirected to, is ever connected to."""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

import curate.net.connector
from curate.errors import ItemError, UsageError
from curate.net.address_guard import Guard, is_public, unwrap
from curate.net.client import Client
from curate.net.limits import Limits
from curate.records import Reason
from tests.support.net_server import Server, answer, redirect

DENIED, MALFORMED = Reason.ADDRESS_DENIED, Reason.MALFORMED_URL

# Hosts as a URL may write them. `{port}` is that of a listener on 127.0.0.1 (and of one on ::1).
FORMS = {
    "127.0.0.1": DENIED,
    "127.0.0.2": DENIED,
    "127.255.255.254": DENIED,
    "localhost": DENIED,
    "LOCALHOST": DENIED,
    "127.1": DENIED,
    "127.0.1": DENIED,
    "2130706433": DENIED,  # decimal
    "0x7f000001": DENIED,  # hex
    "0x7F.1": DENIED,
    "0x7f.0x0.0x0.0x1": DENIED,
    "0177.0.0.1": DENIED,  # octal
    "0177.0.0.0x1": DENIED,
    "017700000001": DENIED,
    "00000177.0.0.1": DENIED,
    "127.0.0.01": DENIED,
    "127.0.0.1.": DENIED,  # a trailing dot
    "0": DENIED,
    "0.0.0.0": DENIED,
    "0.0.0.1": DENIED,
    "①②⑦.⓪.⓪.①": DENIED,  # digits that IDNA folds
    "127。0。0。1": DENIED,  # full stops that IDNA folds
    "ⓛocalhost": DENIED,
    "%31%32%37.0.0.1": MALFORMED,
    "127.0.0.1%00.example.com": MALFORMED,
    "127.0.0.1%2eexample.com": MALFORMED,
    "example.com@127.0.0.1": MALFORMED,  # userinfo
    "user:secret@127.0.0.1": MALFORMED,
    "127.0.0.1\\@example.com": MALFORMED,
    "127.0.0.1 ": MALFORMED,
    "127.0.0.1\t": MALFORMED,
    "[::1]": DENIED,
    "[::]": DENIED,
    "[0:0:0:0:0:0:0:1]": DENIED,
    "[::127.0.0.1]": DENIED,  # IPv4-compatible
    "[::ffff:127.0.0.1]": DENIED,  # IPv4-mapped
    "[::ffff:7f00:1]": DENIED,
    "[::ffff:0:127.0.0.1]": DENIED,  # IPv4-translated
    "[64:ff9b::7f00:1]": DENIED,  # NAT64
    "[64:ff9b:1::7f00:1]": DENIED,  # NAT64, local use
    "[2002:7f00:1::]": DENIED,  # 6to4
    "[2002:a9fe:a9fe::1]": DENIED,
    "[2001:0:7f00:1::]": DENIED,  # Teredo
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]": DENIED,  # Teredo whose client is 127.0.0.1
    "[fe80::1]": DENIED,
    "[fe80::1%25lo]": DENIED,
    "[fec0::1]": DENIED,  # site-local
    "[fc00::1]": DENIED,
    "[fd00:ec2::254]": DENIED,  # metadata
    "[ff02::1]": DENIED,
    "[5f00::1]": DENIED,
    "[3fff::1]": DENIED,
    "[2001:db8::1]": DENIED,
    "[100::1]": DENIED,
    "[4000::1]": DENIED,
    "10.0.0.1": DENIED,
    "100.64.0.1": DENIED,
    "100.100.100.200": DENIED,  # metadata
    "168.63.129.16": DENIED,  # metadata
    "169.254.169.254": DENIED,  # metadata
    "172.16.0.1": DENIED,
    "172.31.255.254": DENIED,
    "192.0.0.192": DENIED,  # metadata
    "192.0.2.1": DENIED,
    "192.88.99.1": DENIED,
    "192.168.1.1": DENIED,
    "198.18.0.1": DENIED,
    "198.51.100.1": DENIED,
    "203.0.113.1": DENIED,
    "224.0.0.1": DENIED,
    "240.0.0.1": DENIED,
    "255.255.255.255": DENIED,
}
ADDRESSES = [form.strip("[]") for form in FORMS if form.strip("[]").count(".") == 3 or ":" in form]
ADDRESSES = [text for text in ADDRESSES if text.isascii() and set(text) <= set("0123456789abcdef.:")]

_connects: list[object] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _connects.append(args[1])


sys.addaudithook(_audit)


@pytest.fixture
def connects() -> Iterator[list[object]]:
    """Every address that this process tries to connect to."""
    _connects.clear()
    yield _connects
    _connects.clear()


def limits(ports: tuple[int, ...] = (), private: tuple[str, ...] = (), robots: bool = False) -> Limits:
    return Limits("a@b.org", private, (80, 443, *ports), retries=0, connect_timeout=2, robots=robots)


async def reason(client: Client, url: str) -> Reason:
    with pytest.raises(ItemError) as caught:
        await client.media(url)
    return caught.value.reason


@pytest.mark.parametrize("robots", [True, False])
async def test_no_form_of_a_private_address_is_connected_to(connects: list[object], robots: bool) -> None:
    async with Server({"/": answer()}) as v4, Client(limits((v4.port,), robots=robots)) as client:
        found = {form: await reason(client, f"http://{form}:{v4.port}/") for form in FORMS}
        api = [await _refused(client, f"http://{form}:{v4.port}/") for form in FORMS]
    assert found == FORMS
    assert set(api) == {DENIED, MALFORMED}
    assert connects == []
    assert v4.connections == 0


async def _refused(client: Client, url: str) -> Reason:
    with pytest.raises(ItemError) as caught:
        await client.get(url)
    return caught.value.reason


async def test_no_redirect_leads_to_a_private_address(connects: list[object]) -> None:
    async with Server({"/": answer()}) as secret:
        routes = {f"/{n}": redirect(f"http://{form}:{secret.port}/") for n, form in enumerate(FORMS) if form.isascii()}
        async with Server(routes) as front, Client(limits((secret.port,), (front.at,))) as client:
            found = {await reason(client, front.url(path)) for path in routes}
    assert found == {DENIED, MALFORMED}
    assert set(connects) == {(front.host, front.port)}
    assert secret.connections == 0


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_name_that_resolves_to_it_is_no_way_in(
    address: str, connects: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve(monkeypatch, [address])
    async with Client(limits()) as client:
        assert await reason(client, "http://evil.test/") is DENIED
        assert await reason(client, "https://evil.test/") is DENIED
    assert connects == []


async def test_rebinding_is_judged_at_each_connect(connects: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curate.net.connector, "DNS_TTL", 0)
    async with Server({"/": answer(200, b"ok", {"Connection": "close"})}, "127.0.0.2") as public:
        _resolve(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        async with Client(limits((public.port,), (public.at,))) as client:  # the exception lets it play a public host
            url = f"http://evil.test:{public.port}/"
            assert (await client.media(url)).body == b"ok"
            assert await reason(client, url) is DENIED
    assert connects == [("127.0.0.2", public.port)]


async def test_of_several_addresses_only_the_public_one_is_used(
    connects: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server({"/": answer(200, b"ok")}, "127.0.0.2") as public:
        _resolve(monkeypatch, ["127.0.0.1", "10.0.0.1", "127.0.0.2", "::1"])
        async with Client(limits((public.port,), (public.at,))) as client:
            assert (await client.media(f"http://mixed.test:{public.port}/")).body == b"ok"
    assert connects == [("127.0.0.2", public.port)]


async def test_a_name_all_of_whose_addresses_are_private_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch, ["127.0.0.1", "10.0.0.1", "::1"])
    async with Client(limits()) as client:
        assert await reason(client, "http://mixed.test/") is DENIED


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server({"/": answer(200, b"direct")}) as server, Server({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with Client(limits((), (server.at,))) as client:
            assert (await client.media(server.url())).body == b"direct"
    assert proxy.connections == 0


async def test_an_exception_is_exactly_its_host_and_port(connects: list[object]) -> None:
    async with Server({"/": answer(200, b"ok")}) as server, Server({"/": answer()}) as other:
        async with Client(limits((), (server.at,))) as client:
            assert (await client.media(server.url())).body == b"ok"
            assert await reason(client, other.url()) is Reason.PORT_DENIED
            assert await reason(client, f"http://localhost:{server.port}/") is Reason.PORT_DENIED
            assert await reason(client, f"http://127.0.0.2:{server.port}/") is Reason.PORT_DENIED
            assert await reason(client, "http://127.0.0.1/") is DENIED
        async with Client(limits((server.port,), (f"localhost:{server.port}",))) as client:
            assert (await client.media(f"http://localhost:{server.port}/")).body == b"ok"
            assert await reason(client, server.url()) is DENIED
    assert other.connections == 0


async def test_a_name_s_exception_is_not_lent_to_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server({"/": answer(200, b"ok")}) as server:
        _resolve(monkeypatch, ["127.0.0.1"])
        async with Client(limits((server.port,), (f"wiki.test:{server.port}",))) as client:
            assert (await client.media(f"http://wiki.test:{server.port}/")).body == b"ok"
            assert await reason(client, f"http://evil.test:{server.port}/") is DENIED
    assert server.connections == 1


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "*:80",
        "10.0.0.0/8:80",
        "http://h:80",
        "u@h:80",
        "h:0",
        "h:99999",
        "h:x",
        "",
        ":80",
        "::1:80",
        "h:80/",
    ],
)
def test_an_exception_that_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="allow_private"):
        Guard([text])


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 444, 6379, 8080, 65535])
async def test_only_listed_ports_are_asked(port: int, connects: list[object]) -> None:
    async with Client(limits()) as client:
        assert await reason(client, f"http://example.com:{port}/") is Reason.PORT_DENIED
    assert connects == []


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Let every name resolve to these addresses: the first list at the first question, and so on; the last stays."""
    left = list(answers)
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: object, **more: object) -> list[object]:
        if not str(host).endswith(".test"):
            return real(host, port, *args, **more)  # type: ignore[arg-type, return-value]
        return [_info(a, port) for a in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _info(address: str, port: int) -> tuple[object, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450:4001::200e", "2001:200::1", "2620:0:861::1", "64:ff9b::808:808", "::ffff:8.8.8.8",
    "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_what_the_registries_call_private_is_never_public(address: IPv4Address) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local
    assert not (special and is_public(address))


@given(st.ip_addresses(v=6))
def test_what_lies_outside_global_unicast_is_public_only_by_the_ipv4_in_it(address: IPv6Address) -> None:
    inside = address in ipaddress.ip_network("2000::/3") and address.is_global
    assert is_public(address) <= (inside or isinstance(unwrap(address), IPv4Address))


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_an_embedded_address_is_judged_as_itself(address: IPv4Address, rest: int) -> None:
    n = int(address)
    forms = [n, 0xFFFF << 32 | n, 0xFFFF << 48 | n, 0x64FF9B << 96 | n, 0x2002 << 112 | n << 80 | rest]
    assert [unwrap(IPv6Address(form)) for form in forms] == [address] * len(forms)
    assert {is_public(IPv6Address(form)) for form in forms} == {is_public(address)}
