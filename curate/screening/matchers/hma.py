"""A Hasher-Matcher-Actioner server (`GET /m/lookup`): hashes are asked about one by one, bytes never leave.

Source: https://facebook.github.io/ThreatExchange/hma/api.html, and the server's own code (`blueprints/matching.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.records import Digests
from curate.screening.matchers import _http

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True)
class Hma:
    """The server at `url`, usually one's own. `signal_types` are those it has enabled, of pdq, md5, video_md5, sha1 and
    sha256; `token_env` names the variable with a bearer token, where a proxy before it wants one."""

    url: str
    signal_types: tuple[str, ...] = ("pdq",)
    token_env: str | None = None
    provider: str = "self"

    def check(self) -> None:
        """Raise GateError where an index is missing or empty: such a server matches nothing, in silence."""
        status = self._get("/m/index/status")
        for kind in self.signal_types:
            index = status.get(kind) if isinstance(status, dict) else None
            if not isinstance(index, dict) or index.get("present") is not True or not _positive(index.get("size")):
                raise GateError(f"its index of {kind} is missing or empty")

    def ask(self, items: Sequence[Digests]) -> list[str | None]:
        """The banks that hold a hash of each item, or None; raises GateError."""
        known: dict[tuple[str, str], str | None] = {}
        for item in items:
            for kind, value in self._signals(item):
                if (kind, value) not in known:
                    known[kind, value] = _banks(self._get("/m/lookup", {"signal_type": kind, "signal": value}))
        return [next((found for one in self._signals(i) if (found := known[one]) is not None), None) for i in items]

    def _signals(self, item: Digests) -> Iterator[tuple[str, str]]:
        digests = item.by_algorithm()
        for kind in self.signal_types:
            for value in item.pdq if kind == "pdq" else (digests[kind.removeprefix("video_")],):  # type: ignore[index]
                yield kind, value

    @cached_property
    def _session(self) -> "requests.Session":
        token = _http.secret(self.token_env) if self.token_env else None
        return _http.session(None, {"Authorization": f"Bearer {token}"} if token else None)

    def _get(self, path: str, params: dict[str, str] | None = None) -> Any:
        return _http.ask(self._session, "GET", f"{_http.checked(self.url, plain=True)}{path}", params=params)


def _positive(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


def _banks(answer: Any) -> str | None:
    """The names of the banks that match: a list of them, or a table with them as keys."""
    if isinstance(answer, dict) and not any(isinstance(value, list) for value in answer.values()) and answer:
        raise GateError("its answer cannot be understood")
    if not isinstance(answer, (list, dict)) or not all(isinstance(name, str) for name in answer):
        raise GateError("its answer cannot be understood")
    return ", ".join(sorted(answer))[:80] or None
