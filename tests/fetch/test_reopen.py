"""What failed because of the settings is asked for again when they change."""

from pathlib import Path

import pytest

from curate.config import Config, load
from curate.errors import UsageError
from curate.fetch.reasons import KEYS, table_of
from curate.fetch.reopen import SCREENING, deciding, retry
from curate.records import Reason
from curate.store.workspace import Workspace
from tests.fetch.test_fetch import curate
from tests.support.pictures import encode, texture

CONFIG = """
[screening]
required = false
[fetch]
{fetch}
[[sources]]
use = "local"
path = "images"
label = "neutral"
"""


def workspace(root: Path, fetch: str) -> Path:
    (root / "images").mkdir(exist_ok=True)
    for name, side in (("small.png", 12), ("large.png", 300), ("usual.png", 40)):
        (root / "images" / name).write_bytes(encode(texture(side, (side, side)), "PNG"))
    (root / "curate.toml").write_text(CONFIG.format(fetch=fetch))
    return root


def test_a_changed_setting_asks_again_for_what_it_decided_and_for_nothing_else(tmp_path: Path) -> None:
    first = curate(workspace(tmp_path, "max_pixels = 10_000"), "fetch")
    assert first["reasons"] == {"too_many_pixels": 1, "too_small": 1}
    again = curate(workspace(tmp_path, "max_pixels = 10_000\nmax_bytes = '9 MiB'"), "fetch")
    assert (again["reopened"], again["stored"]) == ({}, 1)
    wider = curate(workspace(tmp_path, "max_pixels = 100_000"), "fetch")
    assert (wider["reopened"], wider["stored"], wider["reasons"]) == ({"max_pixels": 1}, 2, {"too_small": 1})
    smaller = curate(workspace(tmp_path, "min_side = 8"), "fetch")
    assert (smaller["reopened"], smaller["stored"], smaller["failed"]) == ({"min_side": 1}, 3, 0)
    assert curate(tmp_path, "fetch")["reopened"] == {}


def test_force_asks_again_for_an_answer(tmp_path: Path) -> None:
    curate(workspace(tmp_path, "min_side = 20"), "fetch")
    refused = curate(tmp_path, "fetch", "--retry-failed", "too_small", ok=(2,))["error"]
    assert "[fetch] min_side would let it in" in refused
    assert "--force (force=True) asks all the same" in refused
    assert curate(tmp_path, "fetch", "--retry-failed", "too_small", "--force")["reasons"] == {"too_small": 1}
    assert "--force goes with" in curate(tmp_path, "fetch", "--force", ok=(2,))["error"]
    assert "name the reasons" in curate(tmp_path, "fetch", "--retry-failed", "--force", ok=(2,))["error"]
    for reason in SCREENING:
        assert str(reason) in curate(tmp_path, "fetch", "--retry-failed", reason, "--force", ok=(2,))["error"]


def test_what_a_worker_had_no_memory_for_is_asked_again_with_more(tmp_path: Path) -> None:
    """The settings of [engine] decide failures, too."""
    workspace(tmp_path, "")
    curate(tmp_path, "fetch")
    ws = Workspace(tmp_path, load(tmp_path))
    with ws.catalog.tx() as db:
        decided = deciding(Reason.TOO_LARGE, ws.config)
        db.execute("UPDATE candidates SET state = 'failed', reason = 'too_large', decided_by = ?"
                   " WHERE locator LIKE '%large.png'", (decided,))  # fmt: skip
    ws.close()
    assert curate(tmp_path, "fetch")["reopened"] == {}
    with (tmp_path / "curate.toml").open("a") as file:
        file.write("[engine]\nitem_memory = '3 GiB'\n")
    said = curate(tmp_path, "fetch")
    assert (said["reopened"], said["asked"]) == ({"item_memory": 1}, 1)


def test_the_keys_are_those_of_the_config() -> None:
    for reason in Reason:
        assert (deciding(reason, Config()) is None) == (reason not in KEYS)
    for key in {key for keys in KEYS.values() for key in keys}:
        assert hasattr(getattr(Config(), table_of(key)), key)
    with pytest.raises(UsageError, match="no such reason"):
        retry(None, ["too_smal"])  # type: ignore[arg-type]
