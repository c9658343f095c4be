"""A workspace that is filled row by row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.config import Config
from tests.support.report_pages import OFF, Builder


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Builder]:
    builder = Builder(tmp_path / "set", Config(screening=OFF))
    yield builder
    builder.ws.close()
