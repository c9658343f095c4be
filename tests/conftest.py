"""Fixtures that several test files share, and how property tests run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.commonsworld import http, switch, world
from tests.support.mediawiki import wiki

__all__ = ["http", "switch", "wiki", "world"]

os.environ["PIP_NO_INDEX"] = "1"  # no network: what a machine's caches lack is not fetched by a test

# How long an example takes says how busy the machine is; without this, that would fail a test.
settings.register_profile("unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Files whose tests wait for browsers and for killed processes: they begin first, so that no process is left with them.
FIRST = ("/review/app/", "/system/", "/removal/", "/engine/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first; within a file, and among the others, the order stays."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in FIRST))
