"""The same bytes from many URLs of one host: suspected to say "this picture is gone", and withheld, all of them.

A host of which every other picture is the same icon is caught as well; `[fetch] placeholder_urls` says how many are
too many (0: no number is). The samples stay in the store: a higher number lets them back in.
"""

import sqlite3
from collections.abc import Iterable

from curate.records import Reason
from curate.store.catalog import Catalog, now

_SETTING = "placeholder_urls"  # the number that what is withheld was found with
# `+`: not by the indexes of states or kinds, which would read every stored candidate for each batch.
_REPEATED = """
INSERT OR IGNORE INTO withheld (sample, reason, detail, at, run)
SELECT sample, :reason, 'the same bytes from ' || :most || ' URLs or more of one host', :at, :run FROM candidates
WHERE +state = 'stored' AND +kind = 'url' AND sample {samples}
AND sample NOT IN (SELECT sample FROM withheld WHERE reason = :reason)
GROUP BY sample, host HAVING count(*) >= :most
"""


def suspect(db: sqlite3.Connection, samples: Iterable[str], most: int, run: str | None) -> None:
    """Withhold those of these samples that came from `most` URLs of one host, inside the transaction that is open."""
    some = {f"s{n}": sample for n, sample in enumerate(sorted(set(samples)))}
    if most > 0 and some:
        among = f"IN ({', '.join(f':{name}' for name in some)})"
        db.execute(_REPEATED.format(samples=among), {**some, **_values(most, run)})


def reconsider(catalog: Catalog, most: int) -> None:
    """Judge everything that is stored anew, where the number is not the one that it was judged with."""
    if catalog.get(_SETTING) == str(most):
        return
    with catalog.tx() as db:
        db.execute("DELETE FROM withheld WHERE reason = ?", (Reason.PLACEHOLDER,))
        if most > 0:
            db.execute(_REPEATED.format(samples="IS NOT NULL"), _values(most, catalog.run))
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SETTING, str(most)))


def _values(most: int, run: str | None) -> dict[str, object]:
    return {"reason": Reason.PLACEHOLDER, "most": most, "at": now(), "run": run}
