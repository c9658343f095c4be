"""`curate check`: the questions of this tool asked of a dataset that somebody already has. Nothing is written."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.checks.dataset import Dataset, DatasetRow
from curate.checks.lists import PairRow, pair_rows
from curate.checks.scan import LEAST, Seen, look
from curate.checks.verdicts import coverage, verdicts
from curate.contracts import Engine
from curate.layouts.folder import shown
from curate.media.placeholders import placeholder
from curate.progress import Progress
from curate.records import Response

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from curate.checks.pairs import Listed

REPEATED = 5  # rows with the same bytes from which they are said to be a placeholder, or a slip
NAMED = 20  # unreadable files that are named in the answer


@dataclass(frozen=True)
class Checked:
    """The answer: `facts` is what `--json` prints; rows and their frames (0: unreadable) are what a page shows.

    `pairs` has the rows that are listed; which files stay says `curate.checks.lists.paths`.
    """

    facts: dict[str, Any]
    rows: Sequence[DatasetRow]
    frames: Sequence[int]
    leaks: Sequence[Sequence[int]]  # for the page: rows that are alike across splits, the closest first
    conflicts: Sequence[Sequence[int]]
    largest: Sequence[Sequence[int]]
    dataset: Dataset
    looks: Mapping[str, Seen]
    listed: "Listed"
    fate: "npt.NDArray[np.int8]"  # of each row: what `duplicates` calls STAYS, UNREAD, NEAR, TORN
    placeholders: Sequence[tuple[str, int]]  # kind, place of a row

    @property
    def leak(self) -> bool:
        """Whether a picture and its near-duplicate are in two splits."""
        return bool(self.facts["leak"])

    def pairs(self, kind: str) -> Iterator[PairRow]:
        """The rows of `leaks`, `conflicts`, `duplicates`, `unreadable` or `placeholders`, made while they are asked."""
        return pair_rows(self, kind)


def check(found: Dataset, engine: Engine, progress: Progress, keep: str = "test") -> Checked:
    """Look at every file and answer; needs no workspace and no config. `keep` (`keep.KEEPS`) says which copies stay."""
    from curate.checks import duplicates as near
    from curate.checks.keep import order
    from curate.checks.shortcuts import shortcuts

    started = time.monotonic()
    rows, splits, labels = found.rows, found.splits, found.labels
    looks = look([row.path for row in rows], engine, progress)
    with progress.stage("compare", 2) as step:
        pictures = near.Pictures.from_rows(rows, looks)
        alike = near.alike(rows, pictures, splits, labels, order(rows, looks, keep))
        step()
        readable = sorted(place for places in pictures.rows for place in places)
        group = {place: int(pictures.group[p]) for p, places in enumerate(pictures.rows) for place in places}
        telling = shortcuts(
            [rows[n] for n in readable], [looks[rows[n].path] for n in readable], [group[n] for n in readable]
        )
        step()
    gone = list(_placeholders(rows, looks, pictures))
    unread = frozenset(path for path, one in looks.items() if one.reason is not None)
    facts: dict[str, Any] = {
        **coverage(found, unread),
        "rows": len(rows),
        "pictures": len(readable),
        "distinct": len(pictures),
        "unreadable": _unreadable(rows, looks),
        "frames": _frames([looks[rows[n].path].frames for n in readable]),
        "left_out": dict(sorted(found.left.items())),
        "left_out_examples": dict(sorted(found.example.items())),
        "splits": _balance(rows, splits, labels),
        "leak": any(alike.leaks.values()),
        "leaks": _leaks(rows, readable, splits, alike),
        "duplicates": _duplicates(rows, readable, pictures, alike, splits),
        "conflicts": {
            "pictures": alike.torn,
            "same_bytes": alike.contradicted,
            "groups": alike.torn_groups,
            "examples": [near.facts(pair, rows) for pair in alike.torn_pairs[: near.EXAMPLES]],
        },
        "clean": _clean(keep, alike.fate.tolist()),
        "placeholders": _by_kind(rows, gone),
        "shortcuts": [
            {"by": s.by, "auc": s.auc, "chance": s.chance, "rows": s.rows, "found": s.found, "verdict": s.verdict}
            for s in telling
        ],
        "licences": {"missing": sum(row.license is None for row in rows), "of": len(rows)} if found.licensed else None,
    }
    facts["too_small"] = sum(looks[rows[n].path].small for n in readable)
    bare = sum(len(pictures.rows[p]) for p in (~pictures.textured).nonzero()[0].tolist())
    facts["flat"] = bare - facts["too_small"]
    facts["verdicts"] = verdicts(facts, labels, found.listed)
    facts["seconds"] = round(time.monotonic() - started, 2)
    closest = sorted((pair for pairs in alike.leak_pairs.values() for pair in pairs), key=lambda pair: pair.bits)
    return Checked(
        facts,
        rows,
        [looks[row.path].frames for row in rows],
        [(pair.left, pair.right) for pair in closest],
        [(pair.left, pair.right) for pair in alike.torn_pairs],
        alike.largest,
        found,
        looks,
        alike.listed,
        alike.fate,
        gone,
    )


def _clean(keep: str, fate: Sequence[int]) -> dict[str, Any]:
    """How many rows stay by the rule, and why the others do not."""
    from curate.checks.duplicates import NEAR, STAYS, TORN, UNREAD

    counts = Counter(fate)
    reasons = {"near_duplicates": counts[NEAR], "conflicts": counts[TORN], "unreadable": counts[UNREAD]}
    return {"rule": keep, "keep": counts[STAYS], "remove": sum(reasons.values()), "reasons": reasons}


def _frames(counts: Sequence[int]) -> dict[str, int]:
    """How many of what could be read are animations, or files of several pages, and how many frames they have."""
    several = [n for n in counts if n > 1]
    return {"files": len(several), "frames": sum(several), "most": max(several, default=1)}


def _unreadable(rows: Sequence[DatasetRow], looks: Mapping[str, Seen]) -> dict[str, Any]:
    bad = [(row.name, looks[row.path]) for row in rows if looks[row.path].reason is not None]
    reasons = Counter(str(one.reason) for _, one in bad)
    named = [{"path": name, "reason": str(one.reason), "detail": shown(one.detail)} for name, one in bad[:NAMED]]
    return {"files": len(bad), "reasons": dict(reasons.most_common()), "examples": named}


def _balance(rows: Sequence[DatasetRow], splits: Sequence[str], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Rows by split and label; rows without one of them stand under "(none)"."""
    counts = Counter((row.split or "(none)", row.label or "(none)") for row in rows)
    names = [*splits, *(["(none)"] if any(split == "(none)" for split, _ in counts) else [])]
    columns = [*labels, *(["(none)"] if any(label == "(none)" for _, label in counts) else [])]
    return {split: {label: counts[split, label] for label in columns} for split in names}


