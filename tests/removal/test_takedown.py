"""Takedown: nothing of it is left, nothing of it comes back, and nothing else moves."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.admin.session import finish_removal
from curate.admin.verify import verify
from curate.config import Config
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import BusyError, StoreError, UsageError, WitnessError
from curate.release.export import export
from curate.release.reader import load
from curate.release.share import share
from curate.removal import remove as removal
from curate.removal import secure_delete
from curate.removal.remove import remove
from curate.removal.takedown import deleted, takedown
from curate.store.holds import held, is_held, unfinished
from curate.store.tombstones import SCRUBBED
from curate.store.workspace import Workspace
from tests.support.builders import add, members, workspace
from tests.support.pictures import encode, texture
from tests.support.releases import FORMATS, SCREENED
from tests.support.taken_down import QUIET, TOLD, released, start, traces, words

__all__ = ["start"]


@pytest.fixture
def ws(start: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(start, tmp_path / "w")
    made = Workspace(tmp_path / "w", Config())
    yield made
    made.close()


def test_nothing_is_left(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    assert len(traces(ws.work, gone)) > 5
    said = takedown(ws, one, "asked for")
    assert (said["removed"], said["releases_affected"]) == (1, ["1.0.0"])
    assert traces(ws.root, gone) <= TOLD
    assert all(one in (ws.root / name).read_text() for name in TOLD)
    assert not (ws.root / "report.html").exists()
    assert not (ws.work / "review").exists()
    assert ws.catalog.scalar("SELECT count(*) FROM decisions WHERE sample = ?", (one,)) == 0
    assert verify(ws, QUIET)["items"] == []


def test_every_page_with_pictures_is_known() -> None:
    here = Path(removal.__file__).parents[1]
    said = {
        name for p in here.rglob("*.py") for name in re.findall(r'^NAME = "(.*\.html)"', p.read_text(), re.MULTILINE)
    }
    assert said == set(removal.PAGES)


def test_every_table_about_samples_is_emptied(ws: Workspace) -> None:
    """Tables that others will add: a row in each, by its schema, must be gone afterwards."""
    one = released(ws)
    with ws.catalog.tx() as db:
        db.execute("CREATE TABLE of_tomorrow (sample TEXT, said TEXT)")
        db.execute("INSERT INTO of_tomorrow VALUES (?, 'something')", (one,))
    takedown(ws, one, "asked for")
    assert one.encode() not in ws.catalog.path.read_bytes()
    assert ws.catalog.scalar("SELECT count(*) FROM of_tomorrow") == 0


def test_an_id_in_a_place_that_nobody_thought_of_is_no_success(ws: Workspace) -> None:
    one = released(ws)
    ws.catalog.set("a place", one)
    with pytest.raises(StoreError, match="still holds 1 of the removed ids"):
        takedown(ws, one, "asked for")
    assert unfinished(ws.catalog)


def test_what_another_program_left_in_free_pages_goes_too(ws: Workspace) -> None:
    one = released(ws)
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE sample = ?", (one,))
    ws.catalog.all("PRAGMA secure_delete = OFF")
    with ws.catalog.tx() as db:
        db.executemany("INSERT INTO meta VALUES (?, ?)", ((f"{url} {n}", f"{one} {n}") for n in range(200)))
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE value LIKE ?", (f"{one}%",))
    ws.catalog.checkpoint()
    ws.catalog.all("PRAGMA secure_delete = ON")
    gone = words(ws, one)
    assert ws.catalog.path.read_bytes().count(one.encode()) > 200
    takedown(ws, one, "asked for")
    assert traces(ws.root, gone) <= TOLD
    assert verify(ws, QUIET)["items"] == []


def test_many_at_once(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secure_delete, "LOOKED_FOR", 4)
    some = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id LIMIT 9")]
    gone = [word for one in some for word in words(ws, one)]
    assert remove(ws, some, "a list changed").counts["samples"] == 9
    assert traces(ws.root, gone) <= TOLD
    assert verify(ws, QUIET)["items"] == []


def test_the_receipt_names_nothing(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    receipt = ws.work / takedown(ws, one, "asked for")["receipt"]
    said = json.loads(receipt.read_text())
    assert said["counts"] == {"samples": 1, "candidates": 1, "mentions": 1, "decisions": 1}
    assert said["reason"] == "asked for"
    assert said["digests"]["sha256"] == [ws.catalog.digest("sha256", one)]
    assert not any(word in receipt.read_bytes() for word in gone)
    assert one not in (ws.work / "releases/1.0.0/receipt-1.json").read_text()


def test_the_same_again_answers_with_the_receipt(ws: Workspace) -> None:
    one = released(ws)
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE sample = ?", (one,))
    said = takedown(ws, url, "asked for")
    assert takedown(ws, url, "again")["receipt"] == takedown(ws, one, "again")["receipt"] == said["receipt"]


@pytest.mark.parametrize("name", ["http://example.org/secret", "commons:12", "ab", "f" * 64])
def test_a_name_of_nothing(ws: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match="names nothing that is here") as error:
        takedown(ws, name, "asked for")
    assert "secret" not in str(error.value)


def test_a_reader_in_the_way_is_said_and_the_same_again_finishes(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = released(ws)
    gone = words(ws, one)
    monkeypatch.setattr(type(ws.catalog), "checkpoint", lambda _: False)
    with pytest.raises(StoreError, match="another process reads it"):
        takedown(ws, one, "asked for")
    monkeypatch.undo()
    finish_removal(ws)
    assert takedown(ws, one, "asked for")["removed"] == 1
    assert traces(ws.root, gone) <= TOLD


def test_somebody_who_reviews_is_asked_to_close(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    with (ws.work / "review" / "session" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="session is open; what is to be removed is held back"):
            takedown(ws, one, "asked for")
        assert is_held(ws.catalog, one)
    finish_removal(ws)
    assert not (ws.work / "review").exists()
    assert traces(ws.root, gone) <= TOLD


def test_a_release_is_redacted(ws: Workspace) -> None:
    one = released(ws)
    folder = ws.work / "releases/1.0.0"
    before = ws.catalog.scalar("SELECT sha256 FROM releases")
    was = load(folder)
    takedown(ws, one, "asked for")
    after = ws.catalog.scalar("SELECT sha256 FROM releases")
    release = load(folder, after)
    for split, table in was.rows.items():
        kept = [row for row in table.to_pylist() if row["id"] != one]
        for row in kept:
            row["group"] = release.rows[split].to_pylist()[0]["group"] if row["group"] == one else row["group"]
        assert [row["id"] for row in kept] == release.rows[split].column("id").to_pylist()
    assert release.header["rows"]["train"] == was.header["rows"]["train"] - 1
    receipt = json.loads((folder / "receipt-1.json").read_text())
    assert (receipt["before"], receipt["after"]) == (before, after)
    for path in (ws.work / "exports/1.0.0").rglob("*.csv"):
        assert one not in path.read_text()
    again = takedown(ws, ws.catalog.scalar("SELECT max(sample) FROM released"), "another")
    assert again["releases_affected"] == ["1.0.0"]
    assert json.loads((folder / "receipt-2.json").read_text())["before"] == after
    assert verify(ws, QUIET)["items"] == []


def test_the_row_is_a_tombstone_in_its_place(ws: Workspace) -> None:
    one = released(ws)
    path = ws.work / "releases/1.0.0/train.parquet"
    place = pq.read_table(path).column("id").to_pylist().index(one)
    receipt = takedown(ws, one, "asked for")["receipt"]
    row = pq.read_table(path).to_pylist()[place]
    assert row.pop("split") == "train"
    assert row.pop("removed") in receipt
    assert set(row.values()) == {None}


def test_the_next_release_lists_it_and_recipients_are_named(ws: Workspace) -> None:
    one = released(ws)
    with pytest.raises(UsageError, match="no such release"):
        share(ws, "2.0.0", "Ada")
    share(ws, "1.0.0", "Ada of Example University")
    said = takedown(ws, one, "asked for")
    assert said["recipients"] == {"1.0.0": ["Ada of Example University"]}
    export(ws, "1.0.1", FORMATS, QUIET, SCREENED)
    assert load(ws.work / "releases/1.0.1").header["removed"] == [{"id": one, "versions": ["1.0.0"]}]


def test_the_others_keep_group_split_and_place(ws: Workspace) -> None:
    one = released(ws)
    before = members(ws)
    twins = [name for name, row in before.items() if row["survivor"] == one and name != one]
    said = takedown(ws, one, "asked for")
    assert said["duplicates_left"] == len(twins) > 0
    after = members(ws)
    assert {name: row["split"] for name, row in after.items()} == {
        name: row["split"] for name, row in before.items() if name != one
    }
    assert after[twins[0]]["survivor"] == after[twins[0]]["collapse"] == twins[0]
    dedupe(ws, Serial(), QUIET)
    assert members(ws) == after


def test_with_duplicates(ws: Workspace) -> None:
    one = released(ws)
    twins = [name for name, row in members(ws).items() if row["survivor"] == one]
    gone = [word for name in twins for word in words(ws, name)]
    assert takedown(ws, one, "asked for", with_duplicates=True)["removed"] == len(twins) > 1
    assert traces(ws.root, gone) <= TOLD


def test_a_group_whose_test_sample_goes_does_not_come_back_to_train(tmp_path: Path) -> None:
    """What left because a look-alike is in test stays out when that look-alike is taken down, and after a merge."""
    ws = workspace(tmp_path)
    three = [add(ws, encode(texture(1), quality=q), "neutral") for q in (90, 80, 70)]
    dedupe(ws, Serial(), QUIET)
    with ws.catalog.tx() as db:
        db.execute("UPDATE splits SET split = CASE sample WHEN ? THEN 'test' ELSE 'train' END", (min(three),))
    dedupe(ws, Serial(), QUIET)
    name = min(three)
    left = {one: row["excluded"] for one, row in members(ws).items() if one != name}
    assert set(left.values()) == {"merged_with_test"}
    takedown(ws, name, "asked for")
    for _ in range(2):
        dedupe(ws, Serial(), QUIET)
        assert {one: row["excluded"] for one, row in members(ws).items()} == left
    assert name.encode() not in ws.catalog.path.read_bytes()
    ws.close()


def test_an_older_catalog_brings_nothing_back(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    url = gone[-1].decode()
    ws.close()
    backup = {path.name: path.read_bytes() for path in ws.work.glob("catalog.db*")}
    again = Workspace(ws.root, Config())
    takedown(again, one, "asked for")
    sha256 = again.catalog.scalar("SELECT sha256 FROM releases")
    again.close()
    for name, data in backup.items():
        (ws.work / name).write_bytes(data)
    back = Workspace(ws.root, Config())
    assert one in held(back.catalog)  # at once, for readers as well
    assert back.catalog.scalar("SELECT sha256 FROM releases") == sha256
    finish_removal(back)
    assert traces(ws.root, gone) <= TOLD
    assert (
        back.catalog.scalar(
            "SELECT reason FROM candidates WHERE locator = ?", (SCRUBBED + back.catalog.digest("url", url),)
        )
        == "taken_down"
    )
    (only,) = verify(back, QUIET)["items"]
    assert "is an older copy" in only["problem"], "what else happened since, it does not know"
    back.close()


def test_a_new_catalog_knows_what_was_taken_down(ws: Workspace) -> None:
    one = released(ws)
    takedown(ws, one, "asked for")
    ws.close()
    for path in ws.work.glob("catalog.db*"):
        path.unlink()
    with pytest.raises(WitnessError, match=r"catalog\.db is missing"):
        Workspace(ws.root, Config())
    new = Workspace(ws.root, Config(), anew=True)
    assert new.catalog.scalar("SELECT 1 FROM tombstones WHERE digest = ?", (new.catalog.digest("sha256", one),))
    new.close()


def test_another_workspaces_tombstones_are_refused(ws: Workspace, tmp_path: Path) -> None:
    takedown(ws, released(ws), "asked for")
    other = workspace(tmp_path / "other")
    add(other, encode(texture(77)))
    other.close()
    shutil.copy(ws.work / "tombstones.log", other.work)
    with pytest.raises(StoreError, match="belongs to another catalog"):
        workspace(tmp_path / "other")


def test_what_was_deleted_upstream_goes_the_same_way(ws: Workspace) -> None:
    one = released(ws)
    gone = words(ws, one)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO withheld VALUES (?, 'upstream_deleted', '', '2026', NULL)", (one,))
    assert deleted(ws, "deleted upstream")["removed"] == 1
    assert traces(ws.root, gone) <= TOLD
    assert deleted(ws, "deleted upstream")["removed"] == 0


def test_no_column_of_the_schema_keeps_an_id(ws: Workspace) -> None:
    """The id in every text column of every table that may name a sample, as a value of its own: all are emptied."""
    one, other = released(ws), str(ws.catalog.scalar("SELECT max(sample) FROM released"))
    sql = "INSERT INTO queue_items (queue, sample, place, raters, blind, gold) VALUES ('q', ?, 0, 0, 0, 0)"
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO queues VALUES ('q', 'audit', 'content', '1', 0, 0, 0, '{}', '2026', NULL)")
        db.execute(sql, (one,))
        db.execute(
            "INSERT INTO review_events (at, kind, queue, sample, reviewer) VALUES ('', 'skip', 'q', ?, 'a')", (one,)
        )
        db.execute("INSERT INTO group_parts VALUES (?, ?)", (other, one))
        db.execute("INSERT INTO held_out_sets VALUES ('s', 's', 0, '2026', NULL)")
        sql = "INSERT INTO held_out (name, item, phash, quality, pdq, pdq_quality) VALUES ('s', ?, x'00', 0, x'00', 0)"
        db.execute(sql, (one,))
        db.execute("INSERT INTO held_out_frames VALUES ('s', ?, 1, x'00', 0, x'00', 0)", (one,))
        db.execute("INSERT INTO disputed VALUES ('content', ?)", (one,))
        db.execute("INSERT INTO quarantine (kind, subject, reason, at) VALUES ('sample', ?, 'r', '2026')", (one,))
        for kind in ("declared", "human"):
            db.execute("INSERT INTO conflicts VALUES (?, ?, 'content', 'r', NULL)", (kind, one))
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, carried_from)"
            " VALUES (?, 'content', '1', 'ada', 'neutral', '2026', 'blind', ?)",
            (other, one),
        )
    takedown(ws, one, "asked for")
    assert one.encode() not in ws.catalog.path.read_bytes()
    assert ws.catalog.scalar("SELECT count(*) FROM decisions WHERE sample = ?", (other,)) == 1  # its own stays
