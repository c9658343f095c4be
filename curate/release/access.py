"""A release in the hand: its rows as a DataFrame, its pictures as bytes, its splits as torch datasets."""

import hashlib
import io
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from curate.errors import StoreError, UsageError
from curate.records import SPLITS, Manifest
from curate.release.exported import Folder
from curate.release.reader import HEADER, load, without
from curate.store import lookup
from curate.store.blobs import LocalBlobs
from curate.store.eligibility import inactive
from curate.store.workspace import find_root

if TYPE_CHECKING:
    import pandas as pd

    from curate.release.datasets import Pictures
    from curate.store.workspace import Workspace

Read = Callable[[Callable[["Workspace"], Collection[str]]], Collection[str]]


@dataclass(frozen=True, repr=False)
class Release:
    """A frozen release; `blobs` is where its pictures lie (the store, an exported folder), None for rows alone.

    `held_back` says which ids are held back by now: their rows and bytes are not given. `facts` is what `export` said
    of it, empty for one that was opened later.
    """

    manifest: Manifest
    blobs: LocalBlobs | Folder | None = None
    held_back: Callable[[], Collection[str]] = tuple
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Its semantic version."""
        return self.manifest.version

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that its rows bear, sorted; a torch target is a place in it."""
        return tuple(sorted({label for rows in self.manifest.rows.values() for label in set(_labels(rows))}))

    def frame(self, split: str | None = None) -> "pd.DataFrame":
        """The rows of a split, or of all, a row a picture (docs/releases.md has the columns)."""
        import pyarrow as pa

        splits = SPLITS if split is None else (split,)
        found: pd.DataFrame = pa.concat_tables(
            (self._rows(one) for one in splits), promote_options="default"
        ).to_pandas()
        return found

    def open(self, id: str) -> BinaryIO:
        """The bytes of one picture, as they were stored, or exported; `id` may be its beginning, eight digits and more.

        Raises UsageError where no row of the release has that id, StoreError where the bytes are not here, are others
        than those, or are held back by now.
        """
        self._check_pictures()
        return self.stored(self._whole(id))

    def stored(self, id: str) -> BinaryIO:
        """The same of the id of a row, whole, which is not looked for among the rows."""
        pictures = self._check_pictures()
        if id in self.held_back():
            raise StoreError(f"{id}: held back since this release was made")
        with pictures.open(id) as file:
            data = file.read()
        if isinstance(pictures, LocalBlobs) and hashlib.sha256(data).hexdigest() != id:  # a folder looks itself
            raise StoreError(f"{id}: what is stored is not that picture (sha256 differs); `curate verify`")
        return io.BytesIO(data)

    def _check_pictures(self) -> "LocalBlobs | Folder":
        """Where the pictures lie; raises StoreError where nobody knows."""
        if self.blobs is None:
            raise StoreError(f"{self.manifest.path}: rows alone; the pictures are in the workspace that made it")
        return self.blobs

    def _whole(self, id: str) -> str:
        import pyarrow.compute as pc

        begin = id.lower() if isinstance(id, str) and lookup.is_id(id) else ""
        each = (rows.column("id") for rows in self.manifest.rows.values())
        found = {one for ids in each for one in ids.filter(pc.starts_with(ids, begin)).to_pylist()} if begin else set()
        if len(found) > 1:
            raise UsageError(f"{id} is the beginning of more than one id in release {self.version}; give more of it")
        if not found:
            what = id if begin else "what was given"
            raise UsageError(f"{what}: no such row in release {self.version}; ids have 64 hex digits, 8 may do")
        return str(found.pop())

    def torch(self, split: str, transform: Callable[[Any], Any] | None = None) -> "Pictures":
        """A dataset for torch's DataLoader: (transform(RGB picture), place of its label in `classes`).

        Pictures are as labelers saw them: turned as they say, transparency on white; without `transform` they are
        PIL images. `ids`, `labels`, `weights` and `groups` of the dataset are in the order of its pictures.
        """
        from curate.release.datasets import Pictures

        self._check_pictures()
        return Pictures(self, self._rows(split), transform)

    def _rows(self, split: str) -> Any:
        if split not in self.manifest.rows:
            raise UsageError(f"'{split}' is no split; there are: {', '.join(SPLITS)}")
        rows = self.manifest.rows[split]
        return without(rows, held) if (held := self.held_back()) else rows

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in self.manifest.rows.items())
        return f"release {self.version}: {sizes}; classes {', '.join(self.classes)}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


class HeldBack:
    """The samples that a workspace holds back: asked of its catalog, and again whenever that changed."""

    def __init__(self, ws: "Workspace", read: Read) -> None:
        """`read` opens the workspace anew and gives what a function says of it."""
        self._files = [ws.work / "catalog.db", ws.work / "catalog.db-wal"]
        self._read, self._known = read, (self._now(), _inactive(ws))

    def __call__(self) -> Collection[str]:
        stamp, ids = self._known  # one assignment: another thread finds the two together
        if (now := self._now()) != stamp:
            ids = self._read(_inactive)
            self._known = now, ids
        return ids

    def _now(self) -> list[tuple[int, int, int]]:
        found = []
        for one in self._files:
            with suppress(FileNotFoundError):  # the log is folded in
                stat = one.stat()
                if stat.st_size:  # an empty log says nothing, and whoever opens the catalog empties it anew
                    found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        if not found:
            raise StoreError(f"{self._files[0]}: not there; nobody else knows what is held back")
        return found


def _inactive(ws: "Workspace") -> Collection[str]:
    return frozenset(inactive(ws.catalog))


def released(ws: "Workspace", version: str, read: Read, facts: Mapping[str, Any] | None = None) -> Release:
    """A release of a workspace, with its pictures; raises UsageError where there is none of this version."""
    folder = ws.work / "releases"
    if not folder.is_dir() or version not in {one.name for one in folder.iterdir() if one.is_dir()}:
        raise UsageError(f"release {version}: {folder} has none of this version; `curate status` lists releases")
    return Release(load(folder / version), ws.blobs, HeldBack(ws, read), facts or {})


def check_folder(path: Path) -> None:
    """Raise StoreError, saying where releases lie, for a folder that is none."""
    if (path / HEADER).is_file():
        return
    there = path.is_dir()
    root = find_root(path) if there else None
    folder = None if root is None else root / "work" / "releases"
    known = sorted(one.name for one in folder.iterdir()) if folder and folder.is_dir() else []
    where = (
        f"releases of this workspace lie in {folder}: {', '.join(known) or 'none yet'}"
        if folder
        else ("a release is a folder of its own, work/releases/1.0.0 of the workspace that made it")
    )
    raise StoreError(f"{path}: {f'no {HEADER} in it' if there else 'no such folder'}; {where}")


def _labels(rows: Any) -> list[str]:
    return list(rows.column("label").to_pylist())
