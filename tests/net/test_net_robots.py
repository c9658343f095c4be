"""robots.txt as RFC 9309 has it: groups, tokens, the longest match, octets, wildcards."""

import time

import pytest
from yarl import URL

from curate.errors import ItemError
from curate.net.robots import AGENT, Robots
from curate.net.urls import parse
from curate.records import Response

ME = f"User-agent: {AGENT}\n"
ALL = "User-agent: *\n"


def rules(text: str, allowed: str = "", denied: str = "") -> list[tuple[str, str, bool]]:
    """Cases of one robots.txt: paths, parted by spaces, that it allows and denies."""
    return [(text, path, True) for path in allowed.split()] + [(text, path, False) for path in denied.split()]


CASES = [
    # which group binds (2.2.1)
    *rules("", "/ /a"),
    *rules(ALL + "Disallow: /", "/robots.txt", "/ /a"),
    *rules(ALL + "Disallow:", "/ /a"),
    *rules("User-agent: Curate/1.0\nDisallow: /", denied="/ /a"),
    *rules("User-agent: CURATE\nDisallow: /a", "/b", "/a"),
    *rules("user-agent:curate\ndisallow:/a", "/b", "/a"),
    *rules("User-agent: curate bot\nDisallow: /a", "/b", "/a"),
    *rules("User-agent: curater\nDisallow: /", "/a"),
    *rules("User-agent: cura\nDisallow: /", "/a"),
    *rules("User-agent: rate\nDisallow: /", "/a"),
    *rules("User-agent: curate-images\nDisallow: /", "/a"),
    *rules("User-agent: curate_images\nDisallow: /", "/a"),
    *rules("User-agent: cura\nAllow: /\n\n" + ALL + "Disallow: /", denied="/a"),
    *rules(ALL + "Disallow: /\n\n" + ME + "Disallow: /x", "/a", "/x"),
    *rules(ME + "Disallow: /x\n\n" + ALL + "Disallow: /", "/a", "/x"),
    *rules(ALL + "Disallow: /\n\n" + ME, "/a"),
    *rules(ME + "\n" + ALL + "Disallow: /", denied="/a"),  # a blank line ends no group
    *rules(ME + "Disallow: /a\n\nUser-agent: other\nDisallow: /b\n\n" + ME + "Disallow: /c", "/b", "/a /c"),
    *rules("User-agent: other\n" + ME + "Disallow: /a", "/b", "/a"),
    *rules(ME + "User-agent: other\nDisallow: /a", "/b", "/a"),
    *rules("User-agent: other\nDisallow: /", "/a"),
    *rules("Disallow: /", "/a"),
    *rules("Disallow: /\n" + ME + "Disallow: /b", "/a", "/b"),
    # records that are no rules end no group (2.2.4)
    *rules(ME + "Sitemap: https://h/s.xml\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "Clean-param: x /\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "Crawl-delay: 0\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "Host: h\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "nonsense: x\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "nonsense without a colon\nUser-agent: other\nDisallow: /a", "/b", "/a"),
    *rules(ME + "Disallow: /a\nSitemap: https://h/s.xml\nDisallow: /b", "/c", "/a /b"),
    *rules(ME + "Disallow: /a\nnonsense: x\nDisallow: /b", "/c", "/a /b"),
    *rules(ME + "Disallow: /a\nUser-agent: other\nDisallow: /b", "/b", "/a"),
    # the longest match, and of equals the one that allows (2.2.2)
    *rules(ME + "Allow: /a\nDisallow: /", "/a /ab", "/ /b"),
    *rules(ME + "Disallow: /\nAllow: /a", "/a /ab", "/ /b"),
    *rules(ME + "Allow: /a\nDisallow: /a", "/a"),
    *rules(ME + "Disallow: /a\nAllow: /a", "/a"),
    *rules(ME + "Disallow: /a/b\nAllow: /a", "/a /a/c", "/a/b /a/bc"),
    *rules(ME + "Allow: /page/\nDisallow: /page/disallowed.gif", "/page/", "/page/disallowed.gif"),
    *rules(ME + "Disallow: /a/*.html\nAllow: /a/b", "/a/b", "/a/b.html"),
    # octets are compared, escapes of unreserved ones undone (2.2.2)
    *rules(ME + "Disallow: /foo/bar/baz", "/foo/bar", "/foo/bar/baz /foo/bar/%62%61%7A"),
    *rules(ME + "Disallow: /foo/bar/%62%61%7A", "/foo/bar", "/foo/bar/baz /foo/bar/%62%61%7a"),
    *rules(ME + "Disallow: /foo/bar/ツ", "/foo/bar/", "/foo/bar/%E3%83%84 /foo/bar/%e3%83%84 /foo/bar/ツ"),
    *rules(ME + "Disallow: /foo/bar/%E3%83%84", "/foo/bar/", "/foo/bar/ツ /foo/bar/%E3%83%84"),
    *rules(ME + "Disallow: /foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar"),
    *rules(ME + "Disallow: /a%2Fb", "/a/b", "/a%2Fb /a%2fb"),
    *rules(ME + "Disallow: /a/b", "/a%2Fb", "/a/b"),
    *rules(ME + "Disallow: /~joe", "/joe", "/~joe /%7Ejoe /%7ejoe"),
    *rules(ME + "Disallow: /A", "/a", "/A"),
    *rules(ME + "Disallow: /a'b", "/a", "/a'b /a%27b"),
    # wildcards (2.2.3)
    *rules(ME + "Disallow: *", denied="/ /a"),
    *rules(ME + "Disallow: /*", denied="/ /a"),
    *rules(ME + "Disallow: /*.gif$", "/a.gif?x /a.gifs /a", "/a.gif /b/a.gif"),
    *rules(ME + "Disallow: /*.gif", "/a.jpg", "/a.gif /a.gif?x /a.gifs"),
    *rules(ME + "Disallow: /a$", "/ab /a/", "/a"),
    *rules(ME + "Disallow: /path/file-with-a-%2A.html", "/path/file-with-a-b.html", "/path/file-with-a-*.html"),
    *rules(ME + "Disallow: /a*b*c", "/ab /acb", "/abc /axbyc /abcd"),
    *rules(ME + "Disallow: /*?", "/a", "/a? /a?b"),
    *rules(ME + "Disallow: /?", "/ /a?", "/? /?a"),
    *rules(ME + "Allow: /$\nDisallow: /", "/", "/a"),
    # how lines may look (2.2)
    *rules("\ufeff" + ME + "Disallow: /a", "/b", "/a"),
    *rules(ME.replace("\n", "\r\n") + "Disallow: /a\r\nDisallow: /b\r\n", "/c", "/a /b"),
    *rules(ME.replace("\n", "\r") + "Disallow: /a\rDisallow: /b", "/c", "/a /b"),
    *rules("# of all\n" + ME + "Disallow: /a # of this\n#Disallow: /b", "/b", "/a"),
    *rules("  User-agent :  curate  \n\tDisallow\t:\t/a\t", "/b", "/a"),
    *rules(ME + "DISALLOW: /a\nallow: /a/b", "/a/b", "/a"),
    *rules(ME + "Disallow: /a\x00b\nDisallow: /c", "/d", "/c"),
    *rules("<html>no robots here</html>", "/ /a"),
]  # fmt: skip


async def asked(text: str, path: str) -> bool:
    async def fetch(url: URL) -> Response:
        assert url.path == "/robots.txt"
        return Response(str(url), 200, {}, text.encode())

    try:
        return await Robots(fetch, lambda url, delay: None).check(parse(f"https://host.example{path}")) == "allowed"
    except ItemError:
        return False


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize(("text", "path", "allowed"), CASES, ids=lambda one: repr(one)[:50])
async def test_a_case(text: str, path: str, allowed: bool) -> None:
    assert await asked(text, path) is allowed


@pytest.mark.parametrize(
    "text", [ME + "Crawl-delay: 3", ALL + "Crawl-delay: 3", "User-agent: Curate/2\nCrawl-delay: 3\nUser-agent: x"]
)
async def test_a_crawl_delay_is_that_of_the_group_that_binds(text: str) -> None:
    slowed: list[float] = []

    async def fetch(url: URL) -> Response:
        return Response(str(url), 200, {}, text.encode())

    await Robots(fetch, lambda url, delay: slowed.append(delay)).check(parse("https://host.example/a"))
    assert slowed == [3.0]


async def test_a_long_robots_txt_is_read_in_little_time() -> None:
    text = "".join(f"User-agent: bot-{n}\nDisallow: /{n}\n" for n in range(20_000)) + ME + "Disallow: /a"
    started = time.process_time()
    assert not await asked(text, "/a")
    assert (
        time.process_time() - started < 5
    )  # a bound on the work, not a measure of speed: it takes a tenth of a second
