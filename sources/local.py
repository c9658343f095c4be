"""A folder of images on this machine, read and never written."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curate.contracts import Http
from curate.errors import UsageError
from curate.records import Candidate, Locator, Page

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
PAGE = 1000


@dataclass(frozen=True)
class Local:
    """Every image file below `path`, in the order of its relative name.

    `label` is the class of all of them; `label_from = "folder"` takes the first folder's name instead
    (`neutral/cat.jpg`). `album = "folder"` says that the files of one folder belong together and share a split.
    Links that lead out of `path` are left alone.
    """

    path: Path
    label: str | None = None
    label_from: Literal["none", "folder"] = "none"
    album: Literal["none", "folder"] = "none"
    license: str | None = None
    attribution: str | None = None

    def classes(self) -> frozenset[str | None]:
        """`label`, or the names of the first folders."""
        if self.label_from == "none":
            return frozenset({self.label})
        return frozenset(self._class(name) for name in self._names())

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """The files after the relative name `cursor`; raises UsageError for a folder without images."""
        names = list(self._names())
        if not names:
            raise UsageError(f"{self.path}: no images in this folder (looked for {', '.join(sorted(SUFFIXES))})")
        names = [name for name in names if cursor is None or name > cursor]
        for start in range(0, max(1, len(names)), PAGE):
            chunk = names[start : start + PAGE]
            last = start + PAGE >= len(names)
            yield Page(tuple(self._candidate(name) for name in chunk), None if last else chunk[-1])

    def _names(self) -> Iterator[str]:
        if not self.path.is_dir():
            raise UsageError(f"{self.path}: no such folder")
        root = self.path.resolve()
        found = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        inside = (p for p in found if p.resolve().is_relative_to(root))
        yield from sorted(p.relative_to(root).as_posix() for p in inside if not _hidden(p.relative_to(root)))

    def _class(self, name: str) -> str | None:
        folder, slash, _ = name.partition("/")
        return folder if slash else self.label

    def _candidate(self, name: str) -> Candidate:
        return Candidate(
            locator=Locator("path", str(self.path.resolve() / name)),
            ref=name,
            label=self._class(name) if self.label_from == "folder" else self.label,
            album=name.rpartition("/")[0] or None if self.album == "folder" else None,
            license=self.license,
            attribution=self.attribution,
        )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
