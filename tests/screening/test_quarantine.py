"""A person finds what lists cannot: held back at once by whoever asks `views.held`, with an incident."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from curate.admin.status import status
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import StoreError, UsageError
from curate.release.rows import collect
from curate.report.counts import survivors
from curate.review.decisions_csv import export_csv
from curate.screening.quarantine import quarantine
from curate.store import holds
from curate.store.lookup import one as resolve
from curate.store.workspace import Workspace
from tests.commands.test_cli import curate
from tests.support.builders import add, decide, members, workspace
from tests.support.pictures import encode, photograph, texture
from tests.support.releases import QUIET


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


def test_one_sample_leaves_everything_at_once(ws: Workspace, tmp_path: Path) -> None:
    ids = [add(ws, encode(texture(n)), "neutral") for n in range(4)]
    for one in ids:
        decide(ws, one, "neutral")
    dedupe(ws, Serial(), QUIET)
    assert sum(table.num_rows for table in collect(ws).tables.values()) == 4
    incident = quarantine(ws.catalog, ids[0], "looks wrong", actor="ann")
    assert holds.held(ws.catalog) == {ids[0]}
    rows = collect(ws)
    assert sorted(one for one, _ in rows.ids()) == sorted(ids[1:])
    assert rows.excluded == {"quarantined": 1}
    assert sorted(survivors(ws)) == sorted(ids[1:])
    assert (status(ws)["labelled"], status(ws)["held"]) == (3, 1)
    export_csv(ws, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        assert sorted(row["sha256"] for row in csv.DictReader(file)) == sorted(ids[1:])
    dedupe(ws, Serial(), QUIET)
    assert sorted(members(ws)) == sorted(ids[1:])
    row = dict(ws.catalog.all("SELECT * FROM incidents")[0])
    assert (row["incident"], row["kind"], row["state"]) == (incident, "person", "open")
    assert row["digest"] == ws.catalog.digest("sha256", ids[0])
    assert json.loads(row["detail"]) == {"reason": "looks wrong", "actor": "ann"}


def test_the_log_names_who_and_the_keyed_digest_only(ws: Workspace) -> None:
    one = add(ws, encode(texture(1)))
    quarantine(ws.catalog, one, "see http://example.org/x", actor="ann")
    row = dict(ws.catalog.all("SELECT * FROM log ORDER BY seq DESC LIMIT 1")[0])
    assert (row["actor"], row["action"], row["subject"]) == ("ann", "quarantine", ws.catalog.digest("id", one))
    assert one not in str(row)
    assert "http" not in str(row)
    assert ws.catalog.broken_links() == []


def test_with_its_group_and_albums(ws: Workspace) -> None:
    photo = photograph().resize((300, 280))
    one, twin = add(ws, encode(photo, quality=90), album="gallery"), add(ws, encode(photo, quality=60))
    beside, other = add(ws, encode(texture(1)), album="gallery"), add(ws, encode(texture(2)), album="another")
    dedupe(ws, Serial(), QUIET)
    quarantine(ws.catalog, one, "looks wrong", actor="ann")
    assert holds.held(ws.catalog) == {one}
    dedupe(ws, Serial(), QUIET)  # its group is written anew, without it
    quarantine(ws.catalog, one, "its group, too", group=True, actor="ann")
    assert holds.held(ws.catalog) == {one, twin, beside}
    late = add(ws, encode(texture(3)), album="gallery")
    assert holds.held(ws.catalog) == {one, twin, beside, late}
    assert other not in holds.held(ws.catalog)


def test_what_came_from_the_same_list_file_or_uploader(ws: Workspace) -> None:
    ids = [add(ws, encode(texture(n)), source=f"urllist:{n % 2}") for n in range(4)]
    with ws.catalog.tx() as db:
        for number, (one, ref) in enumerate(zip(ids, ("a.txt:1", "a.txt:2", "a.txt:33", "aXtxt:3"), strict=True)):
            facts = json.dumps({"uploader": f"user {number % 3}"})
            sql = "SELECT candidate FROM candidates WHERE sample = ?"
            db.execute(f"UPDATE mentions SET ref = ?, facts = ? WHERE candidate = ({sql})", (ref, facts, one))
        db.execute("INSERT INTO quarantine VALUES ('list', 'urllist:0 a.txt:', NULL, '', '')")
    assert holds.held(ws.catalog) == {ids[0], ids[2]}
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('uploader', 'urllist user 1', NULL, '', '')")
    assert holds.held(ws.catalog) == {ids[0], ids[1], ids[2]}


def test_names_that_resolve(ws: Workspace) -> None:
    one, two = add(ws, encode(texture(1))), add(ws, encode(texture(2)))
    url = ws.catalog.scalar("SELECT locator FROM candidates WHERE sample = ?", (one,))
    with ws.catalog.tx() as db:
        sql = "UPDATE mentions SET page_id = 'commons:7' WHERE candidate = (SELECT min(candidate) FROM candidates)"
        db.execute(sql)
    assert {resolve(ws.catalog, name) for name in (one, one[:8], one[:12].upper(), url, "commons:7")} == {one}
    assert resolve(ws.catalog, two[:10]) == two
    for name in (one[:7], "0" * 64, "http://example.org/none.jpg", "commons:8", "", "%", "_" * 8):
        with pytest.raises(UsageError, match="names no stored sample") as error:
            resolve(ws.catalog, name)
        assert "http" not in str(error.value)
    for sample, reason in ((one, " "), ("0" * 64, "why")):
        with pytest.raises(UsageError):
            quarantine(ws.catalog, sample, reason, actor="ann")
    assert holds.held(ws.catalog) == set()


def test_the_command_needs_no_driver_lock(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text("[screening]\nrequired = false\n")
    ws = workspace(tmp_path)
    one = add(ws, encode(texture(1)))
    with ws.driver("fetch"):
        said = json.loads(curate(tmp_path, "quarantine", one[:8], "--reason", "looks wrong", "--json").stdout)
    assert (said["incident"], said["held_samples"]) == (1, 1)
    assert holds.held(ws.catalog) == {one}
    assert "names no stored sample" in curate(tmp_path, "quarantine", "0" * 64, "--reason", "x", code=2).stderr
    ws.close()


def test_an_older_catalog_keeps_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from curate.store import migrations

    one = "1" * 64
    (tmp_path / "work").mkdir()
    with monkeypatch.context() as patch, closing(sqlite3.connect(tmp_path / "work/catalog.db")) as db:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        db.isolation_level = None
        migrations.migrate(db)
        columns = "(id, sha1, md5, bytes, media_type, width, height)"
        db.execute(f"INSERT INTO samples {columns} VALUES (?, '', '', 1, 'image/png', 8, 8)", (one,))
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', '')", (one,))
    ws = workspace(tmp_path)
    assert holds.held(ws.catalog) == {one}
    assert one in (tmp_path / "work/journal.log").read_text()
    ws.close()
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
    with pytest.raises(StoreError, match="newer curate"):
        workspace(tmp_path)
