"""The demo's last part: a release in five formats, read by torch, rebuilt by a partner, and taken back in part.

Two folders: `ours` fetches harmless pictures, makes releases and takes one picture down; `partner` was given the list
of URLs, fetches it behind its own guard, and follows what is taken down.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.config import CONFIG_NAME
from curate.demo.web import Page, Site
from curate.store.blobs import write

if TYPE_CHECKING:
    from PIL import Image

    from curate.project import Project

FORMATS = ("parquet", "urls", "imagefolder", "webdataset", "huggingface")
FIRST, SECOND = "1.0.0", "1.1.0"
DEAD = 2  # links that die before the partner asks
BATCH, SIDE = 8, 64
REASON = "demo: its author asked for it"
CONFIG = """\
# Made by `curate demo`: harmless pictures of its own web.
[[taxonomy.axes]]
classes = ["drawings", "neutral"]
safe = ["drawings", "neutral"]
borderline = []

[fetch]
contact = "curate-demo@localhost"
allow_private = ["{authority}"]

[screening]
required = false
"""
OURS = """
[[sources]]
use = "urllist"
path = "raw_data"

[[labelers]]
use = "declared"                       # whoever collected the lists says so; a release tells that of each row

[label]
model = "majority"

[export]
formats = ["{formats}"]
splits = {{ train = 0.6, val = 0.2, test = 0.2 }}
"""


@dataclass(frozen=True)
class Setting:
    """The demo's web at an address, the folder in which both workspaces are, and what makes a link there die."""

    site: Site
    authority: str
    folder: Path
    forget: Callable[[str], None]
    of_each: int = 18  # pictures of a class in the first release
    later: int = 4  # and how many more in the second

    @property
    def chosen(self) -> dict[str, list[Page]]:
        """Pictures of each class, of as many photographs, and folders of drawings, as there are."""
        found: dict[str, list[Page]] = {}
        for page in self.site.pages:
            if page.kind == "original":
                found.setdefault(page.label, []).append(page)
        return {label: _spread(pages)[: self.of_each + self.later] for label, pages in sorted(found.items())}

    def prepare(self) -> tuple[Path, Path]:
        """Make both folders, each with its curate.toml."""
        ours, partner = self.folder / "ours", self.folder / "partner"
        text = CONFIG.format(authority=self.authority)
        for root, more in ((ours, OURS.format(formats='", "'.join(FORMATS))), (partner, "")):
            root.mkdir(parents=True)
            write(root / CONFIG_NAME, (text + more).encode())
        self.list(self.of_each)
        return ours, partner

    def list(self, count: int) -> None:
        """Have the lists name so many pictures of each class."""
        for label, pages in self.chosen.items():
            path = self.folder / "ours" / "raw_data" / label / f"urls_{label}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = "".join(f"http://{self.authority}{page.address}\n" for page in pages[:count])
            path.write_text(lines, encoding="utf-8")


def _spread(pages: Sequence[Page]) -> list[Page]:
    """One page of each folder, then the second ones, and so on: pictures that share a folder look alike most."""
    folders: dict[str, list[Page]] = {}
    for page in pages:
        folders.setdefault(page.address.rpartition("/")[0], []).append(page)
    longest = max(map(len, folders.values()), default=0)
    return list(chain.from_iterable([some[n] for some in folders.values() if n < len(some)] for n in range(longest)))


# -- what happens ----------------------------------------------------------------------------------------------------


def play(setting: Setting, ours: "Project", partner: "Project", read: Callable[[Path], Any]) -> dict[str, Any]:
    """Let it happen, and say what each step answered; `read` is `curate.load_release`."""
    _collected(ours)
    first = ours.export(FIRST).facts
    exports = {name: Path(place) for name, place in first["formats"].items()}
    batch = _batch(read, exports["imagefolder"])
    for page in setting.chosen["neutral"][:DEAD]:
        setting.forget(page.address)
    given = _given(exports["urls"], setting.folder / "partner")
    before = partner.hydrate(given)
    removed = ours.takedown(_one_of(read(exports["imagefolder"])), REASON)
    _given(exports["urls"], setting.folder / "partner", feed_alone=True)
    after = partner.hydrate(given)
    restated = {split: rows.num_rows for split, rows in read(exports["parquet"]).manifest.rows.items()}
    setting.list(setting.of_each + setting.later)
    _collected(ours)
    second = ours.export(SECOND).facts
    return {
        "formats": {name: str(place) for name, place in exports.items()},
        "rows": {"first": first["rows"], "after_takedown": restated, "second": second["rows"]},
        "batch": batch,
        "takedown": {name: removed[name] for name in ("removed", "releases_affected", "receipt")},
        "partner": {"before": _said(before), "after": _said(after)},
        "diff": _differences(ours.diff(FIRST, SECOND)),
    }


