"""A journal of an earlier day knows what people said of what was taken down since: it does not come back."""

import pytest

from tests.admin.test_histories import history


@pytest.mark.parametrize("acts", [
    [("add", 0), ("decide", 0), ("backup", 0), ("takedown", 0)],
    [("add", 0), ("add", 1), ("decide", 0), ("decide", 1), ("hold", 0), ("backup", 0), ("takedown", 1), ("decide", 0)],
    [("add", 0), ("decide", 0), ("hold", 0), ("backup", 0), ("takedown", 0), ("add", 2)],
])  # fmt: skip
@pytest.mark.parametrize("loss", ["older journal", "older catalog", "journal", "catalog"])
def test_what_was_taken_down_stays_away(acts: list[tuple[str, int]], loss: str) -> None:
    history(acts, loss, [])
