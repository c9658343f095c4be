"""Asks the sources what there is, and writes it down: each page in one transaction with the cursor that follows it."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from curate.contracts import Http, Source, Stamped
from curate.errors import UsageError
from curate.fingerprint import canonical, fingerprint
from curate.layouts.folder import shown
from curate.net.urls import host
from curate.options import suggest
from curate.plugins import digest_of, kind_of, name_of, options_of
from curate.policy import judge
from curate.records import LATER, Candidate, Locator, Page, Reason, Taxonomy
from curate.store.catalog import now
from curate.store.tombstones import Blocked, refuse

NAMED = 20  # classes that nobody knows, each with its place
APPROVAL = ("reason", "approved_by")  # options that say why a source is fetched and who answers for it, not what it has

if TYPE_CHECKING:
    import sqlite3

    from curate.progress import Step
    from curate.store.catalog import Catalog


def classes(sources: Sequence[Source], taxonomy: Taxonomy, before: Collection[str] = ()) -> frozenset[str | None]:
    """Every class that the sources can yield; raises UsageError for one that neither the taxonomy knows nor was a class
    `before`, of which a mapping says what it became."""
    found: frozenset[str | None] = frozenset().union(*(source.classes() for source in sources))
    axis = taxonomy.first
    if unknown := sorted(str(label) for label in found if label is not None and label not in {*axis.classes, *before}):
        near = {label: suggest(label, axis.classes) for label in unknown[:NAMED]}
        each = [
            f"{where and where + ': '}no class '{shown(label)}' on axis {axis.name}{f'; {said}' if '?' in said else ''}"
            for label, said in near.items()
            for where in [place(sources, label)]
        ]
        more = [f"and {len(unknown) - NAMED:,} more"] if len(unknown) > NAMED else []
        known = f"there are: {', '.join(axis.classes)}; [[taxonomy.axes]] names classes of your own"
        raise UsageError(f"sources: {'; '.join([*each, *more, known])}")
    return found


def place(sources: Sequence[Source], label: str | None) -> str:
    """Where a source on this machine names a class first (None: where it names none); empty where none says."""
    found = (one.place_of(label) for one in sources if isinstance(one, Stamped) and label in one.classes())
    return shown(next(found, ""))


def source_id(source: Source) -> str:
    """The name of a configured source: its plug-in and the fingerprint of the options that say what it lists.

    An option that came later, and is at its default, is not part of it: what was listed stays known. Nor is APPROVAL.
    """
    later = {one.name for one in fields(source) if one.metadata.get(LATER) and getattr(source, one.name) == one.default}  # type: ignore[arg-type]
    named = {name: value for name, value in unapproved(options_of(source)).items() if name not in later}
    own = [kind_of(source)] if name_of(source) != kind_of(source) else []
    return f"{name_of(source)}:{fingerprint(named, *own)}"


def unapproved(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without a word of who approved them, where there is a place for that."""
    return {**options, **(dict.fromkeys(APPROVAL) if options.keys() >= {*APPROVAL} else {})}