def _collected(ours: "Project") -> None:
    ours.fetch()
    ours.dedupe()
    ours.label()


def _batch(read: Callable[[Path], Any], folder: Path) -> list[int]:
    """The shape of a batch of pictures, as torch's own loader reads it."""
    from torch.utils.data import DataLoader

    pictures = read(folder).torch("train", _tensor)
    images, _ = next(iter(DataLoader(pictures, batch_size=BATCH)))
    return list(images.shape)


def _tensor(picture: "Image.Image") -> Any:
    """float32[3, SIDE, SIDE], 0 to 1."""
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(picture.resize((SIDE, SIDE)), dtype=np.float32) / 255).permute(2, 0, 1)


def _given(urls: Path, partner: Path, feed_alone: bool = False) -> Path:
    """What the partner is given: a copy of `urls`, as it is at first, and of the feed of removals, as it is now."""
    folder = partner / "given" / FIRST / "urls"
    if not feed_alone:
        shutil.copytree(urls, folder)
    feed = urls.parents[1] / "removals.jsonl"
    shutil.copyfile(feed, partner / "given" / feed.name)
    return folder


def _one_of(release: Any) -> str:
    """The picture that is taken down: a drawing of train, since links of photographs have died."""
    rows = release.manifest.rows["train"]
    pairs = zip(rows.column("id").to_pylist(), rows.column("label").to_pylist(), strict=True)
    return str(next(one for one, label in pairs if label == "drawings"))


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("rows", "recovered", "missing", "removals")}


def _differences(found: Mapping[str, Any]) -> dict[str, Any]:
    """How many rows differ, in which way."""
    counts = {name: len(found[name]) for name in ("added", "removed", "relabelled", "moved", "edited")}
    return {"level": found["level"]} | counts


# -- what is shown ---------------------------------------------------------------------------------------------------


def table(found: Mapping[str, Any]) -> dict[str, Any]:
    """The account, for the terminal and the report."""
    return {
        "title": "A release, and a partner who was given its URLs",
        "columns": ["step", "what came of it"],
        "rows": list(_rows(found)),
        "note": "Both folders stay: `ours` (its exports in ours/work/exports) and `partner`.",
    }


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rows, partner = found["rows"], found["partner"]
    yield f"ours: export {FIRST}", f"{_rows_said(rows['first'])}, as {', '.join(found['formats'])}"
    yield "ours: torch's DataLoader reads imagefolder", f"a batch of {' x '.join(map(str, found['batch']))}"
    yield "partner: hydrate", _recovery(partner["before"])
    said = found["takedown"]
    yield "ours: takedown of one picture", f"receipt {said['receipt']}, releases {', '.join(said['releases_affected'])}"
    yield f"ours: release {FIRST} now", _rows_said(rows["after_takedown"])
    taken = partner["after"]["removals"]
    yield "partner: hydrate again", f"{taken['new']} of the feed is removed first; {_recovery(partner['after'])}"
    yield f"ours: export {SECOND}", _rows_said(rows["second"])
    changes = ", ".join(f"{n} {name}" for name, n in found["diff"].items() if name != "level")
    yield f"ours: diff {FIRST} {SECOND}", f"{found['diff']['level']}: {changes}"


def _rows_said(rows: Mapping[str, int]) -> str:
    return f"{sum(rows.values())} rows ({', '.join(f'{split} {n}' for split, n in rows.items())})"


def _recovery(said: Mapping[str, Any]) -> str:
    missing = ", ".join(f"{reason} {n}" for reason, n in said["missing"].items())
    return f"{said['recovered']} of {said['rows']}" + (f" ({missing})" if missing else "")
