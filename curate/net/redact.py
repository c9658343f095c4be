"""URLs as they may be printed or exported: without what lets the reader in."""

import json
import re
from typing import Any
from urllib.parse import unquote

REDACTED = "REDACTED"

_USERINFO = re.compile(r"(?<=//)[^/?#\s]*@|(?<=%2F%2F)(?:(?!%2F|%3F|%23)[^/?#\s])*?(?:@|%40)", re.IGNORECASE)
_FIELD = re.compile(
    r"(?P<sep>[?&;#]|%3F|%26|%23)(?P<key>(?:(?!%3D|%26|%3F)[^=&;#?\s])+)(?P<eq>=|%3D)(?P<value>(?:(?!%26|%23)[^&;#\s])+)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"sig|signature|hmac|mac|hash_?token|policy|(access|auth|id|refresh|session|csrf|security)?[_-]?token|jwt|auth"
    r"|authorization|bearer|(api|access|secret|private|subscription)?[_-]?key([_-](pair[_-])?id)?|awsaccesskeyid|googleaccessid"
    r"|passw(or)?d|pwd|pass|secret|client_secret|credentials?|session(_?id)?|sid|phpsessid|code|ticket"
    r"|x-(amz|goog|oss|cos|ms|bce)-.*|oauth_.*|hdn(ea|ts)|__token__|verify|hm|oh|st",
    re.IGNORECASE,
)
_LONG = re.compile(r"s|h|t|k|e|m|md5|hash|sign|check|v", re.IGNORECASE)
_LONG_VALUE = re.compile(r"[A-Za-z0-9_\-+/=.%]{20,}")
SUSPECT = r"[@?&;#]|%(40|3F|26|23)"  # what a text must hold (in any case) to be changed by `redact`
SUSPECT_JSON = rf"{SUSPECT}|\\"  # or, in JSON, may be written as
_SUSPECT = re.compile(SUSPECT_JSON, re.IGNORECASE)


def redact(url: str) -> str:
    """The URL without userinfo, signatures, tokens and keys, those of URLs nested in it included; never raises.

    A short key that also means harmless things (`s=`, reddit's preview signature, or a size) loses its value only where
    that is long enough (20 characters) to be a signature. Not reversible: two signed forms of a URL may become one.
    """
    return _FIELD.sub(_field, _USERINFO.sub("", url))


def redacted(text: str | None) -> str | None:
    """JSON text with every string in it as `redact` leaves it; None stays None."""
    if text is None or not _SUSPECT.search(text):
        return text
    return json.dumps(_within(json.loads(text)), ensure_ascii=False)


def _within(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _within(item) for key, item in value.items()}
    return [_within(item) for item in value] if isinstance(value, list) else value


def _field(match: re.Match[str]) -> str:
    key = unquote(match["key"])
    secret = _SECRET.fullmatch(key) or (_LONG.fullmatch(key) and _LONG_VALUE.fullmatch(match["value"]))
    return f"{match['sep']}{match['key']}{match['eq']}{REDACTED if secret else redact(match['value'])}"
