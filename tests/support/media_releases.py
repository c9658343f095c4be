"""Releases whose pictures leave with them: an item of every kind, and one that cannot leave."""

from pathlib import Path
from typing import Any

from curate.config import Config
from curate.contracts import Engine
from curate.engine.serial import Serial
from curate.records import SPLITS
from curate.release.export import export
from curate.store.workspace import Workspace
from tests.support.exposed import files
from tests.support.pictures import clip, texture
from tests.support.releases import EVERY, FORMATS, QUIET, SCREENED, Item, stocked

FILES = files()
PAGES = clip("TIFF", [texture(1), texture(2)])
MEDIA = {name: EVERY[name] for name in ("imagefolder", "webdataset")}
SAFE = {"content": ("drawings", 0.9)}


def items() -> list[Item]:
    """An item a kind, of two safe classes in three splits; and one that cannot leave."""
    found = [
        Item(name, SPLITS[n % 5 % 3], weak=SAFE if n % 2 else {"content": ("neutral", 0.9)}, data=data)
        for n, (name, data) in enumerate(FILES.items())
    ]
    return [*found, Item("pages", data=PAGES)]


def made(root: Path, what: list[Item], config: Config | None = None) -> Workspace:
    root.mkdir(parents=True, exist_ok=True)
    ws = stocked(root, what, config)
    ws.blobs.put((item.id, item.content) for item in what)
    return ws


def exported(ws: Workspace, engine: Engine | None = None, acknowledged: str | None = None) -> dict[str, Any]:
    return export(ws, "1.0.0", {**FORMATS, **MEDIA}, QUIET, SCREENED, engine or Serial(), acknowledged)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
