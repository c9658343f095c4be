"""fetch --plan: how much there is and what it costs, asked of a real MediaWiki, and counted in lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.config import Config, RunConfig, ScreeningConfig
from curate.engine.serial import Serial
from curate.errors import GateError
from curate.fetch.plan import plan
from curate.fetch.run import fetch
from curate.net.client import Client
from curate.net.limits import HostRule, Limits
from curate.net.offline import Offline
from curate.progress import Progress
from curate.screening.gate import Gate
from curate.store.workspace import Workspace
from sources.commons import Category, Commons, Uploads
from sources.urllist import Urllist
from tests.fetch.test_fetch import curate, workspace
from tests.support.commonsworld import DAY, FILES, Asked, by_title, found, tree
from tests.support.mediawiki import Wiki
from tests.support.web import serving

QUIET = Progress(quiet=True)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(tmp_path / "w", Config(screening=ScreeningConfig(required=False)))
    yield made
    made.close()


def client(world: Wiki, rule: HostRule | None = None) -> Client:
    rules = {world.host: rule} if rule else {}
    return Client(Limits(contact="test@example.org", allow_private=(world.host,), rules=rules))


async def test_a_tree_is_counted_without_being_listed(world: Wiki, http: Asked) -> None:
    """Counts of the wiki, less the share that is no picture: 9 of the 12 files named there, as the listing finds."""
    source = tree(world, depth=9)
    (estimate,) = await source.plan(http)
    asked = len(http.params)
    candidates, _ = await found(source, http)
    assert abs(estimate.items - len(candidates)) <= 3
    listing = len(http.params) - asked
    assert abs(estimate.api_calls - listing) <= 3
    assert not any("gcmtype" in one and one["gcmtype"] == "subcat|file" for one in http.params[:asked])
    own = [c for c in candidates if c.facts["category_path"] == ("Category:A",)]
    raster = [len(FILES[title][0]) for title in by_title(own) if not title.endswith(".svg")]
    assert estimate.bytes is not None
    assert 0.3 < estimate.bytes / (sum(raster) / len(raster) * len(candidates)) < 3
    assert estimate.host == world.host
    assert not estimate.exact


@pytest.mark.parametrize(
    ("source", "items"),
    [
        (tree, None),
        (lambda world: tree(world, max_files=2), 2),
        (lambda world: tree(world, "Category:Nowhere"), 0),
        (lambda world: tree(world, "Category:Old name"), 1),
        (lambda world: tree(world, "Category:A", exclude="."), None),
        (lambda world: Commons(api=world.api, uploads=(Uploads("window", *DAY, n=3),)), 3),
        (lambda world: Commons(api=world.api, uploads=(Uploads("window", "2000-01-01", "2000-01-02"),)), 0),
        (lambda world: Commons(api=world.api, uploads=(Uploads("random", n=4, seed=1),)), 4),
    ],
)
async def test_limits_are_kept(world: Wiki, http: Asked, source: Any, items: int | None) -> None:
    (estimate,) = await source(world).plan(http)
    assert items is None or estimate.items == items


async def test_thumbnails_weigh_less_than_originals(world: Wiki, http: Asked) -> None:
    small = Commons(api=world.api, categories=(Category("Category:A", "neutral"),), width=120)
    (thumbs,), (whole,) = await small.plan(http), await tree(world, depth=0).plan(http)
    assert thumbs.items == whole.items
    assert 0 < (thumbs.bytes or 0) < (whole.bytes or 0)


def test_what_is_listed_is_counted_exactly(ws: Workspace, world: Wiki) -> None:
    """A plan before, one after a part was fetched, one when all is done; nothing is fetched by it."""
    source = tree(world, depth=0)
    before = plan(ws, [source], client(world), QUIET)
    assert ws.catalog.scalar("SELECT count(*) FROM candidates") == 0
    assert before["asked"] == ws.catalog.scalar("SELECT sum(calls) FROM api_calls")
    gate = Gate(required=False)
    said = fetch(ws, [source], client(world), gate, Serial(), QUIET, limit=1)
    total = int(str(said["candidates"]))
    rest = plan(ws, [source], client(world, HostRule(rate=0.5)), QUIET)
    assert (rest["items"], rest["api_calls"], rest["asked"]) == (total - 1, 0, 0)
    assert rest["seconds"] == pytest.approx((total - 1) / 0.5)
    sized = ws.catalog.scalar("SELECT count(*) FROM candidates WHERE state = 'pending' AND locator NOT LIKE '%.svg%'")
    assert rest["bytes_unknown"] == total - 1 - sized
    fetch(ws, [source], client(world), gate, Serial(), QUIET)
    assert plan(ws, [source], client(world), QUIET)["items"] == 0


def test_bytes_and_the_hours_budget_take_time(ws: Workspace, world: Wiki) -> None:
    source = Commons(api=world.api, categories=(Category("Category:A", "neutral"), Category("Category:C", "neutral")))
    free = plan(ws, [source], client(world), QUIET)
    slow = plan(ws, [source], client(world, HostRule(byte_rate=1000)), QUIET)
    assert float(str(slow["seconds"])) - float(str(free["seconds"])) == pytest.approx(
        int(str(slow["bytes"])) / 1000, 0.01
    )
    ws.config = Config(run=RunConfig(api_calls_per_hour=100), screening=ScreeningConfig(required=False))
    assert plan(ws, [source], client(world), QUIET)["seconds"] == free["seconds"]
    ws.config = Config(run=RunConfig(api_calls_per_hour=1), screening=ScreeningConfig(required=False))
    assert "used up" in str(plan(ws, [source], client(world), QUIET)["unplanned"])


def test_lists_are_counted_and_nobody_is_asked(tmp_path: Path) -> None:
    with serving({}) as site:
        root = workspace(tmp_path, site, {"neutral": [f"/{n}.jpg" for n in range(50)] + ["/0.jpg"], "porn": ["/x.jpg"]})
        said = curate(root, "fetch", "--plan")
        assert (said["items"], said["bytes"], said["bytes_unknown"]) == (51, 0, 51)
        assert (said["api_calls"], said["asked"], said["hosts"]) == (0, 0, 1)
        (source,) = said["sources"]
        assert (source["use"], source["items"], source["exact"]) == ("urllist", 51, True)
        assert not site.asked
        assert site.url("") not in str(said)
        assert "go alone" in curate(root, "fetch", "--plan", "--sync", ok=(2,))["error"]


def test_a_plan_says_what_fetch_will_refuse(tmp_path: Path) -> None:
    """What its addresses rule out is not asked for; what the gate says no to is no plan at all."""
    own = {"neutral": ["/1.jpg", "http://10.0.0.1/1.jpg", "http://10.0.0.1/2.jpg", "http://a.example:81/1.jpg"]}
    with serving({}) as site:
        root = workspace(tmp_path / "safe", site, own)
        said = curate(root, "fetch", "--plan")
        assert (said["items"], said["hosts"], said["bytes_unknown"], said["refusal"]) == (1, 1, 1, None)
        assert said["refused"] == {"address_denied": 2, "port_denied": 1}
        gone = '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n'
        said = curate(workspace(tmp_path / "missing", site, own, screen=gone, required=True), "fetch", "--plan")
        assert "list.txt" in said["refusal"]
        assert "nothing is fetched" in said["refusal"]
        root = workspace(tmp_path / "unsafe", site, {"porn": ["/1.jpg"]})
        assert "no list is loaded, and the sources can yield porn" in curate(root, "fetch", "--plan")["refusal"]
        nobody = (tmp_path / "safe" / "curate.toml").read_text().replace('contact = "test@example.org"', "")
        (tmp_path / "safe" / "curate.toml").write_text(nobody)
        assert "fetch.contact: missing" in curate(tmp_path / "safe", "fetch", "--plan")["refusal"]


def test_a_refused_source_is_not_planned(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "nudenet_dataset" / "urls.txt"
    path.parent.mkdir()
    path.write_text("http://a.example/1.jpg\n")
    with pytest.raises(GateError, match="NudeNet"):
        plan(ws, [Urllist(path, label="neutral")], Offline("none"), QUIET)
    assert ws.catalog.scalar("SELECT count(*) FROM candidates") == 0


def test_the_default_rate_is_ten_a_second(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("".join(f"http://a.example/{n}.jpg\n" for n in range(100)))
    said = plan(ws, [Urllist(tmp_path / "urls.txt", label="neutral")], Offline("none"), QUIET)
    assert said["seconds"] == 10.0
    assert said["slowest"] == [{"host": "a.example", "items": 100, "seconds": 10.0}]
