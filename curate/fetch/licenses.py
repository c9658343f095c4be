"""Which candidates are fetched by their licence: none missing, or one of those accepted, before anything is asked for.

A candidate that several sources name is judged by the best of what they say. Judged anew at every run, since a further
mention, or the configuration, may change it.
"""

from collections.abc import Sequence

from curate.records import Reason
from curate.store.catalog import Catalog

_ANY = "EXISTS (SELECT 1 FROM mentions m WHERE m.candidate = candidates.candidate AND m.license IS NOT NULL)"
_AGAIN = "UPDATE candidates SET state = 'pending', reason = NULL WHERE state = 'failed' AND reason IN (?, ?)"
_FAIL = "UPDATE candidates SET state = 'failed', reason = ?, retryable = 0 WHERE state = 'pending' AND "


def judge_licenses(catalog: Catalog, required: bool, accepted: Sequence[str]) -> None:
    """Fail what has no licence where one is `required`, and what has none of the `accepted` (`CC*`; empty: any)."""
    ours = (Reason.LICENSE_MISSING, Reason.LICENSE_DENIED)
    with catalog.tx() as db:
        db.execute(_AGAIN, ours)
        if required or accepted:
            db.execute(f"{_FAIL} NOT {_ANY}", ours[:1])
        if accepted:
            fits = " OR ".join("lower(m.license) GLOB ?" for _ in accepted)
            among = f"NOT {_ANY.replace('m.license IS NOT NULL', f'({fits})')}"
            db.execute(f"{_FAIL} {among}", (ours[1], *(pattern.lower() for pattern in accepted)))
