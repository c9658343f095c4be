"""Which sample a name means: the one definition that every command which is given one uses.

A name is a sha256 or the beginning of one that no other sample has (eight digits and more, in small letters or
capitals), a path or a URL as a source lists it, the URL where redirects ended, or a page by its number: behind the
system's name (`commons.wikimedia.org:1234`) or the source's (`commons:1234`: of every wiki that such a source names).
A path may also be given as it is seen from the working directory, and, where only one item has it, as a release's `ref`
has it: the name in its source, or the end of the path.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from curate.errors import UsageError
from curate.store.catalog import Catalog

FORMS = "a sha256 (eight hex digits and more), a URL, a path or commons:PAGEID"
NAMED, SHORT = 5, 12  # items that a message names; digits of an id in it
_ID = re.compile(r"[0-9a-f]{8,64}")
_PAGE = re.compile(r"(?P<source>[^/]+):(?P<number>[0-9]+)")
Pairs = Iterator[tuple[str, str]]  # a name, and a sample that it means


@dataclass(frozen=True)
class Named:
    """What a name stands for: stored samples, and candidates whose bytes are not here."""

    ids: frozenset[str]
    candidates: frozenset[int] = frozenset()


def find(catalog: Catalog, name: str) -> Named:
    """Everything that a name stands for; a page, or a URL where redirects end, may be several samples.

    Raises UsageError where more than one sample's id begins so, or more than one item's path ends so.
    """
    found = [row for sql, values in _questions(catalog, name) for row in catalog.iterate_tuples(sql, values)]
    ids = {sample for sample, _ in found if sample is not None}
    if _ID.fullmatch(prefix := name.lower()):
        begun = [row[0] for row in catalog.all(_BY_ID, (prefix, f"{prefix}g"))]
        if len(begun) > 1:
            raise UsageError(f"{name} names more than one sample; give the whole sha256")
        ids |= set(begun)
    found = found or ([] if ids else _by_ref(catalog, name))
    ids |= {sample for sample, _ in found if sample is not None}
    return Named(frozenset(ids), frozenset(candidate for sample, candidate in found if sample is None))


def _by_ref(catalog: Catalog, name: str) -> list[tuple[str | None, int]]:
    """What a source calls by this name, as a release's `ref` has it, or what has a path that ends so; one item."""
    texts = [text for text in spellings(catalog, name) if not text.startswith("/")]
    asked = ((sql, (text,)) for text in texts for sql in (_BY_REF, _BY_END))
    found = sorted({row for sql, values in asked for row in catalog.iterate_tuples(sql, values)}, key=str)
    if len({candidate if sample is None else sample for sample, candidate, _ in found}) > 1:
        named = ", ".join(path or (sample or "one without bytes")[:SHORT] for sample, _, path in found[:NAMED])
        more = f" and {len(found) - NAMED} more" * (len(found) > NAMED)
        raise UsageError(f"{shown(name)} may be {named}{more}: give the whole path, or the sha256")
    return [(sample, candidate) for sample, candidate, _ in found]


def one(catalog: Catalog, name: str) -> str:
    """The id of the stored sample that a name means; raises UsageError for none, or several. Repeats no URL."""
    ids = find(catalog, name).ids
    if not ids:
        why = " (no sample begins so)" if _ID.fullmatch(name.lower()) else ""
        raise UsageError(f"{shown(name)} names no stored sample{why}; give {FORMS}")
    if len(ids) > 1:
        raise UsageError(f"{shown(name)} names more than one sample; give its sha256")
    return next(iter(ids))


def fate(catalog: Catalog, name: str) -> dict[str, str | None] | None:
    """What became of the candidate that a name means, where it means one and no sample: state, reason, detail."""
    found = find(catalog, name)
    if found.ids or not found.candidates:
        return None
    rows = [tuple(catalog.all(_FATE, (candidate,))[0]) for candidate in sorted(found.candidates)]
    return dict(zip(("state", "reason", "detail"), rows[0], strict=True)) if len({*rows}) == 1 else None


def is_id(name: str) -> bool:
    """Whether it is a sha256, or the beginning of one that may stand for it."""
    return _ID.fullmatch(name.lower()) is not None


def shown(name: str) -> str:
    """A name as a message may repeat it: digits of an id, and nothing else that somebody wrote."""
    return name if _ID.fullmatch(name.lower()) else "what was given"


