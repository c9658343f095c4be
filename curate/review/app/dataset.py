"""A persistent FiftyOne dataset of one queue, in one reviewer's order; the only media it names are obscured."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.label import table
from curate.label.flags import ABSTAIN, FAILED
from curate.records import UNSURE, Axis
from curate.review.app.thumbnails import FRAMES
from curate.review.assignment import Item
from curate.store import samples, views
from curate.store.workspace import Workspace

NAME = "queue"  # of the dataset; its database is the session's alone
EDIT = "review"  # the field that FiftyOne's own label editor writes
MEMBERS = 20  # of a near-duplicate group, named at most
PLAIN = ("source", "license", "frames", "members")
ANSWERS = ("weak_label", "probability", "votes")  # what may anchor: a queue that is blind throughout has no such fields


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reviewer may know of one item beside its picture; of a blind one, nothing that anybody says of it."""

    source: str = ""
    license: str | None = None
    frames: str | None = None  # of an animation, or a file of many pages
    members: tuple[str, ...] = ()
    weak_label: str | None = None
    probability: float | None = None
    votes: tuple[str, ...] = field(default=())


def environment(folder: Path, uri: str) -> None:
    """What FiftyOne reads before it is imported: our database, our plugin, no services, nothing of the user's own."""
    os.environ |= {
        "FIFTYONE_SERVER": "1",
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_NAME": f"curate-{folder.name}"[:60],
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_PLUGINS_DIR": str(Path(__file__).parent / "plugins"),
        "FIFTYONE_CONFIG_PATH": str(folder / "fiftyone.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(folder / "fiftyone-app.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "datasets"),
        "FIFTYONE_ALLOWED_ORIGINS": "",
        "FIFTYONE_EXECUTION_STORE_NOTIFICATION_SERVICE_DISABLED": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_LOGGING_LEVEL": "ERROR",
    }
    if not os.environ.get("MPLBACKEND", "").startswith("module://"):  # a notebook's own, which its plots need
        os.environ["MPLBACKEND"] = "agg"  # FiftyOne imports matplotlib, which ends at a name that it does not know


def existing() -> Any | None:
    """The dataset that a killed session left, whose last edits may not have been pulled."""
    import fiftyone as fo

    return fo.load_dataset(NAME) if fo.dataset_exists(NAME) else None


def build(items: Sequence[Item], facts: Mapping[str, Facts], media: Mapping[str, Path], axis: Axis) -> Any:
    """The dataset anew, a sample an item in the order given; `media` is the picture to show of each."""
    import fiftyone as fo

    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)
    made = fo.Dataset(NAME, persistent=True)
    answers = () if all(item.blind for item in items) else ANSWERS
    _fields(fo, made, axis, answers)
    add(made, items, facts, media)
    for name in ("sample", *PLAIN, *answers):
        one = made.get_field(name)
        one.read_only = True
        one.save()
    look = made.app_config
    look.media_fields, look.grid_media_field, look.modal_media_field = ["filepath"], "filepath", "filepath"
    look.media_fallback = False
    look.sidebar_groups = _sidebar(fo, [*PLAIN, *answers])
    made.save()
    return made


def add(made: Any, items: Sequence[Item], facts: Mapping[str, Facts], media: Mapping[str, Path]) -> list[str]:
    """Append items to a dataset; FiftyOne's id of each."""
    import fiftyone as fo

    return [str(one) for one in made.add_samples([_sample(fo, item, facts[item.sample], media) for item in items])]


