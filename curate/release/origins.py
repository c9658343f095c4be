"""Where each row of a release comes from: the one mention of its sample that it names. Most have one, and no choice."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from curate.net.redact import SUSPECT, redact
from curate.store import columns
from curate.store.columns import Scan
from curate.store.samples import some

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.store.catalog import Catalog, Row

LINKS = ("license_url", "page_url")  # facts of a source that are addresses of web pages
COLUMNS = ("source", "ref", "url", "upstream", "license", "attribution", *LINKS)
NOWHERE = ("", "", *[None] * (len(COLUMNS) - 2))  # of what no source mentions; a gate refuses it
_TOLD = ("upstream", "license", "attribution")
_FACTS = {name: f"json_extract(facts, '$.{name}')" for name in LINKS}
_LINK = r"https?://[^\s<>\"]+"
MANY = "SELECT candidate FROM mentions GROUP BY candidate HAVING count(*) > 1"
_MENTIONS = f"""
SELECT c.sample, c.kind, c.locator, substr(s.source, 1, instr(s.source, ':') - 1) AS plugin, m.ref, m.license,
    m.attribution, m.upstream, m.facts, {", ".join(f"{sql} AS {name}" for name, sql in _FACTS.items())}
FROM candidates c JOIN mentions m USING (candidate) JOIN sources s USING (source)
WHERE c.sample IS NOT NULL {{}} ORDER BY c.sample
"""  # noqa: S608 (constants)


def origins(catalog: "Catalog", ids: "pa.Array") -> "dict[str, pa.Array]":
    """COLUMNS of each of these samples, without what lets anybody in; NOWHERE of what is mentioned nowhere."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found, at, several = _read(catalog, ids)
    where = pa.array(at, mask=at < 0)
    by_source = {one: one[: max(one.find(":"), 0)] for one in pc.unique(found["source"]).drop_null().to_pylist()}
    sources = pa.array(list(by_source), pa.large_string()), pa.array(list(by_source.values()), pa.large_string())
    plugin = sources[1].take(pc.index_in(found["source"], value_set=sources[0], skip_nulls=True))
    url = pc.if_else(pc.equal(found["kind"], "url"), found["locator"], None)
    said = {"source": plugin, "ref": clean(found["ref"]), "url": clean(url)}
    said |= {name: clean(pc.if_else(pc.equal(found[name], ""), None, found[name])) for name in _TOLD}
    said |= {name: clean(_links(found[name])) for name in LINKS}
    given = {name: column.take(where) for name, column in said.items()}
    given |= {name: given[name].fill_null("") for name in ("source", "ref")}
    if len(several):
        rows, mask = _chosen(catalog, ids.take(several)), np.zeros(len(ids), dtype=bool)
        mask[several] = True
        for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True):
            given[name] = pc.replace_with_mask(given[name], pa.array(mask), pa.array(values, pa.large_string()))
    return given


def _read(catalog: "Catalog", ids: "pa.Array") -> "tuple[dict[str, pa.Array], np.ndarray, np.ndarray]":
    """Candidates with one mention each, by candidate; where each of `ids` has its only one, -1: nowhere; and the places
    in `ids` of those that have several."""
    import numpy as np

    own = {name: name for name in ("candidate", "sample", "kind", "locator")}
    said = {name: name for name in ("candidate", "source", "ref", *_TOLD)} | _FACTS
    nullable = (*_TOLD, *LINKS)
    with catalog.reading() as db:
        there = (("sample IS NOT NULL", ()),)
        found = columns.read(db, Scan(own, "candidates", "candidate", where=there, numbers=("candidate",)))
        scan = Scan(said, "mentions", "candidate", "candidate, source, ref", (), ("candidate",), nullable, mixed=True)
        mentions = columns.read(db, scan, among=found["candidate"].to_numpy())
        many = np.array([row[0] for row in db.execute(MANY)], dtype=np.int64)
    found = columns.align(columns.first(mentions, "candidate"), "candidate", found["candidate"]) | found
    rows = columns.rows(found["sample"], ids)
    named = np.flatnonzero((rows >= 0) & found["source"].is_valid().to_numpy(zero_copy_only=False))
    counts = np.bincount(rows[named], minlength=len(ids))
    np.add.at(counts, rows[named[np.isin(found["candidate"].to_numpy()[named], many)]], 1)
    at = np.full(len(ids), -1)
    at[rows[named]] = named
    return found, at, np.flatnonzero(counts > 1)


def _links(column: "pa.Array") -> "pa.Array":
    """Addresses of web pages, and null for what is none; wikis give some without a scheme."""
    import pyarrow.compute as pc

    whole = pc.replace_substring_regex(column, "^//", "https://")
    return pc.if_else(pc.match_substring_regex(whole, f"^{_LINK}$"), whole, None)


def clean(column: "pa.Array") -> "pa.Array":
    """Texts as `redact` leaves them."""
    return replaced(column, SUSPECT, redact)


def replaced(column: "pa.Array", suspect: str, anew: Callable[[str], str | None]) -> "pa.Array":
    """A column of text with other words for those that match a pattern, in any case: Python sees no others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.match_substring_regex(column, suspect, ignore_case=True).fill_null(False)
    if not pc.any(found).as_py():
        return column
    values = [anew(one) for one in column.filter(found).to_pylist()]
    return pc.replace_with_mask(column, found, pa.array(values, column.type))


def _chosen(catalog: "Catalog", ids: "pa.Array") -> list[Sequence[str | None]]:
    """The mention that is preferred, of each of these samples, which are by id."""
    asked = ids.to_pylist()
    sql, given = some(_MENTIONS, "AND c.sample", asked)
    found: Mapping[str, Sequence[str | None]] = {
        sample: _told(min(mentions, key=_preference))
        for sample, mentions in groupby(catalog.iterate(sql, given), key=lambda row: str(row["sample"]))
    }
    return [found[one] for one in asked]


def _told(best: "Row") -> Sequence[str | None]:
    url = redact(best["locator"]) if best["kind"] == "url" else None
    said = (redact(best[name]) if best[name] else None for name in _TOLD)
    links = (redact(found) if (found := _link(best[name])) else None for name in LINKS)
    return (best["plugin"], redact(best["ref"]), url, *said, *links)


def _link(fact: object) -> str | None:
    """As `_links`, of one."""
    text = f"https:{fact}" if isinstance(fact, str) and fact.startswith("//") else fact
    return text if isinstance(text, str) and re.fullmatch(_LINK, text) else None


def _preference(mention: "Row") -> tuple[object, ...]:
    """Licensed before unlicensed, a URL before a local file, then in sorted order; a local path is never looked at."""
    is_url = mention["kind"] == "url"
    rest = (mention[name] or "" for name in ("plugin", "ref", "license", "attribution", "upstream", "facts"))
    return (not mention["license"], not is_url, mention["locator"] if is_url else "", *rest)
