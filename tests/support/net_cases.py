"""What servers do, and what becomes of it: a table of promises, run by test_net_client.py."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from curate.net.limits import Limits
from curate.records import Reason
from tests.support.net_server import Behaviour, answer, chunked, drip, head, in_turn, packed, raw, redirect

CAP = 100_000
LIMITS = Limits(
    "a@b.org",
    timeout=1.5,
    connect_timeout=0.5,
    read_timeout=0.4,
    min_rate=2_000,
    max_bytes=CAP,
    retries=0,
    backoff=0.01,
    probes=(),
)
BODY = b"\xff\xd8" + bytes(range(256)) * 64
NOISE = random.Random(0).randbytes(CAP).hex().encode()
BOMB = packed(bytes(50_000_000))


def sized(size: int) -> bytes:
    return head(200, {"Content-Length": str(size)})


@dataclass(frozen=True)
class Case:
    """What the server does at `/x` (and elsewhere), and what becomes of it: a reason, or a body."""

    does: Behaviour
    ends: Reason | bytes
    more: Mapping[str, Behaviour] = field(default_factory=dict)
    limits: Limits = LIMITS
    api: bool = False


def case(does: Behaviour, ends: Reason | bytes, **more: Behaviour) -> Case:
    return Case(does, ends, {f"/{path}": behaviour for path, behaviour in more.items()})


def allowing(robots: Behaviour, ends: Reason | bytes) -> Case:
    return Case(answer(200, BODY), ends, {"/robots.txt": robots})


def tagged(value: str, ends: Reason | bytes) -> Case:
    return case(answer(200, BODY, {"X-Robots-Tag": value}), ends)


R = Reason
STAIRS = {f"{n}": redirect(f"/{n + 1}") for n in range(1, 5)}
BOM = b"\xef\xbb\xbf"
DENY = b"User-agent: *\nDisallow: /"
AGAIN = replace(LIMITS, retries=3)
CASES: dict[str, Case] = {
    # honest
    "whole": case(answer(200, BODY), BODY),
    "chunked": case(chunked(BODY), BODY),
    "ends with the connection": case(raw(head() + BODY), BODY),
    "in many pieces": case(raw(sized(len(BODY)), *(BODY[n : n + 999] for n in range(0, len(BODY), 999))), BODY),
    "empty": case(answer(200), b""),
    "no content": case(answer(204), b""),
    "of a wrong type": case(answer(200, b"<html>", {"Content-Type": "image/jpeg"}), b"<html>"),
    "after many 100 Continue": case(raw(head(100) * 20 + sized(2) + b"ok"), b"ok"),
    "slowly, but fast enough": case(raw(sized(9999), *[bytes(1111)] * 9, gap=0.12), bytes(9999)),
    "exactly the cap": case(answer(200, bytes(CAP)), bytes(CAP)),
    "bare line feeds": case(raw(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), b"ok"),
    # slow
    "accepts and never answers": case(raw(end="hang"), R.TIMEOUT),
    "headers, then silence": case(raw(sized(9), end="hang"), R.TIMEOUT),
    "half a body, then silence": case(raw(sized(9) + b"1234", end="hang"), R.TIMEOUT),
    "half the headers, then silence": case(raw(b"HTTP/1.1 200 OK\r\nContent-", end="hang"), R.TIMEOUT),
    "headers for ever, slowly": case(drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.1), R.TIMEOUT),
    "one header line for ever": case(drip(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.1), R.TIMEOUT),
    "a trickle": case(drip(sized(50_000), b"12345", 0.05), R.TOO_SLOW),
    "a trickle in chunks": case(drip(head(200, {"Transfer-Encoding": "chunked"}), b"1\r\na\r\n", 0.05), R.TOO_SLOW),
    "faster than the least rate, but for ever": case(drip(head(), bytes(500), 0.05), R.TIMEOUT),
    "100 Continue for ever": case(drip(b"", head(100), 0.05), R.TIMEOUT),
    # large
    "endless": case(drip(head(), bytes(65_536), 0), R.TOO_LARGE),
    "endless chunks": case(
        drip(head(200, {"Transfer-Encoding": "chunked"}), b"ffff\r\n" + bytes(65_535) + b"\r\n", 0), R.TOO_LARGE
    ),
    "declares too much": case(raw(sized(CAP + 1), end="hang"), R.TOO_LARGE),
    "declares a terabyte": case(raw(sized(10**12), end="hang"), R.TOO_LARGE),
    "one byte over the cap": case(raw(head() + bytes(CAP + 1)), R.TOO_LARGE),
    # lengths that lie
    "declares more than it sends": case(raw(sized(99) + b"12345"), R.TRUNCATED),
    "declares less than it sends": case(raw(sized(2) + b"ok", b"more", gap=0.05), b"ok"),
    "a length that is no number": case(raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"), R.MALFORMED_ANSWER),
    "a negative length": case(raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok"), R.MALFORMED_ANSWER),
    "two lengths": case(raw(head(200, {"Content-Length": "2", "content-length": "3"}) + b"okk"), R.MALFORMED_ANSWER),
    "two lengths, the same": case(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-length:2\r\n\r\nok"), b"ok"),
    "three lengths, the same": case(raw(b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 2\r\n" * 3 + b"\r\nok"), b"ok"),
    "one length, twice in a line": case(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"), b"ok"),
    "two lengths in a line": case(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nokk"), R.MALFORMED_ANSWER),
    "the same length twice, in many pieces": case(
        raw(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 2\r\n" * 2 + b"\r\nok"), gap=0.002),
        b"ok",
    ),
    "a length and chunks": case(chunked(b"ok", {"Content-Length": "2"}), b"ok"),
    "a length that lies and chunks": case(chunked(b"ok", {"Content-Length": "9"}), b"ok"),
    "chunks without an end": case(chunked(BODY, end=b""), R.TRUNCATED),
    "a chunk size that is none": case(
        raw(head(200, {"Transfer-Encoding": "chunked"}), b"zz\r\nok\r\n", gap=0.05), R.TRUNCATED
    ),
    "a chunk size that overflows": case(
        raw(head(200, {"Transfer-Encoding": "chunked"}), b"f" * 17 + b"\r\nok", gap=0.05), R.TRUNCATED
    ),
    "a part nobody asked for": case(answer(206, BODY, {"Content-Range": "bytes 0-9/99"}), R.TRUNCATED),
    # connections that break
    "closes without a word": case(raw(), R.CONNECT),
    "resets without a word": case(raw(end="reset", gap=0.05), R.CONNECT),
    "closes within the headers": case(raw(b"HTTP/1.1 200 OK\r\nContent-"), R.CONNECT),
    "resets within the body": case(raw(sized(9) + b"1234", end="reset", gap=0.05), R.TRUNCATED),
    "resets within chunks": case(
        raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\n12345\r\n", end="reset", gap=0.05), R.TRUNCATED
    ),
    "resets where the end was to come": case(raw(head() + BODY, end="reset", gap=0.05), R.TRUNCATED),
    # no HTTP
    "garbage": case(raw(b"\x00\x01\x02 garbage\r\n\r\n"), R.MALFORMED_ANSWER),
    "no status": case(raw(b"HTTP/1.1\r\n\r\n"), R.MALFORMED_ANSWER),
    "a status of two digits": case(raw(b"HTTP/1.1 20 OK\r\n\r\n"), R.MALFORMED_ANSWER),
    "HTTP/0.9": case(raw(b"<html>hello</html>"), R.MALFORMED_ANSWER),
    "TLS on a plain port": case(raw(b"\x15\x03\x01\x00\x02\x02\x46"), R.MALFORMED_ANSWER),
    "a flood of headers": case(drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100, 0), R.MALFORMED_ANSWER),
    "a huge header": case(drip(b"HTTP/1.1 200 OK\r\nX: ", bytes(65_536), 0), R.MALFORMED_ANSWER),
    "a NUL in a header": case(raw(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"), R.MALFORMED_ANSWER),
    "switches protocols": case(raw(head(101, {"Connection": "upgrade", "Upgrade": "websocket"})), R.HTTP_4XX),
    # encodings
    **{
        f"says {said!r} of a plain body": case(answer(200, BODY, {"Content-Encoding": said}), BODY)
        for said in ("none", "binary", "utf-8", "UTF-8", "aws-chunked", "identity", "aws-chunked, identity", "")
    },
    "gzip under aws-chunked": case(answer(200, packed(BODY), {"Content-Encoding": "gzip,aws-chunked"}), BODY),
    "gzip unasked": case(answer(200, packed(BODY), {"Content-Encoding": "gzip"}), BODY),
    "deflate": case(answer(200, packed(BODY, 15), {"Content-Encoding": "deflate"}), BODY),
    "raw deflate": case(answer(200, packed(BODY, -15), {"Content-Encoding": "deflate"}), BODY),
    "gzip of two members": case(answer(200, packed(b"a") + packed(b"b"), {"Content-Encoding": "x-gzip"}), b"ab"),
    "gzip with padding": case(answer(200, packed(BODY) + bytes(99), {"Content-Encoding": "gzip"}), BODY),
    "gzip cut short": case(answer(200, packed(BODY)[:-9], {"Content-Encoding": "gzip"}), R.TRUNCATED),
    "gzip that is none": case(answer(200, BODY, {"Content-Encoding": "gzip"}), R.ENCODING_DENIED),
    "gzip bomb": case(answer(200, BOMB, {"Content-Encoding": "gzip"}), R.BOMB),
    "gzip bomb in chunks": case(chunked(BOMB, {"Content-Encoding": "gzip"}), R.BOMB),
    "deflate bomb": case(answer(200, packed(bytes(10**7), 15), {"Content-Encoding": "deflate"}), R.BOMB),
    "many gzip members": case(answer(200, packed(b"") * 4000, {"Content-Encoding": "gzip"}), R.BOMB),
    "gzip of what is large anyway": case(answer(200, packed(NOISE), {"Content-Encoding": "gzip"}), R.TOO_LARGE),
    "gzip twice": case(answer(200, packed(packed(BODY)), {"Content-Encoding": "gzip, gzip"}), R.ENCODING_DENIED),
    "brotli": case(answer(200, b"x", {"Content-Encoding": "br"}), R.ENCODING_DENIED),
    "an encoding of no name": case(answer(200, b"x", {"Content-Encoding": "zzz"}), R.ENCODING_DENIED),
    "identity": case(answer(200, BODY, {"Content-Encoding": "identity"}), BODY),
    "a transfer encoding within chunks": case(
        raw(head(200, {"Transfer-Encoding": "gzip, chunked"}) + b"2\r\nok\r\n0\r\n\r\n"), R.ENCODING_DENIED
    ),
    # statuses
    "401": case(answer(401), R.HTTP_401_403),
    "403": case(answer(403, BODY), R.HTTP_401_403),
    "404": case(answer(404, BODY), R.HTTP_404),
    "404 with an endless body": case(drip(head(404), bytes(65_536), 0), R.HTTP_404),
    "410": case(answer(410), R.HTTP_410),
    "451": case(answer(451), R.HTTP_451),
    "400": case(answer(400), R.HTTP_4XX),
    "418": case(answer(418), R.HTTP_4XX),
    "304 to no condition": case(raw(head(304)), R.HTTP_4XX),
    "300 without a place": case(answer(300), R.HTTP_4XX),
    "999": case(answer(999), R.HTTP_4XX),
    "500": case(answer(500), R.HTTP_5XX),
    "503": case(answer(503), R.HTTP_5XX),
    "429": case(answer(429), R.HTTP_429_RATE),
    "429 with an endless body": case(drip(head(429), bytes(65_536), 0), R.HTTP_429_RATE),
    "429 for a width that is not listed": case(
        answer(429, b"Error: Use thumbnail steps listed on https://w.wiki/GHai"), R.THUMB_SIZE_NOT_ALLOWED
    ),
    "the same in gzip": case(
        answer(429, packed(b"Use thumbnail steps listed"), {"Content-Encoding": "gzip"}), R.THUMB_SIZE_NOT_ALLOWED
    ),
    "429 that says when": case(answer(429, b"Use thumbnail steps", {"Retry-After": "9"}), R.HTTP_429_RATE),
    # redirects
    "redirect": case(redirect("/y"), BODY, y=answer(200, BODY)),
    "redirect without a scheme": case(redirect("//{at}/y"), BODY, y=answer(200, BODY)),
    "redirect with spaces": case(redirect("/a b"), R.HTTP_404),
    "redirect 308": case(redirect("y?a=b#c", 308), BODY, y=answer(200, BODY)),
    "five redirects": case(redirect("/1"), BODY, **STAIRS, **{"5": answer(200, BODY)}),
    "six redirects": case(redirect("/1"), R.TOO_MANY_REDIRECTS, **STAIRS, **{"5": redirect("/6"), "6": answer(200)}),
    "redirect to itself": case(redirect("/x"), R.TOO_MANY_REDIRECTS),
    "redirects in a circle": case(redirect("/y"), R.TOO_MANY_REDIRECTS, y=redirect("/x#again")),
    "redirect to nowhere": case(answer(302), R.MALFORMED_URL),
    "redirect to no URL": case(redirect("http://"), R.MALFORMED_URL),
    "redirect to a bad port": case(redirect("http://h:99999/"), R.MALFORMED_URL),
    "redirect in bytes that are no text": case(
        raw(b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n"), R.MALFORMED_URL
    ),
    "redirect to a file": case(redirect("file:///etc/passwd"), R.UNSUPPORTED_SCHEME),
    "redirect to ftp": case(redirect("ftp://127.0.0.1/"), R.UNSUPPORTED_SCHEME),
    "redirect to data": case(redirect("data:image/png;base64,AAAA"), R.UNSUPPORTED_SCHEME),
    "redirect to gopher": case(redirect("gopher://127.0.0.1:70/"), R.UNSUPPORTED_SCHEME),
    "redirect with credentials": case(redirect("http://u:p@{at}/"), R.MALFORMED_URL),
    "redirect to a private address": case(redirect("http://127.0.0.1/"), R.ADDRESS_DENIED),
    "redirect to another port": case(redirect("http://127.0.0.1:22/"), R.PORT_DENIED),
    # robots.txt
    "robots.txt allows": allowing(answer(200, b"User-agent: *\nDisallow: /y"), BODY),
    "robots.txt is empty": allowing(answer(200), BODY),
    "robots.txt forbids all": allowing(answer(200, DENY), R.ROBOTS_DISALLOWED),
    "robots.txt forbids us": allowing(answer(200, BOM + b"User-agent: curate\nDisallow: /x"), R.ROBOTS_DISALLOWED),
    "robots.txt forbids others": allowing(answer(200, b"User-agent: other\nDisallow: /"), BODY),
    "robots.txt allows us": allowing(answer(200, b"User-agent: *\nDisallow: /\n\nUser-agent: curate\nAllow: /"), BODY),
    "robots.txt in gzip": allowing(
        answer(200, packed(DENY), {"Content-Encoding": "gzip"}), R.ROBOTS_DISALLOWED
    ),
    "robots.txt in Latin-1": allowing(answer(200, b"# \xe9\nUser-agent: *\nDisallow: /x"), R.ROBOTS_DISALLOWED),
    "robots.txt is a page": allowing(answer(200, b"<html><body>Disallow: /</body></html>"), BODY),
    "robots.txt is forbidden": allowing(answer(403), BODY),
    "robots.txt wants a login": allowing(answer(401), BODY),
    "robots.txt fails": allowing(answer(503), R.ROBOTS_DISALLOWED),
    "robots.txt is limited": allowing(answer(429), R.HTTP_429_RATE),
    "robots.txt redirects": Case(
        answer(200, BODY), R.ROBOTS_DISALLOWED,
        {"/robots.txt": redirect("/r"), "/r": answer(200, DENY)},
    ),
    "robots.txt redirects for ever": allowing(redirect("/robots.txt"), BODY),
    "robots.txt redirects inwards": allowing(redirect("http://10.0.0.1/robots.txt"), R.ADDRESS_DENIED),
    "robots.txt never comes": allowing(raw(end="hang"), R.TIMEOUT),
    "robots.txt breaks off": allowing(raw(end="reset", gap=0.05), R.CONNECT),
    "robots.txt is endless": allowing(drip(head() + DENY + b"\n", b"# more\n" * 9000, 0), R.ROBOTS_DISALLOWED),
    "robots.txt of many stars": allowing(answer(200, b"User-agent: *\nDisallow: /" + b"*a" * 5000 + b"$"), BODY),
    "robots.txt forbids where a redirect leads": Case(
        redirect("/y"), R.ROBOTS_DISALLOWED, {"/robots.txt": answer(200, DENY + b"y"), "/y": answer()},
    ),
    "robots.txt does not govern an API": replace(
        allowing(answer(200, DENY), BODY), api=True
    ),
    "robots.txt not asked for": replace(
        allowing(answer(200, DENY), BODY), limits=replace(LIMITS, robots=False)
    ),
    # opt-out
    "noai": tagged("noai", R.OPT_OUT_HEADER),
    "noimageai": tagged("noindex, NoImageAI", R.OPT_OUT_HEADER),
    "noai for us": tagged("curate: noai", R.OPT_OUT_HEADER),
    "noai for others": tagged("otherbot: noindex, noai", BODY),
    "noai after another rule": tagged("unavailable_after: 25 Jun 2040 15:00:00 PST, noai", R.OPT_OUT_HEADER),
    "noai for others, then all": tagged("otherbot: noindex, *: noai", R.OPT_OUT_HEADER),
    "noindex": tagged("noindex, nofollow", BODY),
    "noai on a redirect": case(answer(302, b"", {"Location": "/y", "X-Robots-Tag": "noai"}), R.OPT_OUT_HEADER),
    "noai on a second line": case(
        answer(200, BODY, {"X-Robots-Tag": "all", "x-robots-tag": "noai"}), R.OPT_OUT_HEADER
    ),
    "noai does not govern an API": replace(tagged("noai", BODY), api=True),
    "noai not asked for": replace(tagged("noai", BODY), limits=replace(LIMITS, opt_out=False)),
    # tried again
    "5xx, then fine": replace(case(in_turn(answer(500), answer(503), answer(200, BODY)), BODY), limits=AGAIN),
    "reset, then fine": replace(
        case(in_turn(raw(sized(9) + b"12", end="reset", gap=0.05), answer(200, BODY)), BODY), limits=AGAIN
    ),
    "429 with seconds, then fine": replace(
        case(in_turn(answer(429, b"", {"Retry-After": "1"}), answer(200, BODY)), BODY), limits=AGAIN
    ),
    "5xx for ever": replace(case(answer(500), R.HTTP_5XX), limits=AGAIN),
    "404 is not tried again": replace(case(in_turn(answer(404), answer(200, BODY)), R.HTTP_404), limits=AGAIN),
    "Retry-After of an hour": replace(case(answer(429, b"", {"Retry-After": "3600"}), R.HTTP_429_RATE), limits=AGAIN),
    "Retry-After of no sense": replace(
        case(in_turn(answer(503, b"", {"Retry-After": "soon"}), answer(200, BODY)), BODY), limits=AGAIN
    ),
}  # fmt: skip
