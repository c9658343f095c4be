"""Reading URLs that strangers wrote: what is not plainly an http(s) URL of a named host is refused, with its reason."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from yarl import URL

from curate.errors import ItemError
from curate.records import Reason

MAX_URL = 16_384
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?!\d)")  # `name:80/x` is a host without a scheme
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_INVALID = re.compile(r"[^\x21\x23-\x3b\x3d\x3f-\x5d\x5f\x61-\x7a|~]")  # RFC 3986; browsers forgive "[", "]" and "|"
_LABEL = r"[a-z0-9_\-]{1,63}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_SLASHES = re.compile(r"/{2,}")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def parse(text: str) -> URL:
    """A URL as a source gave it, asked for byte for byte; raises ItemError: malformed_url, unsupported_scheme,
    address_denied.

    Path and query are what others sign and compare: escapes stay as they are written, dot segments too. Only characters
    that no URL may hold are escaped, as browsers do. Userinfo is refused, since it serves to disguise hosts and to leak
    credentials. A host that is a number in other than canonical form (decimal, hex, octal, short) is refused as an
    address, since resolvers read it as one.
    """
    if " " in text:
        raise ItemError(Reason.MALFORMED_URL, "a space in it")
    return _checked(text, None)


def redirected(base: URL, location: str) -> URL:
    """Where a `Location` header points, seen from `base`; spaces and raw bytes are escaped, as browsers do."""
    return _checked(location.strip(" \t"), base)


def is_url(text: str) -> bool:
    """Whether a text names a place by its address, whatever the scheme, and no file of this machine."""
    return _ADDRESS.match(text) is not None


def host_key(url: str | URL) -> str:
    """The name under which a URL's host is counted: politeness, breaker and schedule are kept by it.

    `name`, or `name:port` where the port is neither 80 nor 443; raises ItemError as `parse` does.
    """
    parsed = url if isinstance(url, URL) else parse(url)
    host = (parsed.raw_host or "").rstrip(".")
    return host if parsed.port in (80, 443) else f"{host}:{parsed.port}"


def place_name(url: URL) -> str:
    """One name for all spellings of an address, to remember it by; it is asked for as it was written.

    RFC 3986's normal form (small letters in scheme and host, no port that is the scheme's own, capitals in escapes and
    none for a character that needs none, no `.` and `..`), without a dot at the host's end, empty segments, and slashes
    at the path's end. No name is looked up: `localhost` and `127.0.0.1` stay two.
    """
    known = URL(str(url))  # which quotes anew
    host = (known.raw_host or "").rstrip(".")
    port = "" if known.is_default_port() else f":{known.port}"
    path = _SLASHES.sub("/", known.raw_path).rstrip("/")
    query = f"?{known.raw_query_string}" if known.raw_query_string else ""
    return f"{known.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}{query}"


def _checked(text: str, base: URL | None) -> URL:
    if not text or len(text) > MAX_URL or _CONTROL.search(text) or "\\" in text:
        raise ItemError(Reason.MALFORMED_URL, "empty, too long, or with characters no URL has")
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise ItemError(Reason.UNSUPPORTED_SCHEME, scheme[1].lower()[:20])
    try:
        absolute = text if base is None or scheme else _resolved(base, text)
        authority, target = _split(absolute)
        url = URL(authority)
        userinfo = url.raw_user is not None or url.raw_password is not None
        host, port, name = url.raw_host or "", url.port, url.scheme
    except ValueError as error:
        raise ItemError(Reason.MALFORMED_URL, "cannot be read as a URL") from error
    if name not in ("http", "https") or not host or not port:
        raise ItemError(Reason.MALFORMED_URL, "no scheme, host or port")
    if userinfo:
        raise ItemError(Reason.MALFORMED_URL, "credentials in it")
    _check_host(host)
    # The query goes along as part of the path: yarl would drop an empty one, and its "?" with it.
    return URL.build(scheme=name, authority=url.raw_authority, path=target, encoded=True)


def _split(text: str) -> tuple[str, str]:
    """An absolute URL as scheme with authority, and what is asked of that server: path and query, without fragment."""
    begin = text.find("//") + 2
    end = next((at for at in range(begin, len(text)) if text[at] in "/?#"), len(text))
    target = _INVALID.sub(_escape, text[end:].partition("#")[0])
    return text[:end], target if target.startswith("/") else f"/{target}"


def _resolved(base: URL, reference: str) -> str:
    """A relative reference as an absolute URL (RFC 3986, section 5.2), nothing in it re-quoted.

    Dot segments of an absolute path stay, as they do in an absolute URL; those of a relative one are steps.
    """
    if reference.startswith("/"):
        return f"{base.scheme}:{reference}" if reference.startswith("//") else f"{base.origin()}{reference}"
    path, mark, query = reference.partition("#")[0].partition("?")
    known, had, asked = base.raw_path.partition("?")
    if not path:
        return f"{base.origin()}{known}{mark or had}{query if mark else asked}"
    joined = base.origin().with_path(known, encoded=True).join(URL(_INVALID.sub(_escape, path), encoded=True))
    return f"{base.origin()}{joined.raw_path}{mark}{query}"


def _escape(found: re.Match[str]) -> str:
    """The bytes of one character; those that were no UTF-8 came as surrogates, and leave as they came."""
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _check_host(host: str) -> None:
    if ":" in host:
        if not is_address(host):
            raise ItemError(Reason.ADDRESS_DENIED, "not a plain IPv6 address")
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise ItemError(Reason.MALFORMED_URL, "not a host name")
    elif _NUMBER.fullmatch(host.rstrip(".")) and not is_address(host):
        raise ItemError(Reason.ADDRESS_DENIED, "a number in place of a host")


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    """True for an IPv4 or IPv6 address in canonical form, without brackets and scope."""
    try:
        IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        return False
    return "%" not in host


def hostname(url: str | None) -> str | None:
    """The host that a URL on record names, to compare rows by; None where there is none. It is not judged: that is
    `parse`'s affair, before anything is asked for."""
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:  # a netloc that is none
        return None


MALFORMED = "malformed"  # the host of what is no URL


def host(kind: str, locator: str) -> str:
    """What politeness is counted by; every malformed URL shares one name, and what is no URL has none."""
    try:
        return host_key(parse(locator)) if kind == "url" else ""
    except ItemError:
        return MALFORMED
