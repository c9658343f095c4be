"""Fixtures that several test files share."""

from tests.commonsworld import http, switch, world
from tests.mediawiki import wiki

__all__ = ["http", "switch", "wiki", "world"]
