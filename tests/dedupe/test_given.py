"""Splits that come from outside, and what belongs together by what is said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from curate.config import Config, ExportConfig
from curate.dedupe.given import read
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.options import Plugin
from curate.progress import Progress
from curate.records import SPLITS
from curate.store.workspace import Workspace
from tests.support.builders import add_hashed, members, mention, workspace
from tests.support.releases import far

IDS = [f"{n:015x}".ljust(64, "0") for n in range(1, 61)]
QUIET = Progress(quiet=True)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """60 samples, of which the first nine are three groups of three."""
    made = workspace(tmp_path)
    add_hashed(made, {one: far(n // 3 if n < 9 else n) for n, one in enumerate(IDS)}, "part")
    for n, one in enumerate(IDS):
        mention(made, one, "neutral", None, "urllist:a" if n < 40 else "folds:b")
    yield made
    made.close()


def run(ws: Workspace, **options: Any) -> Mapping[str, Any]:
    ws.config = replace(Config(), export=ExportConfig(**options), sources=(
        Plugin("urllist", {"path": "a"}, "sources"), Plugin("urllist", {"path": "b", "name": "folds"}, "sources"),
    ))  # fmt: skip
    return dedupe(ws, Serial(), QUIET)


def splits(ws: Workspace) -> dict[str, str]:
    return {one: str(row["split"]) for one, row in members(ws).items()}


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "folds.csv"
    path.write_text(text)
    return path


def test_a_file_of_splits_is_obeyed_and_its_leaks_are_named(ws: Workspace, tmp_path: Path) -> None:
    said = {IDS[0]: "train", IDS[1]: "test", IDS[3]: "val", IDS[4]: "train", IDS[6]: "val"}
    said |= {one: SPLITS[n % 3] for n, one in enumerate(IDS[20:50])}
    rows = "".join(f"{one},{split}\n" for one, split in said.items())
    found = run(ws, split_from=table(tmp_path, f"id,split\n{rows}{'f' * 64},test\n"))["split_from"]
    now = splits(ws)
    assert [{now[one] for one in IDS[n : n + 3]} for n in (0, 3, 6)] == [{"test"}, {"val"}, {"val"}]
    assert all(now[one] == split for one, split in said.items() if one not in IDS[:6])
    assert found == {
        "rows": 36, "not_found": 1, "lines": [37], "elsewhere": 2, "leaking": 2,
        "leaks": [
            {"group": IDS[0], "put_in": "test", "file_says": {"test": 1, "train": 1}},
            {"group": IDS[3], "put_in": "val", "file_says": {"train": 1, "val": 1}},
        ],
    }  # fmt: skip
    run(ws)
    assert splits(ws) == now, "and without the file nothing moves"


def test_urls_and_paths_name_samples_too(ws: Workspace, tmp_path: Path) -> None:
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE sample = ?", (IDS[9],))
    with ws.catalog.tx() as db:
        sql = "INSERT INTO candidates (kind, locator, state, sample) VALUES ('path', ?, 'stored', ?)"
        db.execute(sql, ("/data/NPDI/fold1/v1.jpg", IDS[10]))
    run(ws, split_from=table(tmp_path, f"url,path,split\n{url},,test\n,fold1/v1.jpg,val\n"))
    assert (splits(ws)[IDS[9]], splits(ws)[IDS[10]]) == ("test", "val")


def test_what_was_placed_stays_and_leaves_releases_where_the_file_tests_on_it(ws: Workspace, tmp_path: Path) -> None:
    run(ws)
    before = splits(ws)
    trained = next(one for one in IDS[9:] if before[one] == "train")
    tested = next(one for one in IDS[9:] if before[one] == "test")
    found = run(ws, split_from=table(tmp_path, f"id,split\n{trained},test\n{tested},train\n"))["split_from"]
    assert splits(ws) == before
    assert members(ws)[trained]["excluded"] == "merged_with_test"
    assert members(ws)[tested]["excluded"] is None
    assert found["elsewhere"] == 2
    run(ws)
    assert members(ws)[trained]["excluded"] is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line names the columns"),
        ("id,split\n", "no splits in it"),
        ("id\nx\n", "its first line names the columns"),
        ("split\ntest\n", "its first line names the columns"),
        ("id,split,split\na,test,test\n", "column 'split' is there twice"),
        (f"id,split\n{IDS[0]},tset\n", r"folds\.csv:2: split: no such split 'tset'; did you mean 'test'"),
        (f"id,split\n{IDS[0]},\n", r"folds\.csv:2: split: no such split ''"),
        (f"id,split\n{IDS[0]},test\n{IDS[1]},val\n{IDS[0]},train\n", r"folds\.csv:4: train here, and test in line 2"),
        (f"id,split\n{'f' * 64},test\n", r"folds\.csv: no sample that it names is here \(1 rows\)"),
        (f"id,split\n,test\n{IDS[0]},test\n", r"folds\.csv:2: names no sample"),
        ("\0\0", "no text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused(ws: Workspace, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(ws, split_from=table(tmp_path, text))
    assert members(ws) == {}, "and nothing is written"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv"):
        read(tmp_path / "none.csv")


def test_whole_sources_are_the_test_split_and_nothing_else_is(ws: Workspace) -> None:
    mention(ws, IDS[9], "neutral", None, "folds:b")
    run(ws, test_sources=("folds",))
    now = splits(ws)
    assert {one for one, split in now.items() if split == "test"} == {*IDS[40:], IDS[9]}
    rest = [now[one] for one in IDS[:40] if one != IDS[9]]
    assert 3 <= rest.count("val") <= 6


def test_what_else_is_tested_on_beside_whole_sources_is_said(ws: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    run(ws)
    others = sum(split == "test" for one, split in splits(ws).items() if one not in IDS[40:])
    assert others
    caplog.clear()
    run(ws, test_sources=("folds",))
    assert f"test_sources: {others} samples of other sources are tested on, too" in caplog.text


@pytest.mark.parametrize(
    ("names", "says"), [(("fold",), "did you mean 'folds'"), (("folds", "urllist"), "nothing is left to train on")]
)
def test_sources_that_cannot_be_meant_are_refused(ws: Workspace, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(ws, test_sources=names)


def test_what_one_author_made_shares_a_split_where_that_is_asked(ws: Workspace) -> None:
    said = {
        20: (None, '{"author": "Jane  Doe"}'), 21: ("jane doe", None), 22: ("x", '{"author": ["Bob", "JANE DOE"]}'),
        23: ("Unknown author", None), 24: ("unknown", None), 25: ("[bad", None), 26: ("ACME", None), 27: ("ACME", None),
    }  # fmt: skip
    with ws.catalog.tx() as db:
        db.execute("""UPDATE sources SET options = '{"attribution": "ACME"}'""")
        for n, (attribution, facts) in said.items():
            candidate = db.execute("SELECT candidate FROM candidates WHERE sample = ?", (IDS[n],)).fetchone()[0]
            sql = "UPDATE mentions SET attribution = ?, facts = ? WHERE candidate = ?"
            db.execute(sql, (attribution, facts, candidate))
    run(ws, group_by=("author",))
    names = [members(ws)[IDS[n]]["grp"] for n in range(20, 28)]
    assert names[:3] == [IDS[20]] * 3
    assert names[3:] == IDS[23:28], "nobody, somebody, and what is said of a whole source tie nothing"


def test_albums_tie_unless_they_are_not_to(ws: Workspace) -> None:
    for one in IDS[30:33]:
        mention(ws, one, None, "album", "urllist:a")
    run(ws, group_by=())
    assert len({members(ws)[one]["grp"] for one in IDS[30:33]}) == 3
    run(ws)
    assert len({members(ws)[one]["grp"] for one in IDS[30:33]}) == 1


def test_a_group_that_holds_much_of_all_is_said(ws: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    for one in IDS[5:]:
        mention(ws, one, None, "album", "urllist:a")
    run(ws)
    assert "one group holds 57 of 60 samples" in caplog.text
