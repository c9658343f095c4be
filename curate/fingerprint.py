"""The one text of a value, and short names made from it."""

import hashlib
import json


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces; raises TypeError on what has no stable form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(*parts: object) -> str:
    """12 hex digits that name what went into a thing."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()[:12]
