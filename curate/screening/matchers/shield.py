"""Arachnid Shield of the Canadian Centre for Child Protection: PDQ hashes are asked about, bytes never leave.

Source: the API's documentation at https://shield.projectarachnid.com/ (`POST /v1/pdq/`) and its public SDK. Accounts
are given to organisations on request.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from curate.errors import GateError
from curate.records import Digests
from curate.screening.matchers import _http

if TYPE_CHECKING:
    import requests

NO_MATCH = "no-known-match"


@dataclass(frozen=True)
class Shield:
    """The service at `url`, with the credentials in two environment variables. `batch` hashes are asked for at once.

    It knows no digests: a picture that says too little for PDQ is not known to it, and passes by it.
    """

    url: str = "https://shield.projectarachnid.com"
    username_env: str = "ARACHNID_SHIELD_USERNAME"
    password_env: str = "ARACHNID_SHIELD_PASSWORD"  # noqa: S105 (a name)
    provider: str = "Canadian Centre for Child Protection"
    batch: int = 256

    def check(self) -> None:
        """Ask for a hash that nothing has; raises GateError where the service does not say so."""
        self._asked([secrets.token_hex(32)])

    def ask(self, items: Sequence[Digests]) -> list[str | None]:
        """The classification of the first hash of each item that is known, or None; raises GateError."""
        hashes = sorted({one for item in items for one in item.pdq})
        known: dict[str, str | None] = {}
        for at in range(0, len(hashes), self.batch):
            known |= self._asked(hashes[at : at + self.batch])
        return [next((found for one in item.pdq if (found := known[one]) is not None), None) for item in items]

    @cached_property
    def _session(self) -> "requests.Session":
        return _http.session((_http.secret(self.username_env), _http.secret(self.password_env)))

    def _asked(self, hashes: Sequence[str]) -> dict[str, str | None]:
        url = f"{_http.checked(self.url, plain=False)}/v1/pdq/"
        coded = {base64.b64encode(bytes.fromhex(one)).decode(): one for one in hashes}
        answer = _http.ask(self._session, "POST", url, json={"hashes": list(coded)})
        found = answer.get("scanned_hashes") if isinstance(answer, dict) else None
        if not isinstance(found, dict) or not coded.keys() <= found.keys():
            raise GateError("its answer does not speak of every hash that was asked for")
        return {name: _classified(found[code]) for code, name in coded.items()}


def _classified(said: Any) -> str | None:
    """What is said of one hash. A class that nobody knows is a match; what cannot be understood is no answer."""
    if said is None:
        return None
    if not isinstance(said, dict) or not {"classification", "match_type"} & said.keys():
        raise GateError("its answer cannot be understood")
    kind, how = said.get("classification"), said.get("match_type")
    if kind in (None, NO_MATCH) and how is None:
        return None
    return str(kind or how)[:80]
