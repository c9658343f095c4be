"""Where pages may be written: over pages of curate, over no other file."""

from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.report.html import check_place
from tests.support.outside import SAFE, SOURCE, call, furnish


def test_a_page_takes_the_place_of_no_other_file(tmp_path: Path) -> None:
    root = furnish(tmp_path / "w", SAFE + SOURCE)
    call(root, "fetch")
    theirs = tmp_path / "thesis.html"
    theirs.write_text("<html>my own words</html>")
    assert "no page of curate" in str(call(root, "report", "--out", str(theirs), code=2))
    assert theirs.read_text() == "<html>my own words</html>"
    for _ in range(2):  # its own page it may write again
        call(root, "report", "--out", str(tmp_path / "page.html"))
    assert "no page of curate" in str(call(root, "check", str(root / "images"), "--report", str(theirs), code=2))
    assert theirs.read_text() == "<html>my own words</html>"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere" / "page.html"):
        with pytest.raises(UsageError, match="no file can be written there"):
            check_place(place, "--out")
    (tmp_path / "empty.html").touch()
    with pytest.raises(UsageError, match="no page of curate"):
        check_place(tmp_path / "empty.html", "--out")
