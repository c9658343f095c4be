"""The border: what aiohttp raises and what servers answer become ItemErrors, here and nowhere else."""

import re
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import aiohttp
from multidict import CIMultiDictProxy

from curate.errors import ItemError
from curate.net.address_guard import DeniedError
from curate.records import Reason

FOREIGN = (aiohttp.ClientError, TimeoutError, OSError, UnicodeError)  # all that a request can raise

_RAISED = (  # the first that fits; anything else means that no HTTP answer came of the connection
    (TimeoutError, Reason.TIMEOUT),
    (aiohttp.ClientConnectorDNSError, Reason.DNS),
    ((aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError), Reason.TLS),
    (aiohttp.ClientPayloadError, Reason.TRUNCATED),
    (aiohttp.ClientResponseError, Reason.MALFORMED_ANSWER),
    (aiohttp.NonHttpUrlClientError, Reason.UNSUPPORTED_SCHEME),
    ((aiohttp.InvalidURL, UnicodeError), Reason.MALFORMED_URL),
)

_STATUSES: Mapping[int, Reason] = {
    206: Reason.TRUNCATED,  # nobody asked for a part
    401: Reason.HTTP_401_403,
    403: Reason.HTTP_401_403,
    404: Reason.HTTP_404,
    410: Reason.HTTP_410,
    429: Reason.HTTP_429_RATE,
    451: Reason.HTTP_451,
}
_THUMB_STEPS = re.compile(rb"thumbnail steps", re.IGNORECASE)
_OPT_OUT = frozenset({"noai", "noimageai"})
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def item_error(error: Exception) -> ItemError:
    """Why a request failed, from the exception it raised (one of FOREIGN); the detail names no host and no URL."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, DeniedError):
        return ItemError(Reason.ADDRESS_DENIED, "not a public address")
    reason = next((reason for kinds, reason in _RAISED if isinstance(error, kinds)), Reason.CONNECT)
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(_root(cause)).__name__
    return ItemError(reason, text)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ItemError | None:
    """Why an answer is not what was asked for, or None; `body` may be just its beginning."""
    if 200 <= status < 300 and status != 206:
        return None
    wait = retry_after(headers.get("Retry-After"))
    if status == 429 and wait is None and _THUMB_STEPS.search(body):
        return ItemError(Reason.THUMB_SIZE_NOT_ALLOWED, "ask for a width that the server lists")
    reason = _STATUSES.get(status) or (Reason.HTTP_5XX if 500 <= status < 600 else Reason.HTTP_4XX)
    return ItemError(reason, f"status {status}", wait)


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` asks to wait, from seconds or an HTTP date; None where it says nothing readable."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def opted_out(values: Sequence[str], agent: str) -> bool:
    """True where `X-Robots-Tag` lines say `noai` or `noimageai`, to everybody or to this agent.

    A line is a list of rules, where `name:` addresses those after it to one agent (the header's de-facto grammar).
    """
    return any(_says_no(value.lower(), agent.lower()) for value in values)


def plain(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Headers with lower-case names, repeated ones joined, bytes that are no text replaced."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _says_no(line: str, agent: str) -> bool:
    meant = True
    for rule in line.split(","):
        name, colon, rest = rule.partition(":")
        if colon and name.strip() not in _VALUED:
            meant, rule = name.strip() in ("*", agent), rest
        if meant and rule.strip() in _OPT_OUT:
            return True
    return False
