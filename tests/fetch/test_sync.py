"""fetch --sync against a real MediaWiki: what is deleted, moved or overwritten there is marked here, and comes back."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.config import Config
from curate.contracts import Http
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.fetch.run import fetch
from curate.fetch.sync import sync
from curate.net.client import Client
from curate.net.limits import Limits
from curate.net.offline import Offline
from curate.progress import Progress
from curate.records import Change, Page, Reason, Upstream
from curate.release.rows import collect
from curate.removal.takedown import deleted
from curate.screening.gate import Gate
from curate.store import holds
from curate.store.workspace import Workspace
from sources.commons import Commons
from tests.fetch.test_fetch import curate
from tests.support.commonsworld import png, tree
from tests.support.mediawiki import Wiki

KINDS = ("deleted", "withdrawn", "moved", "overwritten", "restored", "withheld")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(tmp_path / "w", Config())
    yield made
    made.close()


def client(world: Wiki) -> Client:
    return Client(Limits(contact="test@example.org", allow_private=(world.host,)))


def fetched(ws: Workspace, world: Wiki, source: Commons, limit: int | None = None) -> dict[str, Any]:
    return fetch(ws, [source], client(world), Gate(required=False), Serial(), Progress(quiet=True), limit)


def said(ws: Workspace, world: Wiki, source: Commons) -> dict[str, object]:
    """What a sync finds, but for what it does not."""
    result = sync(ws, [source], client(world), Progress(quiet=True))
    assert result["unsynced"] == {}
    return {name: result[name] for name in KINDS if result[name]} | {"checked": result["checked"]}


def query(ws: Workspace, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in ws.catalog.all(sql)]


def test_what_changes_upstream_is_marked_and_unmarked(empty: Workspace, world: Wiki) -> None:
    ws, source = empty, tree(world, "Category:Kept in step")
    world.upload({f"Step {n}.png": (png(40 + n), "[[Category:Kept in step]]") for n in range(4)})
    assert fetched(ws, world, source)["stored"] == 4
    assert said(ws, world, source) == {"checked": 4}

    world.delete("File:Step 0.png", "no permission")
    world.move("File:Step 1.png", "File:Pace 1.png")
    world.upload({"Step 2.png": (png(60), "")})
    assert said(ws, world, source) == {"checked": 4, "deleted": 1, "moved": 1, "overwritten": 1, "withheld": 1}
    ((sample, reason, detail),) = query(ws, "SELECT sample, reason, detail FROM withheld")
    assert sample == hashlib.sha256(png(40)).hexdigest()
    assert reason == "upstream_deleted"
    assert detail.endswith("no permission")
    assert query(ws, "SELECT detail FROM changes WHERE kind = 'moved'") == [("File:Pace 1.png",)]
    assert dict(collect(ws).excluded) == {"upstream_deleted": 1, "not_deduped": 3}, "it leaves the next release"
    before = query(ws, "SELECT * FROM changes")
    assert said(ws, world, source)["deleted"] == 1
    assert query(ws, "SELECT * FROM changes") == before, "what is known already is not written again"

    world.undelete("File:Step 0.png")
    world.move("File:Pace 1.png", "File:Step 1.png")
    world.upload({"Step 2.png": (png(42), "")})
    assert said(ws, world, source) == {"checked": 4, "restored": 3}
    assert query(ws, "SELECT * FROM withheld") == []
    assert query(ws, "SELECT count(*) FROM changes WHERE ended_at IS NOT NULL") == [(3,)]
    assert dict(collect(ws).excluded) == {"not_deduped": 4}

    world.delete("File:Step 0.png", "again")
    said(ws, world, source)
    ws.catalog.begin("takedown", "")
    assert deleted(ws, "deleted upstream")["removed"] == 1, "what is marked is what takedown removes"
    assert ws.catalog.scalar("SELECT count(*) FROM samples WHERE id = ?", (sample,)) == 0
    assert query(ws, "SELECT * FROM withheld") == []


def test_what_is_gone_before_it_was_fetched_is_not_asked_for(empty: Workspace, world: Wiki) -> None:
    ws, source = empty, tree(world, "Category:Kept in step too")
    world.upload({f"Late {n}.png": (png(70 + n), "[[Category:Kept in step too]]") for n in range(2)})
    assert fetched(ws, world, source, limit=1)["pending"] == 1
    sql = "SELECT m.ref FROM mentions m JOIN candidates USING (candidate) WHERE state = 'pending'"
    waiting = query(ws, sql)[0][0].partition(" > ")[2]
    world.delete(waiting, "no permission")
    said(ws, world, source)
    assert fetched(ws, world, source)["reasons"] == {"upstream_deleted": 1}
    world.undelete(waiting)
    said(ws, world, source)
    assert fetched(ws, world, source)["stored"] == 2


def test_the_command_says_it(tmp_path: Path, world: Wiki) -> None:
    (tmp_path / "curate.toml").write_text(
        f'[fetch]\ncontact = "a@b.org"\nallow_private = ["{world.host}"]\n[screening]\nrequired = false\n'
        f'[[sources]]\nuse = "commons"\napi = "{world.api}"\n'
        '[[sources.categories]]\ntitle = "Category:C"\nlabel = "neutral"\n'
    )
    result = curate(tmp_path, "fetch", "--sync")
    assert (result["candidates"], result["sync"]["checked"]) == (0, 0), "it fetches nothing"


class Shifting:
    """A source whose items are gone as a test says, and whose system may not answer from some call on."""

    system = "a.example"

    def __init__(self, gone: set[str], answers: int = 1000) -> None:
        self.gone, self.answers, self.asked, self.explained = gone, answers, list[str](), list[str]()

    def classes(self) -> frozenset[str | None]:
        return frozenset({"neutral"})

    async def pages(self, http: Http, cursor: str | None) -> Any:
        yield Page((), None)

    async def changes(self, http: Http, known: list[Upstream]) -> Any:
        if self.answers == 0:
            raise ItemError(Reason.MAXLAG, "asked for 10 minutes")
        self.answers -= 1
        self.asked += [one.page_id or "" for one in known]
        for one in known:
            if one.page_id in self.gone:
                yield Change(one, "withdrawn", "")

    async def explain(self, http: Http, change: Change) -> str:
        self.explained.append(change.upstream.page_id or "")
        return "why"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "w", Config())
    with made.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('s', 's', '{}')")
        for n in range(1200):
            system = "b.example" if n % 12 == 0 else "a.example"
            sample = f"{n // 2:064d}"  # two items have the same bytes
            columns = "(id, sha1, md5, bytes, media_type, width, height)"
            db.execute(f"INSERT OR IGNORE INTO samples {columns} VALUES (?, '', '', 1, '', 1, 1)", (sample,))
            db.execute(
                "INSERT INTO candidates (kind, locator, state, sample) VALUES ('url', ?, 'stored', ?)", (str(n), sample)
            )
            db.execute(
                "INSERT INTO mentions (candidate, source, ref, upstream, page_id) VALUES (?, 's', '', ?, ?)",
                (n + 1, f'{{"system": "{system}", "page_id": "{n}", "sha1": "x"}}', f"{system}:{n}"),
            )
    return made


def test_a_system_that_stops_answering_keeps_its_place(ws: Workspace) -> None:
    source = Shifting({"7", "11"}, answers=1)
    result = sync(ws, [source], Offline("none"), Progress(quiet=True))
    assert list(result["unsynced"]) == ["a.example"]  # type: ignore[call-overload]
    assert result["checked"] == 500
    again = Shifting(source.gone)
    result = sync(ws, [again, again], Offline("none"), Progress(quiet=True))
    assert result["checked"] == 600
    assert sorted(source.asked + again.asked, key=int) == [str(n) for n in range(1200) if n % 12], "each asked once"
    assert (result["withdrawn"], result["withheld"]) == (2, 2)
    assert set(holds.withheld(ws.catalog).values()) == {"source_withdrawn"}
    assert sorted(source.explained + again.explained) == ["11", "7"], "the reason is asked for once"
    assert [row[0] for row in ws.catalog.all("SELECT DISTINCT detail FROM changes")] == ["why"]
    assert holds.held(ws.catalog) == holds.withheld(ws.catalog).keys()


def test_one_mention_that_is_gone_is_enough_and_all_must_return(ws: Workspace) -> None:
    """Items 2 and 3 have the same bytes."""
    for gone, held in (({"2"}, 1), ({"2", "3"}, 1), ({"3"}, 1), (set(), 0)):
        sync(ws, [Shifting(gone)], Offline("none"), Progress(quiet=True))
        assert len(holds.withheld(ws.catalog)) == held