def _fields(fo: Any, made: Any, axis: Axis, answers: Sequence[str]) -> None:
    kinds = {"probability": fo.FloatField}
    for name in ("sample", *PLAIN, *answers):
        if name in ("members", "votes"):
            made.add_sample_field(name, fo.ListField, subfield=fo.StringField)
        else:
            made.add_sample_field(name, kinds.get(name, fo.StringField))
    made.add_sample_field(EDIT, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    choices = [*axis.classes, UNSURE]
    schema = {"type": "classification", "component": "radio", "classes": choices, "attributes": []}
    made.set_label_schemas({EDIT: schema})
    made.activate_label_schemas([EDIT])


def _sidebar(fo: Any, shown: Sequence[str]) -> list[Any]:
    """What FiftyOne lists beside a picture: what the reviewer may know first, its own book-keeping folded away."""
    from fiftyone.core.odm.dataset import SidebarGroupDocument

    rest = ["id", "filepath", "sample", "created_at", "last_modified_at", "metadata.size_bytes", "metadata.mime_type"]
    rest += ["metadata.width", "metadata.height", "metadata.num_channels"]
    groups: tuple[tuple[str, list[str], bool], ...] = (
        ("item", list(shown), True),
        ("tags", [], True),
        ("labels", [EDIT], True),
        ("other", rest, False),
    )
    return [SidebarGroupDocument(name=name, paths=paths, expanded=expanded) for name, paths, expanded in groups]


def _sample(fo: Any, item: Item, facts: Facts, media: Mapping[str, Path]) -> Any:
    return fo.Sample(
        filepath=str(media[item.sample]), sample=item.sample, source=facts.source, license=facts.license,
        frames=facts.frames, members=list(facts.members), weak_label=facts.weak_label, probability=facts.probability,
        votes=list(facts.votes),
    )  # fmt: skip


# -- what may be known -----------------------------------------------------------------------------------------------


def known(ws: Workspace, items: Sequence[Item], axis: Axis) -> dict[str, Facts]:
    """The facts of each item. What anybody says of a blind one is not even read."""
    asked = {item.sample: item.blind for item in items}
    origins, groups, frames = dict(_origins(ws, asked)), _members(ws, asked), _frames(ws)
    weak = _weak(ws, axis, {sample for sample, blind in asked.items() if not blind})
    votes = _votes(ws, axis) if not all(asked.values()) else {}
    found = {}
    for sample, blind in asked.items():
        source, licence = origins.get(sample, ("", None))
        if blind:  # a source of one class tells the class: its kind is all that is told
            found[sample] = Facts(source.partition(":")[0], licence, frames.get(sample), groups.get(sample, ()))
        else:
            one = weak.get(sample, _Weak())
            said = (*one.votes, *votes.get(sample, ()))
            plain = (source, licence, frames.get(sample), groups.get(sample, ()))
            found[sample] = Facts(*plain, one.label, one.probability, said)
    return found


def _origins(ws: Workspace, asked: Mapping[str, bool]) -> Iterator[tuple[str, tuple[str, str | None]]]:
    sql = (
        "SELECT c.sample, min(m.source), max(m.license) FROM candidates c JOIN mentions m USING (candidate)"
        " WHERE c.sample IS NOT NULL GROUP BY c.sample"
    )
    return ((row[0], (row[1], row[2])) for row in ws.catalog.all(sql) if row[0] in asked)


def _members(ws: Workspace, asked: Mapping[str, bool]) -> dict[str, tuple[str, ...]]:
    """The other members of each item's near-duplicate group."""
    groups: dict[str, list[str]] = {}
    mine: dict[str, str] = {}
    for sample, group in ws.catalog.all("SELECT sample, grp FROM members ORDER BY sample"):
        groups.setdefault(group, []).append(sample)
        if sample in asked:
            mine[sample] = group
    return {one: tuple(m for m in groups[group] if m != one)[:MEMBERS] for one, group in mine.items()}


def _frames(ws: Workspace) -> dict[str, str]:
    """How many there are, where there are several: a thumbnail shows a few."""
    rows = ws.catalog.all("SELECT id, frames FROM samples WHERE frames > 1")
    return {row[0]: f"{row[1]}, {min(row[1], FRAMES)} at most shown" for row in rows}


@dataclass(frozen=True, slots=True)
class _Weak:
    """What the label model says of one sample, and what it rests on: a line a function that voted."""

    label: str | None = None
    probability: float | None = None
    votes: tuple[str, ...] = ()


def _weak(ws: Workspace, axis: Axis, asked: set[str]) -> dict[str, _Weak]:
    weak = table.read(ws, axis) if asked else None
    if weak is None:
        return {}
    rows = zip(weak.ids, weak.labels, weak.probability(), weak.votes.tolist(), strict=True)
    return {name: _Weak(label, p, _said(weak, votes)) for name, label, p, votes in rows if name in asked}


def _said(weak: table.Weak, votes: Sequence[int]) -> tuple[str, ...]:
    given = zip(weak.functions, votes, strict=True)
    return tuple(f"{name}: {_meant(weak, vote)}" for name, vote in given if vote != ABSTAIN)


def _meant(weak: table.Weak, vote: int) -> str:
    return "failed" if vote == FAILED else " or ".join(weak.sets[vote])


def _votes(ws: Workspace, axis: Axis) -> dict[str, tuple[str, ...]]:
    """What sources declare and people said, a line each."""
    said: dict[str, list[str]] = {
        sample: [f"source: {label}" for label in labels]
        for sample, labels in samples.declared(ws.catalog, axis.name, taxonomy=ws.config.taxonomy.version).items()
    }
    people: Mapping[str, Counter[str]] = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version)
    for sample, counts in people.items():
        said.setdefault(sample, []).extend(f"people: {label} x{n}" for label, n in sorted(counts.items()))
    return {sample: tuple(lines) for sample, lines in said.items()}
