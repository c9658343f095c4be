"""What fetch, the sources and people know goes into a release, and no secret with it."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.policy import minors, refusals
from curate.records import Axis, Taxonomy
from curate.release.reader import load
from tests.support.exports import released, rows
from tests.support.releases import AXES, Item, Mention, golden_config, golden_items, stocked


@pytest.mark.parametrize(("label", "released_"), [("neutral", True), ("sexy", False), ("porn", False)])
def test_what_may_show_minors_is_no_positive(tmp_path: Path, label: str, released_: bool) -> None:
    """By its own words, or those of a near-duplicate; what people say does not change that."""
    items = [
        Item("marked", group="g", people={"content": {"ann": label}}),
        Item("like it", group="g", people={"content": {"ann": label}}),
        Item("other", people={"content": {"ann": label}}),
    ]
    ws = stocked(tmp_path, items, golden_config())
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", (items[0].id,))
    result = released(ws)
    assert result["excluded"] == ({} if released_ else {"may_depict_minors": 2})
    assert rows(ws).keys() == ({item.id for item in items} if released_ else {items[2].id})


def test_a_further_axis_counts_too(tmp_path: Path) -> None:
    axes = (*AXES[:1], Axis("violence", ("none", "graphic"), ("none",), ()))
    item = Item("marked", people={"content": {"ann": "neutral"}, "violence": {"ann": "graphic"}})
    ws = stocked(tmp_path, [item, Item("other")], replace(golden_config(), taxonomy=Taxonomy(axes=axes)))
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", (item.id,))
    assert released(ws)["excluded"] == {"may_depict_minors": 1}


def test_the_header_says_who_approved_what_was_not_safe(tmp_path: Path) -> None:
    ws = stocked(tmp_path, golden_items(), golden_config())
    options = json.dumps({"path": "/home/x", "reason": "to measure", "approved_by": "B. Counsel"})
    with ws.catalog.tx() as db:
        db.execute("UPDATE sources SET options = ?", (options,))
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('urllist:unused', 'urllist', ?)", (options,))
    released(ws)
    header = load(ws.work / "releases" / "1.0.0").header
    assert header["approvals"] == [{"use": "urllist", "reason": "to measure", "approved_by": "B. Counsel"}]
    assert header["policy"] == {"refusals": refusals.version(), "minors": minors.version()}


def test_each_mention_of_a_released_sample_has_a_row_in_order(tmp_path: Path) -> None:
    """Of several URLs, several mentions of one, and facts that hold a secret."""
    shared = Mention("https://example.org/b.jpg?token=secret&x=1", ref="one.txt:1", facts='{"page_url": "a?sig=b"}')
    many = [shared, Mention("/home/a/c.jpg", ref="c.jpg"), Mention("https://example.org/a.jpg", ref="one.txt:2")]
    ws = stocked(tmp_path, [Item("several", mentions=many), Item("one"), Item("out", excluded="merged_with_test")])
    with ws.catalog.tx() as db:
        db.execute(
            "UPDATE candidates SET retry_after = 0.1, hops = '[\"https://u:p@example.org\"]' WHERE candidate = 1"
        )
        db.execute("INSERT INTO sources (source, plugin, options, version) VALUES ('z:1', 'z', '{}', '7')")
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (1, 'z:1', 'b'), (1, 'z:1', 'a')")
    released(ws)
    found = pq.read_table(ws.work / "releases" / "1.0.0" / "provenance.parquet").to_pylist()
    ids = {item.name: item.id for item in (Item("several"), Item("one"))}
    of = [row for row in found if row["id"] == ids["several"]]
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert {row["id"] for row in found} == set(ids.values())
    url = "https://example.org/b.jpg?token=REDACTED&x=1"
    assert [(row["url"], row["ref"], row["version"]) for row in of] == [
        (None, "c.jpg", None), ("https://example.org/a.jpg", "one.txt:2", None), (url, "one.txt:1", None),
        (url, "a", "7"), (url, "b", "7"),
    ]  # fmt: skip
    assert [row["facts"] for row in of] == [None, None, '{"page_url": "a?sig=REDACTED"}', None, None]
    assert {row["retry_after"] for row in of[2:]} == {0.1}
    assert {row["hops"] for row in of[2:]} == {'["https://example.org"]'}
    ws.close()


def test_provenance_lets_nobody_in(tmp_path: Path) -> None:
    """Signed query strings and credentials are in the catalog, and in nothing that leaves."""
    url = "https://a.example/1.jpg?X-Amz-Signature=0123456789&w=5"
    mention = Mention(url, attribution=f"see {url}", ref=f"{url}:1")
    ws = stocked(tmp_path, [Item("a", mentions=[mention])], golden_config())
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET hops = ?, retry_after = 1.5", (json.dumps([url]),))
        db.execute("UPDATE mentions SET facts = ?", (json.dumps({"author": "A", "page": f"see {url}"}),))
    released(ws)
    folder = ws.work / "releases" / "1.0.0"
    (row,) = pq.read_table(folder / "provenance.parquet").to_pylist()
    assert row["retry_after"] == 1.5
    assert json.loads(row["facts"])["author"] == "A"
    assert "REDACTED" in row["hops"]
    for path in (ws.work / "exports").rglob("*"):
        assert path.is_dir() or b"0123456789" not in path.read_bytes()
    assert "0123456789" not in json.dumps(row)
