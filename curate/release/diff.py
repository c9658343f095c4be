"""`curate diff`: what changed from one release to another, of this workspace or in folders."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import StoreError, UsageError
from curate.records import SPLITS, Manifest
from curate.release.changes import Changes, compare
from curate.release.reader import HEADER, load, without
from curate.release.redact import LIST
from curate.release.rows import reasons
from curate.store.eligibility import inactive

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.store.workspace import Workspace

UNKNOWN, TAKEN_DOWN = "unknown", "taken_down"
FRAMES = ("added", "removed", "relabelled", "moved", "edited", "counts", "prevalence", "functions", "scores")
_OWN = ("label", "split")  # columns whose cells have a list of their own


def diff(ws: "Workspace | None", before: str, after: str) -> dict[str, Any]:
    """What changed between two releases, each a version of the workspace, if there is one, or a release's folder.

    Raises UsageError for what is no release, StoreError for one that is not as it was released.
    """
    return between(ws, _side(ws, before), _side(ws, after))


def between(ws: "Workspace | None", old: Manifest, new: Manifest) -> dict[str, Any]:
    """What changed from one release to another.

    `added` are whole rows; `removed` rows say why they are in no release now, as far as is known; `relabelled`,
    `moved` and `edited` (every other cell that differs) have values before and after. `level` is the step in versions.
    A row of the second that is held back since is in none of it.
    """
    old, new = _shown(ws, old, new)
    changes = compare(old.rows, new.rows)
    gone = changes.removed.column("id").to_pylist()
    why = _reasons(ws, (old, new), gone)
    return {
        "before": _named(old),
        "after": _named(new),
        "level": changes.level([one for one in gone if why[one] == TAKEN_DOWN]),
        "added": changes.added.to_pylist(),
        "removed": _removed(changes.removed, why),
        **_cells(changes),
        "columns": {"added": list(changes.columns_added), "removed": list(changes.columns_removed)},
        "counts": _counts(old, new),
        "prevalence": _prevalence(old, new),
        "functions": _functions(old, new),
        "scores": _scores(old, new),
    }


# -- the two of them -------------------------------------------------------------------------------------------------


def _side(ws: "Workspace | None", name: str) -> Manifest:
    known = {row[0]: row[1] for row in ws.catalog.all("SELECT version, sha256 FROM releases")} if ws else {}
    if ws is not None and name in known:
        return _sound(load(ws.work / "releases" / name, known[name]))
    if (Path(name) / HEADER).is_file():
        return _sound(load(Path(name).resolve()))
    here = f"releases of this workspace: {', '.join(sorted(known)) or 'none yet'}" if ws else "no workspace is here"
    raise UsageError(f"diff {name}: neither a release nor a folder with {HEADER}; {here}")


def _sound(release: Manifest) -> Manifest:
    """Raise StoreError where the header counts other rows than the files have: somebody edited one of them."""
    found = {split: rows.num_rows for split, rows in release.rows.items()}
    if release.header.get("rows") != found:
        raise StoreError(f"{release.path / HEADER}: counts other rows than its files have; restore it, or export anew")
    return release


def _shown(ws: "Workspace | None", old: Manifest, new: Manifest) -> tuple[Manifest, Manifest]:
    """Both without the rows of the second that are held back since."""
    ids = set(_column(new, "id"))
    if not (hidden := ids & inactive(ws.catalog).keys() if ws is not None else set()):
        return old, new
    one, other = (
        replace(each, rows={split: without(rows, hidden) for split, rows in each.rows.items()}) for each in (old, new)
    )
    return one, other


def _named(release: Manifest) -> dict[str, Any]:
    return {"version": release.version, "path": str(release.path), "rows": sum(map(len, release.rows.values()))}


def _reasons(ws: "Workspace | None", both: Sequence[Manifest], gone: Sequence[str]) -> dict[str, str]:
    """Why each row that was removed is in no release now; of folders alone only what was taken down is known."""
    known = {one["id"] for release in both for one in release.header.get("removed", ())}
    for release in both:
        if (path := release.path / LIST).is_file():
            with path.open(encoding="utf-8", newline="") as file:
                known |= {one["id"] for one in csv.DictReader(file)}
    now = reasons(ws, gone) if ws is not None and gone else {}
    return {one: TAKEN_DOWN if one in known else now.get(one) or UNKNOWN for one in gone}


# -- rows ------------------------------------------------------------------------------------------------------------


def _removed(rows: "pa.Table", why: Mapping[str, str]) -> list[dict[str, Any]]:
    names = ("id", "split", "label", "label_source", "source")
    return [{name: one.get(name) for name in names} | {"reason": why[one["id"]]} for one in rows.to_pylist()]


def _cells(changes: Changes) -> dict[str, list[dict[str, Any]]]:
    """`relabelled`, with who said so before and after; `moved`; and `edited`, a row a cell."""
    by = {one: (old, new) for one, old, new in changes.edited.get("label_source", ())}
    same = changes.label_sources
    relabelled, moved = (
        [{"id": one, "before": old, "after": new} for one, old, new in changes.edited.get(name, ())] for name in _OWN
    )
    for one in relabelled:
        one["by_before"], one["by_after"] = by.get(one["id"]) or (same[one["id"]],) * 2
    told = {one["id"] for one in relabelled}
    edited = [
        {"id": one, "column": name, "before": old, "after": new}
        for name, cells in changes.edited.items()
        if name not in _OWN
        for one, old, new in cells
        if name != "label_source" or one not in told
    ]
    return {"relabelled": relabelled, "moved": moved, "edited": edited}


# -- figures ---------------------------------------------------------------------------------------------------------


def _counts(old: Manifest, new: Manifest) -> list[dict[str, Any]]:
    one, other = (
        Counter((split, label) for split, rows in release.rows.items() for label in rows.column("label").to_pylist())
        for release in (old, new)
    )
    order = sorted(one.keys() | other.keys(), key=lambda pair: (SPLITS.index(pair[0]), pair[1]))
    return [{"split": split, "class": name, "before": one[split, name], "after": other[split, name]}
            for split, name in order]  # fmt: skip


def _prevalence(old: Manifest, new: Manifest) -> list[dict[str, Any]]:
    """The share of each class among all rows."""
    one, other = (Counter(_column(release, "label")) for release in (old, new))
    return [
        {"class": name, "before": _share(one[name], one.total()), "after": _share(other[name], other.total())}
        for name in sorted(one.keys() | other.keys())
    ]


def _functions(old: Manifest, new: Manifest) -> list[dict[str, Any]]:
    """The share of the samples that each labelling function voted on; of whom people judged, `people`."""
    one, other = (
        {(axis, name): share for axis, found in release.header.get("functions", {}).items()
         for name, share in found.items()} | {(None, "people"): _asked(release)}
        for release in (old, new)
    )  # fmt: skip
    return [
        {"axis": axis, "name": name, "before": one.get((axis, name)), "after": other.get((axis, name))}
        for axis, name in sorted(one.keys() | other.keys(), key=lambda pair: (pair[0] or "", pair[1]))
    ]


def _asked(release: Manifest) -> float | None:
    votes = _column(release, "votes")
    known = any("votes" in rows.column_names for rows in release.rows.values())
    return _share(sum(one is not None for one in votes), len(votes)) if known else None


def _scores(old: Manifest, new: Manifest) -> list[dict[str, Any]]:
    """By source, the mean probability of labels that machines gave, and how far it moved."""
    one, other = (_means(release) for release in (old, new))
    found = []
    for name in sorted(one.keys() | other.keys()):
        (n, before), (m, after) = one.get(name, (0, None)), other.get(name, (0, None))
        shift = None if before is None or after is None else round(after - before, 4)
        found.append({"source": name, "n_before": n, "n_after": m, "before": before, "after": after, "shift": shift})
    return found


def _means(release: Manifest) -> dict[str, tuple[int, float]]:
    found: dict[str, list[float]] = {}
    columns = (_column(release, name) for name in ("source", "label_source", "probability"))
    for source, by, probability in zip(*columns, strict=True):
        if by != "human" and probability is not None:
            found.setdefault(source, []).append(probability)
    return {name: (len(values), round(sum(values) / len(values), 4)) for name, values in found.items()}


def _column(release: Manifest, name: str) -> list[Any]:
    """The values of all splits; None where the release has no such column (`urls` leaves some out)."""
    each = (rows.column(name).to_pylist() if name in rows.column_names else [None] * len(rows)
            for rows in release.rows.values())  # fmt: skip
    return [one for values in each for one in values]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# -- for people ------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What `diff` says, counted."""
    for side in ("before", "after"):
        yield f"{side:<26} {found[side]['version']}, {found[side]['rows']:,} rows"
    yield f"{'step':<26} {found['level']}"
    yield f"{'added':<26} {len(found['added']):,}"
    for name, key in (("removed", "reason"), ("edited", "column")):
        yield from _tallied(name, Counter(one[key] for one in found[name]))
    for name, key in (("relabelled", "by_after"), ("moved", "")):
        said = (f"{one['before']} -> {one['after']}" + (f", by {one[key]}" if key else "") for one in found[name])
        yield from _tallied(name, Counter(said))
    for name, change in found["columns"].items():
        if change:
            yield f"{f'columns {name}':<26} {', '.join(change)}"
    yield from _tabled("rows", found["counts"], ("split", "class"), "{:,}")
    yield from _tabled("prevalence", found["prevalence"], ("class",), "{:.1%}")
    yield from _tabled("votes on", found["functions"], ("name",), "{:.1%}")
    yield from _tabled("mean probability", found["scores"], ("source",), "{:.4f}")


def _tallied(name: str, counts: Mapping[str, int]) -> Iterator[str]:
    each = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    yield f"{name:<26} {sum(counts.values()):,}" + (
        f" ({', '.join(f'{what} {n:,}' for what, n in each)})" if each else ""
    )


def _tabled(title: str, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], form: str) -> Iterator[str]:
    if rows:
        yield f"{title}:"
    for row in rows:
        before, after = ("-" if row[side] is None else form.format(row[side]) for side in ("before", "after"))
        yield f"  {' '.join(str(row[key]) for key in keys):<24} {before} -> {after}"
