"""What a hydrated release says of splits and groups, beside what dedupe said of the same samples before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.release.removals import Feed
from curate.removal.received import follow
from curate.store.given_tables import came, rewritten
from curate.store.workspace import Workspace
from tests.support.builders import add_hashed, members, workspace

MINE, THEIRS, THIRD, OTHER = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
LOOKS = {MINE: 0, THEIRS: 2**30 - 1, THIRD: (2**30 - 1) << 30, OTHER: 2**60 - 1}


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


def run(ws: Workspace) -> dict[str, dict[str, str | None]]:
    dedupe(ws, Serial(), Progress(quiet=True))
    return members(ws)


def place(ws: Workspace, sample: str, split: str) -> None:
    """Have dedupe remember a split, as it would have drawn it."""
    with ws.catalog.tx() as db:
        db.execute("INSERT OR REPLACE INTO splits VALUES (?, ?, NULL)", (sample, split))


def say(
    ws: Workspace, item: str, split: str, group: str, sample: str | None = None, check: str = "ok",
    detail: str | None = None,
) -> None:  # fmt: skip
    """A row of a release, and the sample that came of it."""
    with ws.catalog.tx() as db:
        source = ("hydrate:1", "hydrate", '{"path":"/theirs"}')
        db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES (?, ?, ?)", source)
        row = (f"https://example.org/{item}", "stored" if sample else "failed", sample, check, detail)
        sql = "INSERT INTO candidates (kind, locator, state, sample, hash_check, detail) VALUES ('url', ?, ?, ?, ?, ?)"
        candidate = db.execute(sql, row).lastrowid
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (?, 'hydrate:1', ?)", (candidate, item))
        db.execute("INSERT INTO given VALUES (?, 'hydrate:1', ?, ?, ?, ?, NULL)", (candidate, item, item, split, group))


def add(ws: Workspace, *ids: str) -> None:
    add_hashed(ws, {one: LOOKS[one].to_bytes(8) for one in ids}, f"part-{ids[0][0]}")


@pytest.mark.parametrize("came_of_it", [True, False])
def test_what_was_here_is_not_trained_on_where_a_release_tests_on_it(ws: Workspace, came_of_it: bool) -> None:
    """Also where its URL is dead, and what is here is a file of one's own."""
    add(ws, MINE)
    place(ws, MINE, "train")
    run(ws)
    say(ws, MINE, "test", MINE, MINE if came_of_it else None)
    assert run(ws)[MINE]["excluded"] == "merged_with_test"
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM given")  # the release is another one since
    assert run(ws)[MINE]["excluded"] == "merged_with_test"


def test_what_is_tested_on_here_is_not_trained_on_with_a_release(ws: Workspace) -> None:
    add(ws, MINE, THEIRS)
    place(ws, MINE, "test")
    run(ws)
    say(ws, MINE, "train", "e" * 64, MINE)
    say(ws, OTHER, "train", "e" * 64, None)
    found = run(ws)
    assert (found[MINE]["split"], found[MINE]["excluded"]) == ("test", None)
    add(ws, OTHER)  # which looks like nothing: the release alone says that it is of one group with the first
    found = run(ws)
    assert (found[OTHER]["split"], found[OTHER]["excluded"]) == ("train", "merged_with_test")
    assert found[OTHER]["grp"] == found[MINE]["grp"] != found[THEIRS]["grp"]


def test_groups_of_two_releases_that_share_an_item_are_one(ws: Workspace) -> None:
    """The second release is of other people, who put the item elsewhere."""
    add(ws, MINE, THEIRS)
    say(ws, MINE, "val", MINE, MINE)
    say(ws, THEIRS, "val", MINE, THEIRS)
    run(ws)
    add(ws, THIRD)
    say(ws, THIRD, "test", "0" * 64, THIRD)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('hydrate:2', 'hydrate', '{}')")
        (candidate,) = db.execute("SELECT candidate FROM given WHERE id = ?", (THEIRS,)).fetchone()
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (?, 'hydrate:2', ?)", (candidate, THEIRS))
        row = (candidate, "hydrate:2", THEIRS, THEIRS, "test", "0" * 64)
        db.execute("INSERT INTO given VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
    found = run(ws)
    assert len({row["grp"] for row in found.values()}) == 1
    assert {one: found[one]["excluded"] for one in found} == {
        MINE: "merged_with_test", THEIRS: "merged_with_test", THIRD: None,
    }  # fmt: skip


def test_an_item_that_is_here_in_other_bytes_is_that_item(ws: Workspace) -> None:
    """Without its metadata, or as a rendition: it has the release's split, and goes when it is taken down."""
    less = rewritten((MINE, "1" * 40, "2" * 32))
    assert came(less) == MINE
    add(ws, THEIRS, OTHER)
    say(ws, MINE, "test", MINE, THEIRS, "ok", less)
    say(ws, THIRD, "val", THIRD, OTHER, "rendition")
    found = run(ws)
    assert (found[THEIRS]["split"], found[THEIRS]["grp"]) == ("test", MINE)
    assert (found[OTHER]["split"], found[OTHER]["grp"]) == ("val", THIRD)
    items = [{"id": one, "versions": ["1.0.0"]} for one in (MINE, THIRD)]
    assert follow(ws, Feed("theirs", "last", items), "1.0.0", {"hydrate:1"})["removed"] == 2
    assert ws.catalog.scalar("SELECT count(*) FROM samples") == 0
