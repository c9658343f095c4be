"""Fixtures that several test files share, and how property tests run."""

from hypothesis import HealthCheck, settings

from tests.support.commonsworld import http, switch, world
from tests.support.mediawiki import wiki

__all__ = ["http", "switch", "wiki", "world"]

# How long an example takes says how busy the machine is; without this, that would fail a test.
settings.register_profile("unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