async def list_source(catalog: "Catalog", source: Source, http: Http, taxonomy: Taxonomy, step: "Step") -> None:
    """Write down every candidate of one source, from where the last run stopped."""
    name = source_id(source)
    with catalog.tx() as db:
        db.execute(
            "INSERT OR IGNORE INTO sources (source, plugin, options) VALUES (?, ?, ?)",
            (name, kind_of(source), canonical(unapproved(options_of(source)))),
        )
    cursor, listed, known = catalog.all("SELECT cursor, listed, stamp FROM sources WHERE source = ?", (name,))[0]
    stamp = stamp_of(source)
    if listed and stamp == known:
        return
    if (
        listed or cursor is None or (stamp != known and digest_of(source) is not None)
    ):  # from the start; what changes meanwhile is noticed by the next run
        cursor = None
        with catalog.tx() as db:
            sql = "UPDATE sources SET stamp = ?, cursor = NULL, listed = 0 WHERE source = ?"
            db.execute(sql, (stamp, name))
            db.execute("DELETE FROM notes WHERE source = ?", (name,))
    blocked = Blocked(catalog)
    async for page in source.pages(http, cursor):
        with catalog.tx() as db:
            for listed_one in page.candidates:
                if (fault := fault_of(listed_one)) is not None:
                    raise UsageError(f"sources.{name_of(source)}: lists {shown(str(listed_one)[:80])}: {fault}")
                candidate = _whole(listed_one)
                if blocked.candidate(candidate):
                    refuse(catalog, db, candidate.locator)
                    continue
                row, fresh = _write(db, name, candidate, taxonomy.first.name)
                if (given := candidate.given) is not None:
                    group = blocked.group(given.group)
                    said = (row, name, candidate.ref, given.id, given.split, group, given.rendition)
                    db.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?, ?, ?)", said)
                _judge(db, row, candidate, taxonomy, fresh)
            for note in page.notes:
                noted = (name, *(_text(one) for one in (note.kind, note.subject, note.detail)))
                db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", noted)
            after = (*_after(page, cursor), page.version, now(), name)
            db.execute(_LISTED, after)
        cursor = page.cursor
        step(len(page.candidates))


def fault_of(candidate: object) -> str | None:
    """What is wrong with the fields of a candidate that a source yields; None where they are right."""
    if not isinstance(candidate, Candidate) or not isinstance(candidate.locator, Locator):
        return "a source yields Candidate(Locator(...), ref, label) of curate.records"
    locator = candidate.locator
    if locator.kind not in ("url", "path") or not isinstance(locator.value, str):
        return "its locator is not ('url', text) or ('path', text)"
    if _text(locator.value) != locator.value:
        return "its locator holds half a character (a lone surrogate)"
    if not isinstance(candidate.ref, str):
        return "its ref is no text"
    for name in _TEXTS:
        if not isinstance(getattr(candidate, name), str | None):
            return f"its {name} is neither text nor None"
    if not all(isinstance(one, str) for pair in candidate.labels.items() for one in pair):
        return "its labels are not text by text"
    facts = (one if isinstance(one, tuple) else (one,) for one in candidate.facts.values())
    return None if all(isinstance(one, str) for each in facts for one in each) else "its facts are not texts"


def _whole(candidate: Candidate) -> Candidate:
    """The same without lone surrogates in what a source says of it: no file and no catalog can hold these."""
    own: dict[str, Any] = {
        name: _text(value) for name in ("ref", *_TEXTS) if isinstance(value := getattr(candidate, name), str)
    }
    facts = {
        _text(name): tuple(map(_text, one)) if isinstance(one, tuple) else _text(one)
        for name, one in candidate.facts.items()
    }
    labels = {_text(name): _text(one) for name, one in candidate.labels.items()}
    upstream = candidate.upstream
    if upstream is not None:
        said: dict[str, Any] = {key: _text(one) for key, one in asdict(upstream).items() if isinstance(one, str)}
        upstream = replace(upstream, **said)
    return replace(candidate, **own, labels=labels, facts=facts, upstream=upstream)


def _text(value: str) -> str:
    """U+FFFD in place of each lone surrogate; what is no text stays."""
    return _LONE.sub("\ufffd", value) if isinstance(value, str) else value


_LONE = re.compile("[\ud800-\udfff]")
_TEXTS = ("label", "album", "license", "attribution", "sha1")


def stamp_of(source: Source) -> str | None:
    """Another text where it may list something else: by what it says itself, and by its file where that is not ours."""
    said = [source.stamp()] if isinstance(source, Stamped) else []
    return " ".join([*said, *filter(None, [digest_of(source)])]) or None


