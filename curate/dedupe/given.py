"""Splits that come from outside: a file's (`[export] split_from`), and whole sources to test on (`test_sources`).

A group takes the strongest split that is asked for any of its members (test, then val, then train), as it does of those
that they had before: what is tested on must not be trained on. What was placed before stays where it is, and leaves
releases where its group takes a stronger split.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curate.dedupe.groups import Grouping, Rows
from curate.errors import UsageError
from curate.layouts import table
from curate.options import suggest
from curate.plugins import called
from curate.records import SPLITS
from curate.store.joining import KEYS, Join
from curate.store.workspace import Workspace

ALIASES = {"id": "sha256"}
SHOWN = 20  # rows and groups that are named
SPLIT = "split"
TEST = SPLITS.index("test")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """The split that is asked for each of n rows, a place in SPLITS, -1 where none is; what the file says of each.

    `unknown` are lines of the file that name no sample that is here, of `lines`.
    """

    splits: Rows
    by_file: Rows
    lines: int = 0
    unknown: Sequence[int] = field(default_factory=list)


def check(ws: Workspace) -> Sequence[tuple[int, Mapping[str, str]]]:
    """The rows of the file, with their lines; raises UsageError for what is wrong with either option.

    Before anything is looked at: a file that cannot be read, is empty or says something else than a split; a source
    that there is not; nothing left to train on.
    """
    options = ws.config.export
    names = [called(one) for one in ws.config.sources]
    for name in options.test_sources:
        if name not in names:
            raise UsageError(f"export.test_sources: no source is called '{name}'; {suggest(name, names)}")
    if names and set(names) <= set(options.test_sources):
        raise UsageError("export.test_sources: holds every source: nothing is left to train on")
    return read(options.split_from) if options.split_from is not None else ()


def read(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Each row of a file of splits with its line: CSV with `split` and one of id (sha256), page_id, url, path.

    Raises UsageError, with file and line.
    """
    rows = table.rows(path)
    names = [ALIASES.get(name, name) for name in next(rows, (0, []))[1]]
    if twice := [name for name in (*KEYS, SPLIT) if names.count(name) > 1]:
        raise UsageError(f"{path}: column '{twice[0]}' is there twice; which one is meant?")
    if SPLIT not in names or not set(KEYS) & set(names):
        raise UsageError(f"{path}: its first line names the columns: split, and one of id, page_id, url, path")
    found: list[tuple[int, Mapping[str, str]]] = [
        (line, dict(zip(names, map(table.unguarded, cells), strict=False))) for line, cells in rows
    ]
    if not found:
        raise UsageError(f"{path}: no splits in it, only names of columns")
    for line, row in found:
        if (said := row.get(SPLIT, "")) not in SPLITS:
            raise UsageError(f"{path}:{line}: split: no such split '{said}'; {suggest(said, SPLITS)}")
    return found


def wanted(ws: Workspace, ids: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]]) -> Wanted:
    """What is asked for the samples with these ids, sorted; raises UsageError for a file that contradicts itself, or
    names nothing that is here."""
    at = {one: row for row, one in enumerate(ids)}
    by_file, unknown = np.full(len(ids), -1, dtype=np.int64), []
    path, said = ws.config.export.split_from, dict[str, tuple[int, str]]()
    join = Join(ws.catalog, [row for _, row in rows])
    for line, row in rows:
        sample = join.sample(row, f"{path}:{line}")
        if sample is None:
            unknown.append(line)
            continue
        other, split = said.setdefault(sample, (line, row[SPLIT]))
        if split != row[SPLIT]:
            raise UsageError(
                f"{path}:{line}: {row[SPLIT]} here, and {split} in line {other}, of the same bytes; keep one of them"
            )
        if sample in at:
            by_file[at[sample]] = SPLITS.index(split)
    if rows and ids and not said:
        raise UsageError(f"{path}: no sample that it names is here ({len(rows):,} rows)")
    splits = by_file.copy()
    for sample in _of_sources(ws):
        if sample in at:
            splits[at[sample]] = TEST
    return Wanted(splits, by_file, len(rows), unknown)


def _of_sources(ws: Workspace) -> set[str]:
    """The samples that a source of `test_sources` mentions."""
    sql = """
    SELECT DISTINCT c.sample FROM mentions m JOIN candidates c USING (candidate)
    WHERE c.sample IS NOT NULL AND substr(m.source, 1, instr(m.source, ':') - 1) = ?
    """
    return {row[0] for name in ws.config.export.test_sources for row in ws.catalog.all(sql, (name,))}


def shares(ws: Workspace) -> Mapping[str, float]:
    """The shares by which other groups are drawn: where whole sources are the test split, nothing else joins it."""
    options = ws.config.export
    if not options.test_sources:
        return options.splits
    rest = options.splits["train"] + options.splits["val"]
    if not rest:
        raise UsageError("export.splits: test_sources are the test split, and train and val have no share of the rest")
    return {"train": options.splits["train"] / rest, "val": options.splits["val"] / rest, "test": 0.0}


def report(asked: Wanted, grouping: Grouping) -> dict[str, Any]:
    """What became of a file's splits: rows whose sample is not here, samples that are elsewhere, and its leaks.

    `leaks` are groups with samples in two of its splits: what the file says, and where the group is.
    """
    rows = np.flatnonzero(asked.by_file >= 0)
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    put: dict[str, int] = {}
    for row in rows.tolist():
        name, own, over = grouping.names[row], int(grouping.splits[row]), int(grouping.merged[row])
        groups[name][SPLITS[asked.by_file[row]]] += 1
        put[name] = own if over < 0 else over
    leaks = [
        {"group": name, "put_in": SPLITS[put[name]], "file_says": dict(sorted(said.items()))}
        for name, said in sorted(groups.items())
        if len(said) > 1
    ]
    kept = int((grouping.splits[rows] != asked.by_file[rows]).sum())
    return {
        "rows": asked.lines,
        "not_found": len(asked.unknown),
        "lines": list(asked.unknown[:SHOWN]),
        "elsewhere": kept,
        "leaking": len(leaks),
        "leaks": leaks[:SHOWN],
    }


def warn_of_others(ws: Workspace, asked: Wanted, grouping: Grouping) -> None:
    """Say how much else there is to test on where whole sources are to be the test split."""
    if not ws.config.export.test_sources:
        return
    others = int(((grouping.splits == TEST) & (grouping.merged < 0) & (asked.splits != TEST)).sum())
    if others:
        log.warning(
            "test_sources: %s samples of other sources are tested on, too: placed there before, or near to what is",
            f"{others:,}",
        )


def warn(found: Mapping[str, Any]) -> None:
    """Say what of a file's splits was not done as it says."""
    if found["not_found"]:
        log.warning("split_from: %s of %s rows name no sample that is here", found["not_found"], found["rows"])
    if found["leaking"]:
        log.warning(
            "split_from: %s groups of near-duplicates are in two of its splits; each was put where the strongest is"
            " (test, val, train): `dedupe --json` names them", found["leaking"],
        )  # fmt: skip
    if found["elsewhere"]:
        log.warning("split_from: %s samples are in another split than it says, with what they look like or as they"
                    " were placed before", found["elsewhere"])  # fmt: skip
