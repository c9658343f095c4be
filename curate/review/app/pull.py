"""What a reviewer edits with FiftyOne's own tools, tags in the grid and labels in its editor, becomes decisions.

FiftyOne's server stores any text, without an author or a history. So edits are pulled as they come, checked against the
taxonomy, put into the journal, and taken out of FiftyOne; what is no decision is dropped with a row of `conflicts`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from curate.errors import CurateError, GoneError, UsageError
from curate.review.app.controller import Controller, choices
from curate.review.app.dataset import EDIT


@dataclass(frozen=True, slots=True)
class Edit:
    """One sample's tags, and the label of its edit field, as FiftyOne has them."""

    key: str
    sample: str
    tags: tuple[str, ...]
    label: str | None

    @property
    def said(self) -> tuple[str, ...]:
        """Every text that could be a decision, each once."""
        return tuple(dict.fromkeys((*self.tags, *((self.label,) if self.label is not None else ()))))


def edits(dataset: Any) -> Iterator[Edit]:
    """Every sample that has a tag or a label to be pulled."""
    collection = dataset._sample_collection
    found = {"$or": [{"tags": {"$ne": []}}, {EDIT: {"$ne": None}}]}
    for row in collection.find(found, {"tags": 1, "sample": 1, EDIT: 1}):
        label = (row.get(EDIT) or {}).get("label")
        text = None if label is None else str(label)
        yield Edit(str(row["_id"]), str(row.get("sample")), tuple(map(str, row.get("tags") or ())), text)


def pull(dataset: Any, desk: Controller) -> int:
    """Journal every edit, then take it out of FiftyOne, in this order: a kill in between does it again, to no effect.

    How many became decisions. One that meets a pause, or a full disk, stays where it is.
    """
    done = 0
    for edit in list(edits(dataset)):
        wrong = problem(edit, choices(desk.journal))
        if wrong is None:
            try:
                desk.tagged(edit.sample, edit.said[0])
                done += 1
            except (GoneError, UsageError) as error:
                wrong = str(error)
            except CurateError:
                continue
        if wrong is not None:
            desk.refuse(edit.sample, wrong)
        _clear(dataset, edit)
    return done


def problem(edit: Edit, classes: tuple[str, ...]) -> str | None:
    """Why an edit is no decision; None where it is one."""
    stray = [text for text in edit.said if text not in classes]
    if stray:
        return f"no such class: {stray[0][:60]!r}"
    return f"two classes at once: {', '.join(edit.said)}" if len(edit.said) != 1 else None


def _clear(dataset: Any, edit: Edit) -> None:
    """Take out what was read, and nothing that came since."""
    from bson import ObjectId

    change: dict[str, Any] = {"$pullAll": {"tags": list(edit.tags)}}
    dataset._sample_collection.update_one({"_id": ObjectId(edit.key)}, change)
    if edit.label is not None:
        same = {"_id": ObjectId(edit.key), f"{EDIT}.label": edit.label}
        dataset._sample_collection.update_one(same, {"$set": {EDIT: None}})
