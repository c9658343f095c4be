"""A benchmark without a picture: a release's URLs and labels, what a model said of each row, and its figures.

Whoever is given the folder fetches the pictures anew (`curate hydrate`) and measures a model on them (`curate eval`):
each figure as published, as published on the rows that are here, and as found here; and every item that makes a
difference, with why. docs/receiving.md.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from curate.contracts import Engine, Labeler
from curate.errors import StoreError, UsageError
from curate.evaluate import compare, figures
from curate.evaluate.account import ground_of
from curate.evaluate.compare import side_by_side
from curate.evaluate.contenders import Contender, of_csv
from curate.evaluate.rows import Rows
from curate.evaluate.run import Asked, contender, figures_of
from curate.options import suggest
from curate.records import SPLITS, Axis, Reason
from curate.release.hydrate import Received, opened, upstream_of
from curate.release.reader import HEADER
from curate.release.recovery import HERE, NO_URL, fates
from curate.stats.coverage import Coverage
from curate.store import holds
from curate.store.file_digests import digest

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.store.workspace import Workspace

FILE, SCORES = "benchmark.json", "scores.csv"
SCHEMA = 1
DIGITS = 6  # of a published score
TOLERANCE = 1e-3  # by which a score may differ from machine to machine
SHOWN = 20  # items that are printed
GONE = {Reason.HTTP_404, Reason.HTTP_410, Reason.UPSTREAM_DELETED, Reason.SOURCE_WITHDRAWN, Reason.PLACEHOLDER}
HELD = "held"
WITHHELD = {
    HELD, NO_URL, Reason.TAKEN_DOWN, Reason.GATE_MATCH, Reason.HTTP_401_403, Reason.HTTP_451, Reason.OPT_OUT_HEADER,
    Reason.ROBOTS_DISALLOWED, Reason.BLOCKED_SOURCE, Reason.DENIED_CATEGORY, Reason.LICENSE_MISSING,
    Reason.LICENSE_DENIED,
}  # fmt: skip


def is_folder(version: str) -> bool:
    """Whether a release is named by its folder."""
    return (Path(version) / HEADER).is_file()


def evaluate(
    ws: "Workspace", asked: Asked, engine: Engine, labelers: Sequence[Labeler], seed: int = 0
) -> dict[str, Any]:
    """A model on the rows of somebody's release that are here, held against its labels.

    Where the folder is a benchmark, `published` has its figures, and the same on the rows that are here. `items` are
    those that make a difference: `why` is gone, overwritten, withheld, unreached, rendition (other bytes of the same
    original) or score. Raises UsageError for a model or a split that is not there, StoreError for a folder that is not
    what was published. Keeps nothing.
    """
    received = opened(folder := Path(asked.version))
    protocol = _protocol(folder)
    if protocol is not None:
        asked, seed = replace(asked, split=protocol.split), protocol.seed
    if asked.split not in SPLITS:
        raise UsageError(f"--split: no such split '{asked.split}'; {suggest(asked.split, SPLITS)}")
    axis = _axis(received)
    every = [row for row in received.rows if row["split"] == asked.split]
    if not every:
        raise UsageError(f"{folder}: no row of {asked.split} is in it")
    ids = [row["id"] for row in every]
    if strange := sorted({row["label"] for row in every} - {*axis.classes}):
        raise StoreError(f"{folder}: rows bear '{strange[0]}', which is no class of its taxonomy")
    theirs = None if protocol is None else of_csv(folder / SCORES, axis, ids)
    counted = np.ones(len(ids), dtype=bool) if theirs is None else ~np.isnan(theirs.unsafe)
    held = holds.held(ws.catalog)
    came = [(HELD, None) if name in held else (fate, name) for _, fate, name in fates(ws, every)]
    here = np.array([name is not None for _, name in came]) & counted
    rows = Rows(_table(every, came, here), axis.classes)
    if not len(rows):
        why = ", ".join(f"{n} {fate}" for fate, n in sorted(Counter(fate for fate, _ in came).items()))
        raise UsageError(
            f"{folder}: not one of its {int(counted.sum())} rows is here ({why}); `curate hydrate` comes first"
        )
    found = rounded(_said(ws, asked, axis, rows, ids, here, engine, labelers), axis)
    known = ~np.isnan(found.unsafe)
    ground = ground_of(rows, axis)
    same = None
    if theirs is not None and protocol is not None:
        same = replace(_picked(theirs, here), name=f"published: {protocol.model}")
    differ = _apart(found, same)
    result = {
        "model": found.name, "version": received.version, "split": asked.split, "of": int(counted.sum()),
        "missing": int(counted.sum() - known.sum()),
        "figures_of": figures_of(found, ground, known, seed),
        "published": None if same is None or protocol is None else {
            "model": protocol.model, "all": protocol.figures, "here": figures_of(same, ground, known, seed),
        },
        "side_by_side": None if same is None else side_by_side(ground, [same, found], seed),
        "items": list(_items(every, came, counted, dict(zip(np.flatnonzero(here).tolist(), differ, strict=True)))),
    }  # fmt: skip
    covered = Coverage(int(known.sum()), int(counted.sum()), "rows", "are not here, or have no score")
    return {**covered.facts(None), **result}


def rounded(one: Contender, axis: Axis) -> Contender:
    """What a model says, as it is published: figures are of that."""
    if one.probabilities is None:
        return replace(one, unsafe=np.round(one.unsafe, DIGITS))
    return Contender.of(one.name, axis, np.round(one.probabilities, DIGITS), one.foot)


class Protocol(msgspec.Struct):
    """What of `benchmark.json` is read."""

    schema: int
    split: Literal["train", "val", "test"]
    model: str
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    figures: dict[str, Any]
    files: dict[str, str]


def _protocol(folder: Path) -> Protocol | None:
    """What a benchmark says of itself; None for a folder that is none."""
    if not (folder / FILE).exists():
        return None
    try:
        said = msgspec.convert(json.loads((folder / FILE).read_bytes()), Protocol)
        spoilt = [name for name in (HEADER, SCORES) if digest(folder / name) != said.files.get(name)]
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{folder / FILE}: no benchmark ({type(error).__name__}: {error})") from error
    if said.schema != SCHEMA:
        raise StoreError(f"{folder / FILE}: schema {said.schema} was made by a newer curate; upgrade curate")
    if spoilt:
        raise StoreError(f"{folder / spoilt[0]}: not what was published (sha256 differs); ask for it again")
    return said


def _axis(received: Received) -> Axis:
    """The first axis of the release, as whoever made it has it."""
    try:
        said = received.manifest.header["taxonomy"]["axes"][0]
        return Axis(said["name"], *(tuple(said[name]) for name in ("classes", "safe", "borderline")))
    except (KeyError, IndexError, TypeError) as error:
        raise StoreError(f"{received.manifest.path / HEADER}: names no classes ({type(error).__name__})") from error


def _table(every: Sequence[Mapping[str, Any]], came: Sequence[tuple[str, str | None]], here: np.ndarray) -> "pa.Table":
    """The rows that are here by the samples that stand for them; whose labels nobody says are a machine's."""
    import pyarrow as pa

    some = [(every[n], came[n][1]) for n in np.flatnonzero(here).tolist()]
    columns = {
        "id": [name for _, name in some],
        "label": [row["label"] for row, _ in some],
        "label_source": [str(row.get("label_source") or "weak") for row, _ in some],
        "group": [row["group"] for row, _ in some],
        "source": ["hydrate"] * len(some),
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _said(
    ws: "Workspace", asked: Asked, axis: Axis, rows: Rows, ids: Sequence[str], here: np.ndarray, engine: Engine,
    labelers: Sequence[Labeler],
) -> Contender:  # fmt: skip
    """What the model says of the rows that are here; a file of scores names rows as the release does."""
    if Path(asked.model).suffix == ".csv":
        return _picked(of_csv(Path(asked.model), axis, ids), here)
    return contender(ws, asked, axis, rows, engine, labelers)


def _picked(one: Contender, rows: np.ndarray) -> Contender:
    return replace(
        one, probabilities=None if one.probabilities is None else one.probabilities[rows], unsafe=one.unsafe[rows]
    )


def _apart(found: Contender, theirs: Contender | None) -> np.ndarray:
    """By how much each row's scores differ from the published ones, float64[n]; NaN where one has none."""
    if theirs is None:
        return np.zeros(len(found.unsafe))
    if found.probabilities is None or theirs.probabilities is None:
        return np.abs(found.unsafe - theirs.unsafe)
    apart: np.ndarray = np.abs(found.probabilities - theirs.probabilities).max(axis=1)
    return apart


def _items(
    every: Sequence[Mapping[str, Any]], came: Sequence[tuple[str, str | None]], counted: np.ndarray,
    differ: Mapping[int, float],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The items that make a difference: what is not here, and what has another score."""
    for n in np.flatnonzero(counted).tolist():
        fate, name = came[n]
        apart = differ.get(n)
        if name is not None and apart is not None and apart <= TOLERANCE:
            continue
        who = upstream_of(every[n])
        why = _why(fate) if name is None else fate if fate != HERE[0] else "score"
        yield {
            "id": every[n]["id"], "label": every[n]["label"],
            "page": None if who is None or who.page_id is None else f"{who.system}:{who.page_id}",
            "why": why, "reason": fate if name is None else "no_score" if np.isnan(apart or 0) else None,
            "apart": None if apart is None or np.isnan(apart) else round(float(apart), 4),
        }  # fmt: skip


def _why(fate: str) -> str:
    if fate in GONE:
        return "gone"
    if fate == Reason.HASH_MISMATCH:
        return "overwritten"
    return "withheld" if fate in WITHHELD else "unreached"


# -- for people ------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The figures, as published, as published on the same rows, and here; then what makes the differences."""
    yield f"{found['model']} on the benchmark {found['version']}, {found['split']} split"
    if found["published"] is None:
        yield from figures.lines(found["figures_of"], found["split"])
    else:
        yield from _figures(found["published"]["all"], found["published"]["here"], found["figures_of"])
        yield from compare.lines(found["side_by_side"])
    why = Counter(one["why"] for one in found["items"])
    yield f"items that make a difference: {', '.join(f'{n} {name}' for name, n in sorted(why.items())) or 'none'}"
    for one in found["items"][:SHOWN]:
        apart = "" if one["apart"] is None else f" by {one['apart']:.4f}"
        words = (one["label"], one["page"], one["reason"])
        yield f"  {one['why']:<12} {one['id'][:12]} {' '.join(filter(None, words))}{apart}"
    if (more := len(found["items"]) - SHOWN) > 0:
        yield f"  and {more} more; --json has all"


def _figures(*sides: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {'':<28} {'published':>10} {'same rows':>10} {'here':>10}"
    for key, name in {"n": "rows", **figures.NAMES}.items():
        known = [side.get(key) for side in sides]
        if known[-1] is not None:
            cells = (one if isinstance(one, int | float) else math.nan for one in known)  # a stranger's may be anything
            yield f"  {name:<28} " + " ".join(f"{one:>10,}" if key == "n" else f"{one:>10.4f}" for one in cells)
