"""One configured server, asked as carefully as a stranger: no redirect, no proxy of the environment, no endless answer.

What goes wrong is said without a URL, a header or a hash, because it ends in logs and in the catalog.
"""

import json
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from curate.errors import GateError, UsageError

CONNECT, READ, WHOLE = 5.0, 20.0, 60.0  # seconds; WHOLE is for one answer
LARGEST = 8 * 2**20  # bytes of an answer
TRIES = 3
PAUSE = 0.5  # seconds, doubled each time
AGAIN = frozenset({429, 500, 502, 503, 504})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def checked(url: str, *, plain: bool) -> str:
    """The base URL, no slash at its end; raises UsageError for one with credentials, or without TLS unless `plain`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError("screening.matchers: url must be http(s)://host[:port][/path]")
    if parts.username or parts.password:
        raise UsageError("screening.matchers: url holds credentials; give them by the names of environment variables")
    if parts.scheme == "http" and not plain and parts.hostname not in _LOCAL:
        raise UsageError("screening.matchers: url must be https: credentials and hashes would travel in the clear")
    return url.rstrip("/")


def secret(name: str) -> str:
    """The value of an environment variable; raises GateError where it is not set. The value is never shown."""
    if not (value := os.environ.get(name)):
        raise GateError(f"the environment variable {name} is not set")
    return value


def session(auth: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None) -> requests.Session:
    """Connections that are kept, with credentials and nothing from the environment."""
    made = requests.Session()
    made.trust_env = False
    made.auth = auth
    made.headers.update({"User-Agent": "curate-media", "Accept": "application/json", **(headers or {})})
    return made


def ask(made: requests.Session, method: str, url: str, **given: Any) -> Any:
    """The JSON of an answer with status 200; raises GateError for any other, after a few tries where that may help."""
    said = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            status, body = _once(made, method, url, given)
        except (requests.RequestException, OSError, ValueError) as error:
            said = f"it does not answer ({type(error).__name__})"
            continue
        if status == 200:
            return _json(body)
        said = f"it answers with status {status}"
        if status not in AGAIN:
            break
    raise GateError(said)


def _once(made: requests.Session, method: str, url: str, given: Mapping[str, Any]) -> tuple[int, bytes]:
    end, body = time.monotonic() + WHOLE, bytearray()
    with made.request(
        method, url, timeout=(CONNECT, READ), allow_redirects=False, stream=True, params=given.get("params"),
        json=given.get("json"),
    ) as answer:  # fmt: skip
        for chunk in answer.iter_content(65536):
            body += chunk
            if len(body) > LARGEST or time.monotonic() > end:
                raise ValueError
        return answer.status_code, bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise GateError("its answer is not JSON") from None
