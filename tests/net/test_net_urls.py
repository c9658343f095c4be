"""The address that is asked for is the one that was listed, byte for byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.net.client import Client
from curate.net.urls import hostname, parse, place_name, redirected
from tests.support.net_cases import LIMITS

EXACT = [  # targets that are valid as they stand (RFC 3986): asked for as they are
    "/", "/a.jpg", "/a%27b.jpg", "/a'b.jpg", "/a%2Fb.jpg", "/a%2fb.jpg", "/%41.jpg", "/A.jpg", "/%7Euser/", "/~user/",
    "/a%20b.jpg", "/a+b.jpg", "/a%2Bb.jpg", "/a;v=1/b", "/a,b!c$d&e'f(g)h*i", "/a%3Bv", "/:a", "/@a", "/a:b@c",
    "//a", "///a//b/", "/a/./b", "/a/../b", "/a/%2E%2E/b", "/a/.", "/a/..", "/%", "/%zz", "/%4", "/100%/x",
    "/?", "/a?", "/a??", "/?a", "/a?b=c", "/a?b=c&", "/a?&b", "/a?b=%26", "/a?b=&c", "/a?b=c=d", "/a?b=c%3Dd",
    "/p?u=https%3A%2F%2Fexample.org%2Fx.jpg&sig=1", "/p?u=https://example.org/x.jpg?y=1&s=%2B=", "/a?x=%27", "/a?x='",
    "/a?X-Amz-Signature=ab%2Fcd%2B%3D%3D", "/a?q=1+1", "/a?q=1%201", "/a?q=%C3%A9",
    "/%E2%82%AC?%e2%82%ac", "/caf%E9.jpg",
    "/a?[b]=c", "/a[1].jpg", "/a|b?c|d", "/w/thumb.php?f=A%26B.svg&w=300", "/web/2019id_/http://example.org/a%20b.jpg",
    "/a?b/c/../d", "/a?b?c", "/;", "/a%00b", "/a%0Ab", "/index.php?title=File:A_(b).jpg&x[]=1", "/a=b", "/*", "/a%252F",
]  # fmt: skip
ESCAPED = {  # what no URL may hold is escaped, as browsers do, and nothing else
    "/é.jpg": "/%C3%A9.jpg",
    "/a?é": "/a?%C3%A9",
    "/%27é": "/%27%C3%A9",
    "/日本.png?u=%2F": "/%E6%97%A5%E6%9C%AC.png?u=%2F",
    '/a"b': "/a%22b",
    "/a<b>": "/a%3Cb%3E",
    "/{id}?{x}": "/%7Bid%7D?%7Bx%7D",
    "/a^b`c": "/a%5Eb%60c",
    "/a#fragment": "/a",
    "/a?b#c?d": "/a?b",
    "?b": "/?b",
    "": "/",
}
LOCATIONS = {  # seen from /d/e/page?q=1, as raw bytes of a header
    b"/x%27y?u=https%3A%2F%2Fh": "/x%27y?u=https%3A%2F%2Fh",
    b"next.jpg": "/d/e/next.jpg",
    b"./next%2Fone.jpg": "/d/e/next%2Fone.jpg",
    b"../up.jpg?": "/d/up.jpg?",
    b"../../../../top": "/top",
    b"?p=2%2C3": "/d/e/page?p=2%2C3",
    b"a b.jpg": "/d/e/a%20b.jpg",
    b"/caf\xe9.jpg": "/caf%E9.jpg",
    b"/caf\xc3\xa9.jpg?\xe9": "/caf%C3%A9.jpg?%E9",
    b"/a?u=../b": "/a?u=../b",
    b"/a/../b": "/a/../b",
    b"x/../y?u=/../z": "/d/e/y?u=/../z",
    b"/a:b": "/a:b",
    b"/q#top": "/q",
}


@contextlib.asynccontextmanager
async def server(location: bytes = b"") -> AsyncIterator[tuple[str, list[str]]]:
    """A server that notes each request target as it comes; `/d/e/page?q=1` redirects to `location`."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode("latin-1")
        if target == "/robots.txt":
            writer.write(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif location and target == "/d/e/page?q=1":
            writer.write(
                b"HTTP/1.1 302 to\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % location
            )
        else:
            asked.append(target)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked


async def test_what_is_listed_is_what_is_asked_for() -> None:
    async with server() as (at, asked), Client(replace(LIMITS, allow_private=(at,))) as client:
        for target in (*EXACT, *ESCAPED):
            response = await client.media(f"http://{at}{target}")
            assert response.url == f"http://{at}{asked[-1]}"
        assert asked == [*EXACT, *ESCAPED.values()]
        assert len(EXACT) + len(ESCAPED) + len(LOCATIONS) >= 60


@pytest.mark.parametrize("location", LOCATIONS, ids=repr)
async def test_where_it_redirects_to_is_asked_for_as_it_was_written(location: bytes) -> None:
    async with server(location) as (at, asked), Client(replace(LIMITS, allow_private=(at,))) as client:
        await client.media(f"http://{at}/d/e/page?q=1")
    assert asked == [LOCATIONS[location]]


async def test_an_absolute_location_is_asked_for_as_it_was_written() -> None:
    async with (
        server() as (other, asked),
        server(b"http://%s/a%%27?u=%%2F\xe9" % other.encode()) as (at, _),
        Client(replace(LIMITS, allow_private=(at, other))) as client,
    ):
        await client.media(f"http://{at}/d/e/page?q=1")
    assert asked == ["/a%27?u=%2F%E9"]


VALID = st.text("abcXYZ019-._~!$&'()*+,;=:@/?%[]|", max_size=40)


@given(VALID)
def test_a_target_of_valid_characters_stays(text: str) -> None:
    assert str(parse(f"http://host.example/{text}")) == f"http://host.example/{text}"


@given(VALID, VALID)
def test_an_absolute_path_in_a_redirect_stays(base: str, text: str) -> None:
    location = f"/x{text}"
    assert redirected(parse(f"http://host.example/{base}"), location).raw_path_qs == location


def test_scheme_and_host_are_compared_without_case_and_a_fragment_is_not_asked_for() -> None:
    assert str(parse("HTTP://Host.Example/A?B#c")) == "http://host.example/A?B"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://user:pw@Example.org:8080/a", "example.org"), ("http://[::1]/a", "::1"), ("/a/path.jpg", None),
        ("http://[::1/a", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_the_host_that_a_url_on_record_names(url: str | None, name: str | None) -> None:
    """What rows are compared by, in slices, shortcuts, remarks and `check`: no port, no name and password."""
    assert hostname(url) == name


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        (
            "http://h.org",
            ["HTTP://H.org:80", "http://h.org/", "http://h.org.//", "http://h.org/x/..", "http://h.org#top"],
        ),
        ("https://h.org/a/b", ["https://h.org:443/a//b/", "https://H.ORG/a/./b", "https://h.org/%61/%2E/b"]),
        ("https://h.org/~a/%C3%A4%2F", ["https://h.org/%7ea/%c3%a4%2f", "https://h.org/~a/\u00e4%2F/"]),
        ("http://[::1]:81/a", ["http://[::1]:81//a/"]),
        ("http://h.org/a?x=%2B", ["http://h.org/a?x=%2b", "http://h.org/a/?x=%2B"]),
    ],
)
def test_all_spellings_of_an_address_have_one_name(name: str, spellings: list[str]) -> None:
    assert {place_name(parse(one)) for one in (name, *spellings)} == {name}


def test_other_addresses_have_other_names() -> None:
    """No name is looked up, and no escape is undone that means something else."""
    others = [
        "http://localhost/a",
        "http://127.0.0.1/a",
        "http://[::1]/a",
        "https://localhost/a",
        "http://localhost:81/a",
    ]
    others += ["http://localhost/A", "http://localhost/a%2Fb", "http://localhost/a/b", "http://localhost/a?b"]
    assert len({place_name(parse(one)) for one in others}) == len(others)


def test_a_name_is_its_own() -> None:
    for target in (*EXACT, *ESCAPED):
        name = place_name(parse(f"http://h.org{target}"))
        assert place_name(parse(name)) == name, target
