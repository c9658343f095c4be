"""A catalog that is made anew of releases: what was ever in one group there is in one, whatever it was called."""

from dataclasses import replace
from pathlib import Path

import pytest

from curate.admin import rebuild
from curate.config import Config
from curate.engine.serial import Serial
from curate.release.export import export
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET, SCREENED, Item, stocked

NAMES = ("one", "two", "three", "four", "alone")
GIVEN = (  # the groups of one, two, three, four in each release; None: it was not in that one
    (("b", "b", "c", None), ("a", None, "a", "a")),
    (("a", None, None, "a"), ("b", "b", "c", None), ("c", None, "d", "c")),
)


@pytest.mark.parametrize("given", GIVEN)
def test_groups_that_met_are_one(tmp_path: Path, given: tuple[tuple[str | None, ...], ...]) -> None:
    items = [Item(name, data=encode(texture(n, (40, 32)), "PNG")) for n, name in enumerate(NAMES)]
    ws = stocked(tmp_path, items)
    ws.blobs.put((item.id, item.content) for item in items)
    for number, groups in enumerate(given):
        for item, group in zip(items, groups, strict=False):
            with ws.catalog.tx() as db:
                excluded = None if group else "held_out"
                db.execute(
                    "UPDATE members SET grp = ?, excluded = ? WHERE sample = ?", (group or "x", excluded, item.id)
                )
        export(ws, f"{number + 1}.0.0", {}, QUIET, SCREENED)
    ws.close()
    for path in (tmp_path / "work").glob("catalog.*"):
        path.unlink()
    with rebuild.opened(tmp_path, Config()) as (ws, wrong):
        rebuild.rebuild(ws, wrong, Serial(), QUIET)
        named = {row[0]: row[1] for row in ws.catalog.all("SELECT sample, grp FROM group_names")}
    assert {named[item.id] for item in items[:4]} == {"a"}
    assert named[items[4].id] == items[4].id


def test_what_an_older_catalog_knows_of_groups_goes_with_them(tmp_path: Path) -> None:
    items = [Item(name, group="b", data=encode(texture(n, (40, 32)), "PNG")) for n, name in enumerate(NAMES[:2])]
    ws = stocked(tmp_path, [items[0], replace(items[1], group="a")])
    ws.blobs.put((item.id, item.content) for item in items)
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO group_names VALUES (?, 'b'), (?, 'b')", [item.id for item in items])
        db.execute("INSERT INTO floors VALUES ('b', 'test'), ('a', 'val')")
    rebuild.rebuild(ws, "", Serial(), QUIET)
    named = {row[0]: row[1] for row in ws.catalog.all("SELECT sample, grp FROM group_names")}
    assert named == dict.fromkeys([one.id for one in items], "a")
    assert ws.catalog.scalar("SELECT split FROM floors WHERE grp = 'a'") == "test"
    ws.close()