def relist(catalog: "Catalog") -> None:
    """Have the next fetch list every source from its start: what is new is added, what is known stays."""
    with catalog.tx() as db:
        db.execute("UPDATE sources SET cursor = NULL, listed = 0")


_LISTED = """
UPDATE sources SET cursor = ?, listed = ?, version = coalesce(?, version), listed_at = ? WHERE source = ?
"""


def _after(page: Page, before: str | None) -> tuple[str | None, bool]:
    return (before, True) if page.cursor is None else (page.cursor, False)


def _write(db: "sqlite3.Connection", source: str, candidate: Candidate, axis: str) -> tuple[int, bool]:
    """Write one mention down; the number of its candidate, and whether this is the first mention of it."""
    locator = candidate.locator
    new = db.execute(_NEW, (locator.kind, locator.value, host(locator.kind, locator.value))).fetchone()
    row = new or db.execute(_KNOWN, (locator.kind, locator.value)).fetchone()
    upstream = candidate.upstream
    key = (row[0], source, candidate.ref)
    db.execute(
        "INSERT OR IGNORE INTO mentions"
        " (candidate, source, ref, album, license, attribution, upstream, page_id, sha1, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *key,
            candidate.album,
            candidate.license,
            candidate.attribution,
            canonical(asdict(upstream)) if upstream else None,
            f"{upstream.system}:{upstream.page_id}" if upstream and upstream.page_id else None,
            candidate.sha1,
            canonical(dict(candidate.facts)) if candidate.facts else None,
        ),
    )
    labels = ({axis: candidate.label} if candidate.label is not None else {}) | dict(candidate.labels)
    for name, label in labels.items():
        db.execute("INSERT OR IGNORE INTO declared VALUES (?, ?, ?, ?, ?)", (*key, name, label))
    return int(row[0]), new is not None


_NEW = "INSERT OR IGNORE INTO candidates (kind, locator, host) VALUES (?, ?, ?) RETURNING candidate"
_KNOWN = "SELECT candidate FROM candidates WHERE kind = ? AND locator = ?"


def _judge(db: "sqlite3.Connection", row: int, candidate: Candidate, taxonomy: Taxonomy, fresh: bool) -> None:
    """Refuse what the policy does not let in; one bad mention is enough, also for what another one brought in."""
    verdict = judge(candidate, taxonomy.first.safe)
    if verdict.may_depict_minors:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE candidate = ?", (row,))
    why = verdict.blocked or verdict.denied or (None if fresh else _beside(db, row, taxonomy))
    if why is None:
        return
    reason = Reason.BLOCKED_SOURCE if verdict.blocked else Reason.DENIED_CATEGORY
    db.execute(
        "UPDATE candidates SET state = 'failed', reason = ?, detail = ?, retryable = 0"
        " WHERE candidate = ? AND state != 'stored'",
        (reason, why, row),
    )
    db.execute(
        "INSERT OR IGNORE INTO quarantine (kind, subject, reason, at)"
        " SELECT 'sample', sample, ?, ? FROM candidates WHERE candidate = ? AND sample IS NOT NULL",
        (f"{reason}: {why}", now(), row),
    )


def _beside(db: "sqlite3.Connection", row: int, taxonomy: Taxonomy) -> str | None:
    """Why a candidate is refused that one mention suggests to show minors and another one calls not safe."""
    safe = taxonomy.first.safe
    found = db.execute(_CONTRADICTED.format(", ".join("?" * len(safe))), (taxonomy.first.name, row, *safe)).fetchone()
    return "may depict minors: by another mention of it" if found else None


_CONTRADICTED = """
SELECT 1 FROM candidates c JOIN mentions m USING (candidate) LEFT JOIN declared d
    ON d.candidate = m.candidate AND d.source = m.source AND d.ref = m.ref AND d.axis = ?
WHERE c.candidate = ? AND c.may_depict_minors AND (d.label IS NULL OR d.label NOT IN ({})) LIMIT 1
"""
