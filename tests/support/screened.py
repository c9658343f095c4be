"""Workspaces with a folder of pictures and screening lists, for tests of what becomes of a match."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from curate.admin import configured
from curate.config import load as load_config
from curate.engine.serial import Serial
from curate.errors import MatchError
from curate.fetch.run import fetch
from curate.media import pdq
from curate.net.offline import Offline
from curate.screening.gate import Gate
from curate.store.workspace import Workspace
from tests.support.releases import QUIET

SOURCE = '[[sources]]\nuse = "local"\npath = "images"\nlabel_from = "folder"\n'
LIST = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n'


def hash_of(image: Image.Image) -> str:
    """The upright PDQ of a picture, as a list has it."""
    return pdq.compute(image).hashes[:32].hex()


def configure(root: Path, screening: str = "", lists: str = LIST) -> None:
    """Write curate.toml."""
    (root / "curate.toml").write_text(f"[engine]\nworkers = 1\n[screening]\n{screening}\n{lists}{SOURCE}")


def put(root: Path, name: str, data: bytes) -> None:
    """A file that the source finds."""
    path = root / "images" / "neutral" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def listed(root: Path, values: Sequence[str], name: str = "list.txt") -> None:
    """Write a list of hashes."""
    (root / name).write_text("".join(f"{one}\n" for one in values))


def opened(root: Path) -> Workspace:
    """The workspace, with its configuration."""
    return Workspace(root, load_config(root))


def gate(ws: Workspace) -> Gate:
    """The gate as the command makes it."""
    return configured.gate(ws.config, ws.catalog)


def fetched(root: Path, relist: bool = True) -> tuple[dict[str, Any], str]:
    """Run fetch in this process: the workspace's totals, and what it said of matches (empty: none)."""
    from curate.fetch.coverage import totals
    from curate.fetch.listing import relist as begin_again

    ws, said = opened(root), ""
    try:
        with ws.driver("fetch"):
            ws.catalog.begin("fetch", "")
            if relist:
                begin_again(ws.catalog)
            try:
                fetch(ws, configured.sources(ws.config), Offline("no network"), gate(ws), Serial(), QUIET)
            except MatchError as error:
                said = str(error)
            ws.catalog.end("done")
        return totals(ws), said
    finally:
        ws.close()


def fates(ws: Workspace) -> dict[str, str]:
    """What became of each file, by its name."""
    rows = ws.catalog.all("SELECT locator, coalesce(reason, state) FROM candidates ORDER BY 1")
    return {Path(row[0]).name: row[1] for row in rows}


def logged(ws: Workspace) -> list[dict[str, Any]]:
    """The log, oldest first."""
    return [dict(row) | json.loads(row["detail"]) for row in ws.catalog.all("SELECT * FROM log ORDER BY seq")]
