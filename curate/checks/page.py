"""The page of `curate check --report`: its figures, and obscured thumbnails of what is alike. Nothing is ever clear."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import __version__
from curate.checks.dataset import DatasetRow
from curate.checks.duplicates import EXAMPLES
from curate.checks.run import Checked
from curate.checks.scan import MAX_BYTES
from curate.checks.terminal import several
from curate.config import EngineConfig
from curate.contracts import Task
from curate.engine import each, engine_of
from curate.errors import ItemError
from curate.features.inspect import FetchedBytes
from curate.layouts.folder import shown
from curate.media import thumbnail
from curate.media.answers import is_encoded
from curate.media.decode import Bounds, open_image, scaled
from curate.progress import Progress
from curate.report.html import Table, check_place, render, table
from curate.store.blobs import write
from curate.store.catalog import now

PAIRS, MEMBERS = 24, 8  # pairs shown of leaks and of conflicts, and rows of each of the largest groups


def write_page(path: Path, of: Path | None, done: Checked, progress: Progress) -> Path:
    """Write the page and say where it is; raises UsageError as `check_place` does."""
    check_place(path, "--report")
    sets = {
        "leaks": [list(pair) for pair in done.leaks[:PAIRS]],
        "conflicts": [list(pair) for pair in done.conflicts[:PAIRS]],
        "largest": [list(some[:MEMBERS]) for some in done.largest],
    }
    wanted = sorted({row for some in sets.values() for rows in some for row in rows})
    pictures: dict[str, str | None] = {}
    paths = sorted({done.rows[row].path for row in wanted})
    with progress.stage("thumbnails", len(paths)) as step:
        for name, picture in _pictures(paths):
            pictures[name] = picture
            step()
    made = {row: _tile(done.rows[row], done.frames[row], pictures[done.rows[row].path]) for row in wanted}
    facts = {
        "f": done.facts,
        "at": now(),
        "tool": __version__,
        "name": shown(of.resolve().name if of else ""),
        "several": several(done.facts["frames"]) if done.facts["frames"]["files"] else "",
        "tables": tables(done.facts),
        "sets": {name: [[made[row] for row in rows] for rows in some] for name, some in sets.items()},
        "sizes": [len(some) for some in done.largest],
    }
    write(path, render("check.html", facts).encode())
    return path


def _tile(row: DatasetRow, frames: int, picture: str | None) -> dict[str, Any]:
    return {"src": picture, "name": row.name, "label": row.label, "split": row.split, "frames": frames}


@dataclass(frozen=True)
class Obscuring:
    """The work that is mapped over paths, whose bytes a worker is given."""

    def bring(self, item: str) -> FetchedBytes:
        """The bytes at the path; none where it cannot be read."""
        try:
            with open(item, "rb") as file:  # noqa: PTH123 (names may hold bytes that are no text)
                return FetchedBytes(0, file.read(MAX_BYTES))
        except OSError:
            return FetchedBytes(0, b"")

    def load(self) -> None:
        """Nothing to load."""

    def fits(self, given: FetchedBytes, answer: bytes) -> bool:
        """Whether it looks like one."""
        return is_encoded(answer, "png")

    def __call__(self, item: FetchedBytes) -> bytes:
        """At most 8 x 8 grey averages, as a PNG; raises ItemError where the bytes are no picture any more."""
        return thumbnail.obscured(scaled(open_image(item.data, Bounds(min_side=1)), thumbnail.SIDE))


def _pictures(paths: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each path with its picture as a data URL, or with None."""
    work: Task[Any, bytes] = Obscuring()
    for path, data in each(engine_of(EngineConfig()), work, ([one] for one in paths)):
        if isinstance(data, Exception) and not isinstance(data, ItemError):
            raise data
        yield path, f"data:image/png;base64,{b64encode(data).decode()}" if isinstance(data, bytes) else None


def tables(facts: Mapping[str, Any]) -> dict[str, Table]:
    """Every figure, as tables."""
    return {
        "splits": _splits(facts["splits"]),
        "leaks": table(
            "Near-duplicates across splits",
            ["Of split", "Has a near-duplicate in", "Pictures", "Share", "Groups"],
            [
                [o["split"], o["in"], o["pictures"], f"{o['pictures'] / o['of']:.1%}", o["groups"]]
                for o in facts["leaks"]
            ],
        ),
        "pairs": _pairs("The closest pairs across splits", [e for one in facts["leaks"] for e in one["examples"]]),
        "conflicts": _pairs("The closest pairs with two labels", facts["conflicts"]["examples"]),
        "duplicates": _duplicates(facts),
        "placeholders": table(
            "Placeholders",
            ["Kind", "Pictures", "Such as"],
            [[one["kind"], one["pictures"], one["example"]] for one in facts["placeholders"]],
        ),
        "unreadable": table(
            "Unreadable",
            ["File", "Reason", "Detail"],
            [[one["path"], one["reason"], one["detail"]] for one in facts["unreadable"]["examples"]],
            _more(facts["unreadable"]),
        ),
        "left": table(
            "Left alone",
            ["What", "How many", "Such as"],
            [[kind, n, facts["left_out_examples"][kind]] for kind, n in facts["left_out"].items()],
        ),
        "shortcuts": table(
            "What gives the label away",
            ["From this alone", "AUC", "Labels shuffled, at most", "Pictures", "Verdict"],
            [[o["by"], o["auc"], o["chance"], o["rows"], o["verdict"]] for o in facts["shortcuts"]],
            "Macro one-vs-rest area under the ROC curve of a simple model that sees nothing of the picture, in five"
            " folds, no near-duplicate group in two of them. 0.5 is chance, 1 is the label itself.",
        ),
    }


def _more(found: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in found["reasons"].items())
    return f"{found['files']:,} in all: {reasons}." if reasons else ""


def _splits(counts: Mapping[str, Mapping[str, int]]) -> Table:
    labels = list(next(iter(counts.values()), {}))
    rows: list[list[Any]] = [
        [split, *(of[label] for label in labels), sum(of.values())] for split, of in counts.items()
    ]
    whole = [sum(row[column] for row in rows) for column in range(1, len(labels) + 2)]
    return table("Pictures by split and label", ["Split", *labels, "All"], [*rows, ["All", *whole]])


def _pairs(title: str, examples: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[one["a"], one["labels"][0], one["b"], one["labels"][1], one["how"]] for one in examples]
    return table(title, ["One", "Label", "Other", "Label", "How alike"], rows, f"At most {EXAMPLES} of each kind.")


def _duplicates(facts: Mapping[str, Any]) -> Table:
    found = facts["duplicates"]
    rows = [
        ["Rows that repeat another's bytes", found["same_bytes"]],
        ["Groups of two and more", found["groups"]],
        ["Pictures in them", found["pictures"]],
        ["The largest group", found["largest"]],
        *([f"In {split}: with a near-duplicate in the same split", n] for split, n in found["within"].items()),
    ]
    return table("Duplicates", ["", "Pictures"], rows)