def spellings(catalog: Catalog, name: str) -> tuple[str, ...]:
    """A name as it was given, and as the catalog may spell it."""
    if not name or "\0" in name or not _is_text(name):
        return ()
    found = [name]
    if "://" not in name:
        found += [os.path.abspath(name), os.path.realpath(name)]  # noqa: PTH100 (text, not a file)
        found += [unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in tuple(found)]
    if _ID.fullmatch(name.lower()):
        found.append(name.lower())
    if page := _PAGE.fullmatch(name.lower()):
        systems = catalog.all(_SYSTEMS, (page["source"],))
        found += [name.lower(), *(f"{row[0]}{page['number']}" for row in systems)]
    return tuple(dict.fromkeys(found))


def _is_text(name: str) -> bool:
    """Whether it can be in the catalog: an argument may hold bytes that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_FATE = "SELECT state, reason, detail FROM candidates WHERE candidate = ?"
_BY_ID = "SELECT id FROM samples WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
_BY_LOCATOR = "SELECT sample, candidate FROM candidates WHERE kind IN ('url', 'path') AND locator = ?"
_BY_REF = """
SELECT sample, candidate, CASE kind WHEN 'path' THEN locator END FROM candidates JOIN mentions USING (candidate)
WHERE ref = ?
"""
_BY_END = """
SELECT sample, candidate, locator FROM candidates WHERE kind = 'path' AND substr(locator, -length(?1) - 1) = '/' || ?1
"""
_BY_FINAL = "SELECT sample, candidate FROM candidates WHERE final_url = ?"
_SYSTEMS = """
SELECT DISTINCT rtrim(page_id, '0123456789') FROM mentions JOIN sources USING (source)
WHERE plugin = ? AND page_id IS NOT NULL
"""
_BY_PAGE = "SELECT sample, candidate FROM candidates JOIN mentions USING (candidate) WHERE page_id = ?"


def _questions(catalog: Catalog, name: str) -> Iterator[tuple[str, tuple[str]]]:
    """What is asked of the catalog: SQL that answers (sample or None, candidate), and its value."""
    for text in spellings(catalog, name):
        yield _BY_LOCATOR, (text,)
        if ":" in text:
            yield _BY_PAGE, (text,)
        if "://" in text:
            yield _BY_FINAL, (text,)


# -- many names at once ----------------------------------------------------------------------------------------------


def index(catalog: Catalog, kind: str, asked: set[str]) -> dict[str, set[str]]:
    """Of names of one kind (sha256, url, path, page_id) those that mean samples, and which: one pass over the catalog.

    A path (composed, NFC) may be the end of one, from a folder or the file's name on; a page may be named without its
    system.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, sample in _KINDS[kind](catalog):
        if name in asked:
            found[name].add(sample)
    return dict(found)


def _ids(catalog: Catalog) -> Pairs:
    return ((row[0], row[0]) for row in catalog.iterate_tuples("SELECT id FROM samples"))


def _urls(catalog: Catalog) -> Pairs:
    sql = "SELECT locator, final_url, sample FROM candidates WHERE kind = 'url' AND sample IS NOT NULL"
    for listed, final, sample in catalog.iterate_tuples(sql):
        yield listed, sample
        if final is not None:
            yield final, sample


def _endings(catalog: Catalog) -> Pairs:
    """Every end of a path, composed (NFC), that starts at a folder or at the file's name."""
    sql = "SELECT locator, sample FROM candidates WHERE kind = 'path' AND sample IS NOT NULL"
    for locator, sample in catalog.iterate_tuples(sql):
        parts = unicodedata.normalize("NFC", locator).split("/")
        for n in range(len(parts)):
            yield "/".join(parts[n:]), sample


def _pages(catalog: Catalog) -> Pairs:
    """`commons.wikimedia.org:123`, `commons:123`, and `123` alone."""
    for page, plugin, sample in catalog.iterate_tuples(_ALL_PAGES):
        number = page.rpartition(":")[2]
        yield from ((name, sample) for name in (page, f"{plugin}:{number}", number))


_ALL_PAGES = """
SELECT m.page_id, s.plugin, c.sample FROM mentions m JOIN candidates c USING (candidate) JOIN sources s USING (source)
WHERE m.page_id IS NOT NULL AND c.sample IS NOT NULL
"""


_KINDS = {"sha256": _ids, "url": _urls, "path": _endings, "page_id": _pages}
