"""The demo's second set: harmless pictures in folders named after the five default classes, so that it can be followed
what becomes of a class that sources declare; and grey copies that another folder declares not safe."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from curate.config import CONFIG_NAME
from curate.demo.corpus import Item
from curate.label.final import labels
from curate.media.decode import Bounds, open_image
from curate.store import samples
from curate.store.blobs import write
from curate.store.workspace import Workspace

FOLDERS = {"neutral": ("neutral", "porn", "sexy"), "drawings": ("drawings", "hentai")}  # by what the pictures are
EACH, GREY = 16, 5  # pictures of a class, and how many of the neutral ones have a grey copy that is declared porn
LISTED = 20
CONFIG = """\
# Made by `curate demo`: harmless pictures; the folders' names are only names.
[[screening.lists]]
use = "lines"
path = "list.txt"                      # made up; without a list, classes that are not safe are not taken
provider = "demo"

[[sources]]
use = "local"
path = "images"
label_from = "folder"

[[labelers]]
use = "declared"

[[labelers]]
use = "open_nsfw"

[[labelers]]
use = "drawing"

[[labelers]]
use = "nsfwjs"
embedding = false

[[labelers]]
use = "words"

[[labelers]]
use = "quality"

[[labelers]]
use = "skin"
"""
EXTRA = """
[[labelers]]
use = "nudenet"                        # because the package is installed
"""


def prepare(folder: Path, items: Sequence[Item]) -> None:
    """Write the set: of each photograph, or folder of drawings, one picture at most, while there are enough."""
    for kind, classes in FOLDERS.items():
        some = _apart([item for item in items if item.label == kind])
        each = min(EACH, len(some) // len(classes))
        for n, item in enumerate(some[: each * len(classes)]):
            write(_path(folder, classes[n // each], item.name), item.data)
        for item in some[: min(GREY, each)] if kind == "neutral" else ():
            write(_path(folder, "porn", f"grey-{Path(item.name).stem}.jpg"), _grey(item.data))
    write(folder / "list.txt", "".join(f"{n:064x}\n" for n in range(1, LISTED + 1)).encode())
    extra = EXTRA if find_spec("nudenet") else ""
    write(folder / CONFIG_NAME, (CONFIG + extra).encode())


def _apart(items: Sequence[Item]) -> list[Item]:
    """One item of each group first."""
    first = {item.group: item for item in reversed(items)}
    return [item for item in items if first[item.group] is item] + [i for i in items if first[i.group] is not i]


def _path(folder: Path, label: str, name: str) -> Path:
    path = folder / "images" / label / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _grey(data: bytes) -> bytes:
    out = io.BytesIO()
    open_image(data, Bounds()).convert("L").save(out, "JPEG", quality=80)
    return out.getvalue()


def account(ws: Workspace) -> dict[str, Any]:
    """What became of each declared class: how many survive, what they are labelled, how many wait for people; and how
    many of what is declared not safe are called safe, which must be none."""
    axis = ws.config.taxonomy.first
    known, declared = labels(ws, axis), samples.declared(ws.catalog, axis.name)
    alive = [row[0] for row in ws.catalog.all("SELECT sample FROM members WHERE survivor = sample")]
    found: dict[str, Counter[str]] = {name: Counter() for name in axis.classes}
    for sample in alive:
        label = known.by_sample[sample].name if sample in known.by_sample else "unlabelled"
        for name in declared.get(sample, ()):
            found[name][known.withheld.get(sample, label)] += 1
    wrong = sum(found[name][label] for name in axis.classes if name not in axis.safe for label in axis.safe)
    return {"declared": {name: dict(counts.most_common()) for name, counts in found.items()}, "called_safe": wrong}


def table(found: Mapping[str, Any]) -> dict[str, Any]:
    """The account, for the terminal and the report."""
    rows = [
        (name, sum(counts.values()), ", ".join(f"{n} {label}" for label, n in counts.items()))
        for name, counts in found["declared"].items()
    ]
    note = (
        f"Declared not safe and called safe: {found['called_safe']}. {GREY} neutral ones have a grey copy that another"
        " folder declares porn: nobody but a person may say which is right."
    )
    columns = ["declared by a folder", "survivors", "became"]
    return {"title": "Five classes, by folder", "columns": columns, "rows": rows, "note": note}