def _leaks(
    rows: Sequence[DatasetRow], readable: Sequence[int], splits: Sequence[str], alike: Any
) -> list[dict[str, Any]]:
    """For each two splits: how much of what could be read of the later one has a near-duplicate in the earlier one."""
    from curate.checks.duplicates import EXAMPLES, facts

    of = Counter(rows[n].split for n in readable)
    found = []
    for n, split in enumerate(splits):
        for other in splits[n + 1 :]:
            if count := alike.leaks[split, other]:
                pairs = alike.leak_pairs[split, other]
                found.append(
                    {
                        "split": other,
                        "in": split,
                        "pictures": count,
                        "of": of[other],
                        "groups": alike.shared[split, other],
                        "examples": [facts(pair, rows) for pair in pairs[:EXAMPLES]],
                    }
                )
    return found


def _duplicates(
    rows: Sequence[DatasetRow], readable: Sequence[int], pictures: Any, alike: Any, splits: Sequence[str]
) -> dict[str, Any]:
    return {
        "same_bytes": len(readable) - len(pictures),
        "groups": len(alike.sizes),
        "pictures": sum(alike.sizes),
        "largest": alike.sizes[0] if alike.sizes else 0,
        "within": {split: alike.within[split] for split in splits},
    }


def _placeholders(rows: Sequence[DatasetRow], looks: Mapping[str, Seen], pictures: Any) -> Iterator[tuple[str, int]]:
    """Pictures that say "this picture is gone", by their bytes or address; the same bytes many times; what is bare."""
    for place, row in enumerate(rows):
        one = looks[row.path]
        if one.reason is None and (kind := placeholder(Response(row.url or "", 200, {}, b""), one.md5)):
            yield kind, place
    for places in pictures.rows:
        if len(places) >= REPEATED:
            yield from (("the same bytes many times", place) for place in places)
    bare = [place for p, places in enumerate(pictures.rows) if not pictures.textured[p] for place in places]
    for place in bare:
        small = looks[rows[place].path].small
        kind = f"less than {LEAST} px a side: too small to compare" if small else "flat: too little in it to compare"
        yield kind, place


def _by_kind(rows: Sequence[DatasetRow], found: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for kind, place in found:
        names[kind].append(rows[place].name)
    return [{"kind": kind, "pictures": len(some), "example": min(some)} for kind, some in sorted(names.items())]
