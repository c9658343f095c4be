"""The table of weak labels in force on an axis: one writer, one reader.

A row a sample that labelling functions were asked about: what each voted, and of survivors what the label model made of
it. Beside it, in `labellings`, lies the report, which also names the functions and what their votes stand for.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.fingerprint import canonical, fingerprint
from curate.label import flags
from curate.plugins import called
from curate.records import Axis
from curate.store.columns import texts
from curate.store.tables import to_parquet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from curate.config import Config
    from curate.store.workspace import Workspace

DIGITS = 6
LEARNT = "learnt"  # the column of what taught the machine whose labels these are


@dataclass(frozen=True)
class Taught:
    """What the bootstrap classifier left of n samples: its probabilities float64[n, k], each by a head that was not
    trained on the sample's group (NaN: none); which labels are its own, bool[n]; which samples it was trained on,
    bool[n]; and the label model's own labels, None for none."""

    held_out: "np.ndarray"
    decided: "np.ndarray"
    trained: "np.ndarray"
    before: Sequence[str | None]

    def columns(self) -> dict[str, Any]:
        """As columns of the table."""
        import numpy as np
        import pyarrow as pa

        flat = pa.array(self.held_out.round(DIGITS).astype(np.float64).reshape(-1))
        return {
            "held_out": pa.FixedSizeListArray.from_arrays(flat, self.held_out.shape[1]),
            "decided": pa.array(self.decided, pa.bool_()),
            "trained": pa.array(self.trained, pa.bool_()),
            "before": pa.array(self.before, pa.string()),
        }

    @classmethod
    def of(cls, table: "pa.Table", k: int) -> "Taught | None":
        """From the columns of a table; None where there was no bootstrap."""
        if "held_out" not in table.column_names:
            return None
        held_out = table.column("held_out").combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, k)
        decided, trained = (table.column(one).to_numpy() for one in ("decided", "trained"))
        return cls(held_out, decided, trained, table.column("before").to_pylist())


@dataclass(frozen=True)
class Weak:
    """n samples, sorted by id, on an axis of k classes, by m functions.

    `labels` is None where the model gives none, `probabilities` float64[n, k] NaN where it says nothing: nobody voted,
    the rule of `flags` keeps it back, or the sample is no survivor. `votes` int8[n, m] are places in `sets`, the
    classes that a vote is for, or ABSTAIN or FAILED; `functions` names who votes. `report` is `curate label`'s, with
    `advise`, the functions whose flags are advice. All classes are those of the time of writing. `taught` is the
    bootstrap classifier's part (None: there was none). `learnt` bool[n]: what taught a machine whose labels these are,
    the bootstrap or a label model that learns from people (None: nothing did). `spared` bool[n, m]: flags that
    count for nothing (None: all count).
    """

    ids: "Sequence[str] | pa.Array"
    labels: "Sequence[str | None] | np.ndarray"
    probabilities: "np.ndarray"
    votes: "np.ndarray"
    classes: Sequence[str]
    sets: Sequence[Sequence[str]]
    functions: Sequence[str]
    report: Mapping[str, Any]
    taught: Taught | None = None
    learnt: "np.ndarray | None" = None
    spared: "np.ndarray | None" = None

    def probability(self) -> list[float | None]:
        """Of each sample's label."""
        at = {name: place for place, name in enumerate(self.classes)}
        pairs = zip(self.probabilities.tolist(), self.labels, strict=True)
        return [None if label is None else row[at[label]] for row, label in pairs]

    def loud(self, safe: Sequence[str]) -> "np.ndarray":
        """bool[n, m], the flags that count."""
        found: np.ndarray = self.flags(safe)
        return found if self.spared is None else found & ~self.spared

    def flags(self, safe: Sequence[str]) -> "np.ndarray":
        """bool[n, m], which votes hold none of the classes that are safe now, or are none as the function failed."""
        return flags.flags(self.votes, self.members(), [name in safe for name in self.classes])

    def flagging(self, safe: Sequence[str]) -> list[str]:
        """The functions that find some sample not safe, or failed on one."""
        found = self.flags(safe)
        return [name for column, name in enumerate(self.functions) if found[:, column].any()]

    def members(self) -> "np.ndarray":
        """`sets` as bool[s, k]."""
        import numpy as np

        return np.array([[name in one for name in self.classes] for one in self.sets], dtype=bool)


