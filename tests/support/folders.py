"""Projects of a folder of pictures: `images/CLASS/NAME`, labelled by where they lie."""

from collections.abc import Sequence
from pathlib import Path

from tests.support.pictures import encode, texture

SOURCE = """
[engine]
use = "serial"
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
"""


def config(*labelers: str, more: str = "") -> str:
    """A curate.toml: the folder, `declared` and these labelers, and what else is to be in it."""
    return SOURCE + "".join(f'[[labelers]]\nuse = "{one}"\n' for one in ("declared", *labelers)) + more


def put(root: Path, name: str, data: bytes) -> Path:
    """A file below `images`."""
    path = root / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fill(root: Path, classes: Sequence[str], n: int = 24) -> None:
    """n textures, dealt out to the classes."""
    for one in range(n):
        put(root, f"{classes[one % len(classes)]}/{one}.png", encode(texture(one, (96, 64)), "PNG"))
