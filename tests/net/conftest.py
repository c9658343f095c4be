"""What is polite, patient and slow is so by the clock: here it stands still while anything can go on."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from curate.net import body, robots, throttle
from tests.support.still_loop import StillLoop, now


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], StillLoop]]:
    """The loop of every test of this folder."""
    return {"still": StillLoop}


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's clock is its loop's."""
    for module in (body, robots, throttle):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now))