def write(ws: "Workspace", axis: Axis, weak: Weak) -> None:
    """The table first, then the row that puts it in force; the table that was in force before is removed."""
    import numpy as np
    import pyarrow as pa

    labels = pa.array(weak.labels, pa.string())
    probability = _of_label(labels, weak.probabilities, weak.classes)
    table = pa.table(
        {
            "id": texts(weak.ids).cast(pa.string()),
            "label": labels,
            "probability": pa.array(probability, mask=labels.is_null().to_numpy(zero_copy_only=False)),
            "probabilities": _lists(weak.probabilities.round(DIGITS), ~np.isnan(weak.probabilities[:, :1]).any(axis=1)),
            "votes": _lists(weak.votes, np.ones(len(weak.votes), dtype=bool)),
            **(weak.taught.columns() if weak.taught else {}),
            **({} if weak.spared is None else {"spared": _lists(weak.spared, np.asarray(weak.spared.any(axis=1)))}),
            **({} if weak.learnt is None else {LEARNT: pa.array(weak.learnt, pa.bool_())}),
        }
    ).sort_by("id")
    key = {"classes": list(weak.classes), "sets": [list(one) for one in weak.sets], "voters": list(weak.functions)}
    about = {"taxonomy": ws.config.taxonomy.version, "safe": list(axis.safe), "named": named(ws.config)}
    report = canonical({**weak.report, **key, **about})
    means = canonical(key | {"advise": weak.report.get("advise", {})})
    data = to_parquet(table)
    mark = fingerprint(axis.name, ws.config.taxonomy.version, means, hashlib.sha256(data).hexdigest())
    ws.table("weak", mark).keep("all", data)
    before = ws.catalog.scalar("SELECT fingerprint FROM labellings WHERE axis = ?", (axis.name,))
    with ws.catalog.tx() as db:
        db.execute("INSERT OR REPLACE INTO labellings VALUES (?, ?, ?, ?)", (axis.name, mark, report, ws.catalog.run))
    if before not in (None, mark):
        shutil.rmtree(ws.table("weak", before).path, ignore_errors=True)


def _lists(values: "np.ndarray", known: "np.ndarray") -> "pa.Array":
    """A list of numbers a row, null where it is not `known` bool[n]; no number becomes an object on the way."""
    import numpy as np
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(np.where(known, values.shape[1], 0))]).astype(np.int32)
    flat = pa.array(np.ascontiguousarray(values[known]).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(ends), flat, mask=pa.array(~known))


def named(config: "Config") -> list[str]:
    """What a configuration asks for votes, sorted: its labelers, and the files of functions, by their names."""
    return sorted({*map(called, config.labelers), *(path.name for path in config.label.functions)})


def other(ws: "Workspace") -> str | None:
    """What was asked for the labels in force and is not named any more, and the other way round; None where that is
    the same, or not on record."""
    now = {*named(ws.config)}
    for axis in ws.config.taxonomy.axes:
        then = {*(report(ws, axis) or {}).get("named", now)}
        said = [("with", then - now), ("without", now - then)]
        if parts := [f"{how} {', '.join(sorted(names))}" for how, names in said if names]:
            return " and ".join(parts)
    return None


def report(ws: "Workspace", axis: Axis, run: str | None = None) -> dict[str, Any] | None:
    """The report in force on an axis; None before the first `curate label`, and where `run` is not who wrote it."""
    sql = "SELECT report FROM labellings WHERE axis = ?1 AND (?2 IS NULL OR run = ?2)"
    text = ws.catalog.scalar(sql, (axis.name, run))
    return None if text is None else dict(json.loads(text))


