"""What belongs together though it does not look alike: what `[export] group_by` names, by what mentions say."""

import json
import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from curate.dedupe.groups import Rows
from curate.store.catalog import Catalog
from curate.store.workspace import Workspace

NOBODY = frozenset(
    {"", "-", "anonymous", "author unknown", "n/a", "none", "own work", "unknown", "unknown author", "various"}
)  # what stands where no author is known
LARGE, SHARE = 50, 0.1  # a group of more samples, and of a larger share of all, is warned of
log = logging.getLogger(__name__)


def tied(ws: Workspace, ids: Sequence[str]) -> Rows:
    """The rows that share an album or an author, in pairs of the first that has it and another: int64[m, 2]."""
    return np.concatenate(
        [pairs((), ids), *(pairs(_KINDS[kind](ws.catalog), ids) for kind in ws.config.export.group_by)]
    )


def pairs(named: Iterable[tuple[object, str]], ids: Sequence[str]) -> Rows:
    """The rows of samples that something is said of, by (key, sample): pairs of the first that has a key and another.

    int64[m, 2]; `ids` are sorted, and what is not among them counts for nothing.
    """
    first: dict[object, int] = {}
    found = []
    for key, sample in named:
        row = bisect_left(ids, sample)
        if row < len(ids) and ids[row] == sample:
            found.append((first.setdefault(key, row), row))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def warn_of_giants(groups: Rows) -> None:
    """Say where one group is so large that the split it takes decides what the splits look like."""
    sizes = np.bincount(groups, minlength=1)
    largest = int(sizes.max(initial=0))
    if largest > LARGE and largest > SHARE * len(groups):
        log.warning(
            "one group holds %s of %s samples, and one split takes it whole: `curate dedupe --report` shows it;"
            " [export] group_by and [dedupe] say what makes groups", f"{largest:,}", f"{len(groups):,}",
        )  # fmt: skip


def _albums(catalog: Catalog) -> Iterator[tuple[object, str]]:
    """What a source published together."""
    sql = """
    SELECT DISTINCT m.source, m.album, c.sample FROM mentions m JOIN candidates c USING (candidate)
    WHERE m.album IS NOT NULL AND c.sample IS NOT NULL
    """
    return (((source, album), sample) for source, album, sample in catalog.iterate(sql))


def _authors(catalog: Catalog) -> Iterator[tuple[object, str]]:
    """What one author made, as the mentions of a kind of source name them: by the fact `author`, else the attribution,
    unless that is the whole source's."""
    sql = """
    SELECT DISTINCT s.plugin, json_extract(m.facts, '$.author'), m.attribution, c.sample
    FROM mentions m JOIN candidates c USING (candidate) JOIN sources s USING (source)
    WHERE c.sample IS NOT NULL AND (json_extract(m.facts, '$.author') IS NOT NULL
        OR (m.attribution IS NOT NULL AND m.attribution IS NOT json_extract(s.options, '$.attribution')))
    """
    for plugin, author, attribution, sample in catalog.iterate(sql):
        for name in _names(author if author is not None else attribution):
            yield (plugin, name), sample


def _names(said: object) -> Iterator[str]:
    """Authors as they are compared: without regard to capitals and spaces; none where nobody is named."""
    text = str(said)
    each = json.loads(text) if text.startswith("[") and text.endswith("]") and _is_json(text) else [text]
    for one in each:
        name = " ".join(str(one).split()).casefold()
        if name.strip(" .") not in NOBODY:
            yield name


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


_KINDS = {"album": _albums, "author": _authors}
