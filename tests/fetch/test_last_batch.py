"""What fails when the network has given its last answer ends the run as what fails before it does."""

from pathlib import Path
from typing import Any

import pytest

from curate.errors import DiskFullError
from curate.fetch.recorder import Recorder
from tests.support import screened
from tests.support.pictures import encode, photograph


def test_a_disk_that_is_full_for_the_last_batch_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise DiskFullError("the disk is full")

    screened.configure(tmp_path)
    screened.listed(tmp_path, ["5" * 64])
    for n in range(3):
        screened.put(tmp_path, f"{n}.jpg", encode(photograph().rotate(30 * n).resize((64, 48))))
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record", full)
        with pytest.raises(DiskFullError):
            screened.fetched(tmp_path)
    assert screened.fetched(tmp_path)[0]["stored"] == 3