def read(ws: "Workspace", axis: Axis) -> Weak | None:
    """The weak labels in force; None where there are none, or what `curate label` wrote is gone or of an older curate.

    They can be made again at any time, and until then nothing of them is a label.
    """
    found = columns(ws, axis)
    if found is None:
        return None
    return dataclasses.replace(found.rest, ids=found.ids.to_pylist(), labels=found.labels.to_pylist())


@dataclass(frozen=True)
class Columns:
    """What `read` gives, with `ids` and `labels` as Arrow columns (large_string[n]); those of `rest` are empty."""

    ids: "pa.Array"
    labels: "pa.Array"
    rest: Weak

    def places(self, classes: Sequence[str]) -> "np.ndarray":
        """int64[n], where each label is among some classes; -1: it is none of these, or there is none."""
        return _places(self.labels, classes)

    def probability(self) -> "np.ndarray":
        """float64[n] of each sample's label, NaN where there is none."""
        return _of_label(self.labels, self.rest.probabilities, self.rest.classes)


def _of_label(labels: "pa.Array", probabilities: "np.ndarray", classes: Sequence[str]) -> "np.ndarray":
    import numpy as np

    places = _places(labels, classes)
    found: np.ndarray = probabilities[np.arange(len(places)), places]
    return np.where(places >= 0, found, np.nan)


def _places(labels: "pa.Array", classes: Sequence[str]) -> "np.ndarray":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(labels, value_set=pa.array(classes, labels.type), skip_nulls=True)
    places: np.ndarray = found.fill_null(-1).to_numpy().astype(np.int64)
    return places


def columns(ws: "Workspace", axis: Axis) -> Columns | None:
    """The weak labels in force as columns, as `read` gives them."""
    import numpy as np
    import pyarrow as pa

    said = report(ws, axis)
    mark = ws.catalog.scalar("SELECT fingerprint FROM labellings WHERE axis = ?", (axis.name,))
    table = ws.table("weak", mark).read() if mark else None
    if said is None or table is None or not {"classes", "sets", "voters"} <= said.keys():
        return None
    votes, each = (table.column(name).combine_chunks() for name in ("votes", "probabilities"))
    known = each.is_valid().to_numpy(zero_copy_only=False)
    probabilities = np.full((len(table), len(said["classes"])), np.nan)
    probabilities[known] = each.flatten().to_numpy().reshape(-1, len(said["classes"]))
    cast = votes.flatten().to_numpy().reshape(len(table), len(said["voters"]))
    ids, labels = (table.column(name).combine_chunks().cast(pa.large_string()) for name in ("id", "label"))
    taught = Taught.of(table, len(said["classes"]))
    rest = Weak([], [], probabilities, cast, said["classes"], said["sets"], said["voters"], said, taught)
    if "spared" in table.column_names:
        rest = dataclasses.replace(rest, spared=_spared(table.column("spared").combine_chunks(), cast.shape[1]))
    return Columns(ids, labels, rest)


def _spared(lists: "pa.Array", m: int) -> "np.ndarray":
    import numpy as np

    found = np.zeros((len(lists), m), dtype=bool)
    known = lists.is_valid().to_numpy(zero_copy_only=False)
    found[known] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, m)
    return found


def taught_by(ws: "Workspace", ids: Collection[str], column: str = "trained") -> list[str]:
    """The axes, by name, whose bootstrap classifier was trained on one of these samples; by the column LEARNT, those
    whose labels come of any machine that learnt from one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found = pa.array(sorted(ids), pa.string()), []
    for axis, mark in ws.catalog.all("SELECT axis, fingerprint FROM labellings ORDER BY axis"):
        table = ws.table("weak", mark).read()
        if table is not None and column in table.column_names:
            taught = table.filter(table.column(column)).column("id")
            found += [str(axis)] * bool(pc.any(pc.is_in(taught, value_set=wanted)).as_py())
    return found
