"""A release that was made of a site's pictures, and a partner's empty workspace that may be given it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import curate
from curate.project import Project
from tests.support.pictures import encode, texture
from tests.support.web import Answer, Web

CONFIG = """
[fetch]
contact = "test@example.org"
allow_private = ["{origin}"]
rate = 1000.0
[engine]
use = "serial"
[screening]
required = false
{sources}
[[labelers]]
use = "declared"
[export]
formats = ["parquet", "urls"]
splits = {{ train = 0.4, val = 0.3, test = 0.3 }}
"""
OURS = '[[sources]]\nuse = "urllist"\npath = "raw_data"\n'
N = 12


def picture(seed: int) -> Answer:
    return 200, {"Content-Type": "image/png"}, encode(texture(seed, (96, 96)), "PNG")


def project(root: Path, site: Web, sources: str = "", screening: str = "") -> Project:
    root.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(origin=site.origin, sources=sources)
    (root / "curate.toml").write_text(text + screening)
    return curate.open(root, quiet=True)


def maker(root: Path, site: Web, n: int) -> Project:
    """A workspace whose lists name the first n pictures of a site, in two classes by turns."""
    return listing(root, site, [f"{number}.png" for number in range(n)])


def listing(root: Path, site: Web, names: Sequence[str]) -> Project:
    """The same of pictures by name."""
    for number, name in enumerate(names):
        file = root / "raw_data" / (label := ("neutral", "drawings")[number % 2]) / f"urls_{label}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:
            out.write(site.url(f"/{name}") + "\n")
    return project(root, site, OURS)


@dataclass
class Ours:
    """The site, the workspace that made a release of it, and the folder of what was exported."""

    site: Web
    project: Project
    root: Path

    @property
    def exports(self) -> Path:
        return self.root / "work" / "exports"

    def row(self, n: int = 0) -> dict[str, Any]:
        """A row of train, as it is in the format `urls`."""
        found: dict[str, Any] = pq.read_table(self.exports / "1.0.0/urls/train.parquet").to_pylist()[n]
        return found
