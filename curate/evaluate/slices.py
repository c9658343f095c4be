"""How a model fares on parts of a split: what labelers and sources say of pictures, and what users' functions name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.label import slices as users
from curate.label.functions import own
from curate.label.rows import rows as asked
from curate.label.run import columns_of
from curate.net.urls import hostname
from curate.plugins import name_of
from curate.stats.intervals import Interval, share
from curate.stats.metrics import Predictions, said_by
from curate.store.columns import texts
from curate.store.mentions import Mentions

if TYPE_CHECKING:
    from curate.contracts import Labeler
    from curate.evaluate.rows import Rows
    from curate.policy.written import Written
    from curate.store.workspace import Workspace

LEAST = 20  # rows of a slice, below which it has no figure
MOST = 12  # hosts, and sources, that are slices: the largest
SMALL, LARGE = 256, 1024  # px of the shorter side
STATED = {  # what a source states of persons: words of a title or category, items depicted. Nobody looks at the picture
    "women": ({"woman", "women", "female", "females", "girl", "girls"}, {"Q467", "Q6581072"}),
    "men": ({"man", "men", "male", "males", "boy", "boys"}, {"Q8441", "Q6581097"}),
}
PERSONS = "stated of persons"
Mask = np.ndarray  # bool[n]


def slices(
    ws: "Workspace", rows: "Rows", judged: Predictions, flagged: Mask, sides: tuple[Mask, Mask],
    labelers: Sequence["Labeler"],
) -> dict[str, Any]:  # fmt: skip
    """Figures of each slice of n rows: `slices`, `worst` of those with 20 rows and more, `ratios` of false alarms
    between groups of persons that sources state.

    `flagged` bool[n]: called not safe; `sides`: which rows are not safe, and which safe, bool[n].
    """
    found = [
        {"name": name, "kind": kind, **_figures(judged, inside, flagged, sides)}
        for kind, name, inside in _members(ws, rows, judged, labelers)
        if inside.any()
    ]
    stated = {one["name"]: one for one in found if one["kind"] == PERSONS}
    said: dict[str, Any] = {"slices": found, "least": LEAST, "worst": worst(found), "ratios": list(_ratios(stated))}
    return said


def worst(found: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The slice with the smallest share of right answers, of those that are large enough; None where there is none."""
    large = [one for one in found if one["right"] is not None]
    return dict(min(large, key=lambda one: (one["right"], -one["n"]))) if large else None


def _figures(judged: Predictions, inside: Mask, flagged: Mask, sides: tuple[Mask, Mask]) -> dict[str, Any]:
    positive, negative = (inside & side for side in sides)
    said: dict[str, Any] = {
        "n": int(inside.sum()), "groups": len(np.unique(judged.member[inside])),
        "people": int((inside & judged.human).sum()),
        "heading": said_by(np.array(judged.sources)[inside].tolist())["heading"],
    }  # fmt: skip
    for name, right, some in (
        ("right", judged.right, inside), ("recall", flagged, positive), ("false_alarms", flagged, negative)
    ):  # fmt: skip
        enough = int(some.sum()) >= LEAST
        value, interval = (share(right[some], judged.member[some]) if enough else None) or (None, None)
        said |= {name: value, f"{name}_interval": interval, f"{name}_n": int(some.sum())}
    return said


# -- which there are -------------------------------------------------------------------------------------------------


def _members(
    ws: "Workspace", rows: "Rows", judged: Predictions, labelers: Sequence["Labeler"]
) -> Iterator[tuple[str, str, Mask]]:
    """(kind, name, bool[n]) of every slice."""
    yield from _values("labels of", rows.column("label_source"))
    yield from _values("source", rows.column("source"))
    hosts = _values("host", [hostname(url) for url in rows.column("url")])
    yield from ((kind, f"#{n} by rows", inside) for n, (kind, _, inside) in enumerate(hosts, 1))  # a model travels
    side = np.minimum(rows.column("width"), rows.column("height"))
    yield "size", f"under {SMALL} px", side < SMALL
    yield "size", f"{SMALL} to {LARGE - 1} px", (side >= SMALL) & (side < LARGE)
    yield "size", f"{LARGE} px and more", side >= LARGE
    columns = columns_of(ws, labelers, texts(rows.ids), np.zeros(len(rows), dtype=bool))
    for one in labelers:
        for name, (column, least, most) in getattr(one, "slices", {}).items():
            values = columns[f"{name_of(one)}_{column}"]
            yield name_of(one), name, (values >= least) & (values <= most)  # NaN is in none
    yield from _stated(Mentions(ws.catalog), rows.ids)
    yield from _own(ws, columns, len(rows))


def _values(kind: str, values: Sequence[str | None]) -> Iterator[tuple[str, str, Mask]]:
    names = np.array([one or "" for one in values], dtype=str)
    known, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST]
    yield from ((kind, str(known[n]), names == known[n]) for n in order if known[n])


def _stated(mentions: Mentions, ids: Sequence[str]) -> Iterator[tuple[str, str, Mask]]:
    said = [_of_persons(one) for start in range(0, len(ids), 4096) for one in mentions.of(ids[start : start + 4096])]
    for name in STATED:
        yield PERSONS, name, np.array([name in one for one in said], dtype=bool)


def _of_persons(one: "Written") -> set[str]:
    words = set(one.words.split())
    return {name for name, (some, items) in STATED.items() if some & words or items & set(one.depicts)}


def _own(ws: "Workspace", columns: Mapping[str, Any], n: int) -> Iterator[tuple[str, str, Mask]]:
    """The slicing functions of the user's files, of every axis."""
    if not ws.config.label.functions:
        return
    each = own(ws.config.label.functions, ws.config.taxonomy.axes).values()
    for function in (one for some in each for one in some if users.is_slicing(one)):
        inside, _ = users.members(function, partial(asked, columns, Mentions(ws.catalog)), n)
        yield "yours", function.name, inside


# -- groups of persons -----------------------------------------------------------------------------------------------


def _ratios(stated: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The false alarms of one stated group over those of another, with an interval."""
    for a, b in combinations(stated, 2):
        ours, theirs = stated[a], stated[b]
        keys = ("false_alarms", "false_alarms_interval")
        both = [one[key] for one in (ours, theirs) for key in keys]
        value, interval = (None, None) if None in both else ratio(*both)
        yield {"of": a, "over": b, "ratio": value, "interval": interval}


def ratio(a: float, of_a: Interval, b: float, of_b: Interval) -> tuple[float | None, tuple[float, float | None]]:
    """a / b of two shares, and its 95 % interval from theirs (MOVER-R: Donner & Zou 2012); None: without bound."""
    root: Callable[[float], float] = lambda x: max(0.0, x) ** 0.5  # noqa: E731
    (la, ua), (lb, ub) = of_a, of_b
    below, above = ub * (2 * b - ub), lb * (2 * b - lb)
    low = (a * b - root((a * b) ** 2 - la * ub * (2 * a - la) * (2 * b - ub))) / below if below else la / (2 * b or 1)
    high = (a * b + root((a * b) ** 2 - ua * lb * (2 * a - ua) * (2 * b - lb))) / above if above > 0 else None
    return (round(a / b, 4) if b else None), (round(max(0.0, low), 4), None if high is None else round(high, 4))
