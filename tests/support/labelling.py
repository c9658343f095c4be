"""Labelling as tests ask for it: plain pictures, functions that vote as they are told, and what came of it."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from PIL import Image

from curate.config import LabelConfig
from curate.contracts import Engine, Labeler
from curate.engine.serial import Serial
from curate.label.final import labels
from curate.label.functions import Functions
from curate.label.run import label
from curate.progress import Progress
from curate.records import Axis
from curate.store.workspace import Workspace
from tests.support.fakes.brightness import Brightness
from tests.support.pictures import encode

QUIET = Progress(quiet=True)
AXIS = Axis()
DRAWN, NEUTRAL, PORN = (AXIS.classes.index(name) for name in ("drawings", "neutral", "porn"))
MEDIUM = Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ())
Said = Mapping[str, str | tuple[str, ...]]  # of each sample the class or classes that a function votes for


def shades(*values: int) -> list[bytes]:
    """Plain pictures of a brightness, 0 to 255; no two have the same bytes."""
    return [encode(Image.new("RGB", (32 + n, 32), (value, value, value)), "PNG") for n, value in enumerate(values)]


def voting(**functions: Callable[[Any], Any]) -> Functions:
    """Labelling functions of the first axis."""
    from snorkel.labeling import LabelingFunction

    def of(axis: Axis, columns: Collection[str]) -> Sequence[Any]:
        made = [LabelingFunction(name, function) for name, function in functions.items()]
        return made if axis.name == "content" else []

    return of


def bright(threshold: float) -> Callable[[Any], int]:
    """A vote by how bright a picture is."""
    return lambda x: NEUTRAL if x.brightness_mean > threshold else DRAWN


THREE = voting(a=bright(0.3), b=bright(0.5), c=bright(0.7))


def run(
    ws: Workspace, functions: Functions, labelers: Sequence[Labeler] | None = None, engine: Engine | None = None
) -> dict[str, Any]:
    """Label; by how bright pictures are, unless other labelers are named."""
    return label(ws, engine or Serial(), [Brightness()] if labelers is None else labelers, functions, QUIET)


def run_unscored(ws: Workspace, functions: Functions) -> dict[str, Any]:
    """Label without a labeler."""
    return run(ws, functions, [])


def weak(ws: Workspace, axis: str = "content") -> dict[str, tuple[str | None, float | None]]:
    """The label of each sample, and how probable it is."""
    mark = ws.catalog.scalar("SELECT fingerprint FROM labellings WHERE axis = ?", (axis,))
    table = ws.table("weak", mark).read()
    assert table is not None
    assert table.schema.names == ["id", "label", "probability", "probabilities", "votes"]
    return {one["id"]: (one["label"], one["probability"]) for one in table.to_pylist()}


def functions(**said: Said) -> Functions:
    """Functions of the first axis that vote as they are told of each sample."""
    from snorkel.labeling import LabelingFunction

    def made(name: str, by: Said) -> Any:
        sets = sorted({(one,) if isinstance(one, str) else one for one in by.values()})
        places = {sample: sets.index((one,) if isinstance(one, str) else one) for sample, one in by.items()}
        function = LabelingFunction(name, lambda x: places.get(x.id, -1))
        function.sets = tuple(sets)
        return function

    def of(axis: Axis, columns: Collection[str]) -> Sequence[Any]:
        return [made(name, by) for name, by in said.items()] if axis.name == "content" else []

    return of


def configured(ws: Workspace, **options: Any) -> Workspace:
    """The workspace with other options of `[label]`."""
    ws.config = dataclasses.replace(ws.config, label=LabelConfig(**options))
    return ws


def ways(ws: Workspace, sample: str) -> str | None:
    """The label that a release would have, or why it has none."""
    known = labels(ws, ws.config.taxonomy.first)
    return known.withheld.get(sample) or (known.by_sample[sample].name if sample in known.by_sample else None)
