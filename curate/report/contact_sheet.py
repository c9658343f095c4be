"""The contact sheet: which samples a report shows, and whether they may be seen clearly."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from curate.engine import engine_of
from curate.features.blobwork import Making, made
from curate.label import table
from curate.label.final import Label
from curate.media import thumbnail
from curate.media.decode import Bounds, open_image, scaled
from curate.progress import Progress
from curate.records import Axis
from curate.report.counts import place, survivors
from curate.store.eligibility import inactive
from curate.store.samples import minors
from curate.store.workspace import Workspace

PER_CLASS = 24
GROUPS, MEMBERS = 12, 8  # near-duplicate groups shown, and samples of each
ITEM = 8  # pictures that a worker makes at a time
UNLABELLED = "unlabelled"


def dangers(ws: Workspace) -> list[str]:
    """Why nothing of this workspace may be shown clearly; empty only where everything is called safe.

    One class that the taxonomy does not call safe, said by a source, a person or the label model on any axis, one flag
    of a labelling function, or one mention or sample without a declared class, obscures every picture.
    """
    found = []
    for axis in ws.config.taxonomy.axes:
        said = _values(ws, "SELECT DISTINCT label FROM declared WHERE axis = ?", axis.name)
        people = _values(ws, _DECIDED, axis.name)
        weak = table.read(ws, axis)
        labels = {label for label in weak.labels if label is not None} if weak else set()
        for label in sorted((said | people | labels) - set(axis.safe)):
            found.append(f"{axis.name}: '{label}' is not a class that the taxonomy calls safe")
        for name in weak.flagging(axis.safe) if weak else ():
            found.append(f"{axis.name}: the labelling function '{name}' finds some not safe, or failed on some")
        if ws.catalog.scalar(_MENTION_WITHOUT, (axis.name,)) or ws.catalog.scalar(_SAMPLE_WITHOUT, (axis.name,)):
            found.append(f"{axis.name}: not everything has a class that its source declares")
    known = {axis.name for axis in ws.config.taxonomy.axes}
    for stray in sorted(_values(ws, "SELECT DISTINCT axis FROM declared") - known):
        found.append(f"{stray}: the taxonomy has no such axis")
    return found


_DECIDED = """
SELECT DISTINCT label FROM decisions d WHERE axis = ? AND undoes IS NULL
    AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.decision)
"""
_MENTION_WITHOUT = """
SELECT 1 FROM mentions m WHERE NOT EXISTS (SELECT 1 FROM declared d WHERE d.candidate = m.candidate
    AND d.source = m.source AND d.ref = m.ref AND d.axis = ?) LIMIT 1
"""
_SAMPLE_WITHOUT = """
SELECT 1 FROM samples s WHERE NOT EXISTS (SELECT 1 FROM candidates c JOIN declared d USING (candidate)
    WHERE c.sample = s.id AND d.axis = ?) LIMIT 1
"""


def _values(ws: Workspace, sql: str, *params: str) -> set[str]:
    return {row[0] for row in ws.catalog.all(sql, params)}


def kept_apart(ws: Workspace) -> set[str]:
    """What no page shows at all: what may show minors, wherever anything (`dangers`) is not known to be safe."""
    found = minors(ws.catalog)
    return found if found and dangers(ws) else set()


def choose(ws: Workspace, axis: Axis, of: Mapping[str, Label]) -> dict[str, list[str]]:
    """Up to 24 survivors a class, as many near-duplicate groups as there are before a second sample of one.

    Ids are digests, so their order is as good as chance, and the same at every run.
    """
    group = _groups(ws)
    by_class: dict[str, list[str]] = {}
    apart = kept_apart(ws)
    for name in (name for name in survivors(ws) if name not in apart):
        by_class.setdefault(of[name].name if name in of else UNLABELLED, []).append(name)
    order = (*axis.classes, UNLABELLED)
    return {label: _spread(by_class[label], group)[:PER_CLASS] for label in order if label in by_class}


def _spread(names: Sequence[str], group: Mapping[str, str]) -> list[str]:
    seen: Counter[str] = Counter()
    turns = []
    for name in names:
        turns.append((seen[group.get(name, name)], name))
        seen[group.get(name, name)] += 1
    return [name for _, name in sorted(turns)]


def largest(ws: Workspace) -> list[dict[str, Any]]:
    """The largest near-duplicate groups, each with a few members: the survivors first. Held samples are left out."""
    rows = ws.catalog.all("SELECT sample, grp, sample = survivor AS survives FROM members ORDER BY sample")
    kept_back = inactive(ws.catalog).keys() | kept_apart(ws)
    members: dict[str, list[tuple[bool, str]]] = {}
    for row in rows:
        if row["sample"] not in kept_back:
            members.setdefault(row["grp"], []).append((not row["survives"], row["sample"]))
    ranked = sorted((-len(found), name) for name, found in members.items() if len(found) > 1)[:GROUPS]
    return [{"group": name, "size": -size, "members": sorted(members[name])[:MEMBERS]} for size, name in ranked]


def tiles(ws: Workspace, names: Iterable[str], clear: bool, progress: Progress) -> dict[str, dict[str, Any]]:
    """What the page shows of each sample: a picture made here (None where it cannot be made), its group, its place.

    Of an animation the picture is the first frame; how many there are is said.
    """
    wanted = sorted(set(names))
    group = _groups(ws)
    size = Counter(group.values())
    frames = {row[0]: row[1] for row in ws.catalog.all("SELECT id, frames FROM samples WHERE frames > 1")}
    found = {}
    with progress.stage("thumbnails", len(wanted)) as step:
        for name, picture in _pictures(ws, wanted, clear):
            found[name] = {
                "id": name[:10],
                "src": picture,
                "group": group.get(name, name)[:10],
                "size": size[group[name]] if name in group else 1,
                "place": _place(ws, name),
                "frames": frames.get(name, 1),
            }
            step()
    return found


def _groups(ws: Workspace) -> dict[str, str]:
    return {row[0]: row[1] for row in ws.catalog.all("SELECT sample, grp FROM members")}


def _place(ws: Workspace, name: str) -> str | None:
    sql = "SELECT min(m.ref) FROM candidates c JOIN mentions m USING (candidate) WHERE c.sample = ?"
    return place(ws.catalog.scalar(sql, (name,)))


def _tile(data: bytes, bounds: Bounds, clear: bool) -> bytes:
    """A JPEG, or a PNG of few averages."""
    image = scaled(open_image(data, bounds), thumbnail.SIDE)
    return thumbnail.clear(image) if clear else thumbnail.obscured(image)


def _pictures(ws: Workspace, names: Sequence[str], clear: bool) -> Iterator[tuple[str, str | None]]:
    kind = "jpeg" if clear else "png"
    work = Making(ws.blobs.root, partial(_tile, bounds=Bounds(ws.config.fetch.max_pixels, 1), clear=clear), kind=kind)
    for name, data in made(engine_of(ws.config.engine), work, names, ITEM):
        yield name, None if data is None else f"data:image/{kind};base64,{b64encode(data).decode()}"
