"""A workspace whose list has one of its pictures."""

from pathlib import Path

import pytest

from tests.support.pictures import encode, texture
from tests.support.screened import configure, put
from tests.support.set_aside import HASH, PHOTO, listed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A listed picture among three others; the list has one hash."""
    configure(tmp_path)
    listed(tmp_path, [HASH])
    put(tmp_path, "photo.jpg", encode(PHOTO, quality=70))
    for n in range(3):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
    return tmp_path
