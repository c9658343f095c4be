"""`curate status`: the totals add up."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from curate.admin.status import moment, status
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture
from tests.support.weak import put


def test_an_empty_workspace(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    assert status(ws) == {
        "candidates": 0, "stored": 0, "pending": 0, "failed": {}, "samples": 0, "same_bytes": 0,
        "duplicates": 0, "conflicts": 0, "contested": 0,
        "labelled": 0, "held": 0, "incidents": {}, "unacknowledged": [], "reviewed": 0,
        "withheld": {}, "upstream": {}, "releases": [], "sources": [],
        "human": {"decisions": 0, "reviewers": 0, "unsure": 0, "imported": 0, "undone": 0, "precedents": 0},
        "exports": {}, "queues": [],
    }  # fmt: skip
    ws.close()


def test_every_total(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    image = texture(1, (400, 300))
    first, second = add(ws, encode(image, quality=90), "neutral"), add(ws, encode(image, quality=70), "drawings")
    third, fourth = add(ws, encode(texture(2))), add(ws, encode(texture(3)))
    add(ws, encode(texture(3)))  # another URL, the same bytes
    with ws.catalog.tx() as db:
        rows = [
            ("a", "failed", "http_404"),
            ("b", "failed", "http_404"),
            ("c", "failed", "dns"),
            ("d", "pending", None),
        ]
        db.executemany("INSERT INTO candidates (kind, locator, state, reason) VALUES ('url', ?, ?, ?)", rows)
        db.executemany(
            "INSERT INTO releases VALUES (?, '', NULL, ?, NULL)", [("1.0.0", "2026-02"), ("0.9.0", "2026-01")]
        )
    decide(ws, fourth, "neutral")
    decide(ws, fourth, "neutral", "bob")
    dedupe(ws, Serial(), Progress(quiet=True))
    put(ws, {first: ("neutral", 0.9), second: ("neutral", 0.9), third: (None, None), fourth: ("drawings", 0.8)})
    said: dict[str, Any] = status(ws)
    (source,) = said.pop("sources")
    assert (source["use"], source["candidates"], source["license_missing"]) == ("urllist", 5, 5)
    assert said == {
        "candidates": 9, "stored": 5, "pending": 1, "failed": {"dns": 1, "http_404": 2}, "samples": 4, "same_bytes": 1,
        "duplicates": 1, "conflicts": 1, "contested": 2, "labelled": 2, "held": 0,
        "incidents": {}, "unacknowledged": [], "reviewed": 1,
        "withheld": {}, "upstream": {}, "releases": ["0.9.0", "1.0.0"], "exports": {}, "queues": [],
        "human": {"decisions": 2, "reviewers": 2, "unsure": 0, "imported": 2, "undone": 0, "precedents": 0},
    }  # fmt: skip
    ws.close()


def test_a_judgement_that_was_taken_back_is_no_review(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    one = add(ws, encode(texture(1)))
    decide(ws, one, "neutral")
    assert status(ws)["reviewed"] == 1
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " VALUES (?, 'content', '1', 'ann', 'neutral', '2026', 'imported', 1)",
            (one,),
        )
    assert status(ws)["reviewed"] == 0
    ws.close()


def test_sources_and_what_came_since(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options, listed) VALUES ('a:1', 'a', '{}', 1)")
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('b:1', 'b', '{}'), ('b:2', 'b', '{}')")
        db.execute("INSERT INTO notes VALUES ('a:1', 'skipped', 'x', ''), ('a:1', 'skipped', 'y', '')")
        for n, (state, reason, at) in enumerate([
            ("stored", None, "2026-01-01T00:00:00.000Z"), ("stored", None, "2026-01-03T00:00:00.000Z"),
            ("failed", "http_404", "2026-01-03T00:00:00.000Z"), ("failed", "dns", "2026-01-01T00:00:00.000Z"),
            ("pending", None, None),
        ], start=1):  # fmt: skip
            row = (n, str(n), state, reason, at)
            columns = "(candidate, kind, locator, state, reason, fetched_at)"
            db.execute(f"INSERT INTO candidates {columns} VALUES (?, 'url', ?, ?, ?, ?)", row)
            for source in ("a:1", "b:1") if n < 3 else ("a:1",):
                licence = "CC0" if source == "b:1" else None
                db.execute(
                    "INSERT INTO mentions (candidate, source, ref, license) VALUES (?, ?, 'x', ?)", (n, source, licence)
                )
        db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (1, 'a:1', 'again')")
    found = status(ws, moment("2026-01-02"))
    assert found["sources"] == [
        {"source": "a:1", "use": "a", "listed": True, "candidates": 5, "stored": 2, "pending": 1,
         "failed": {"dns": 1, "http_404": 1}, "license_missing": 2, "notes": {"skipped": 2}, "of": ""},
        {"source": "b:1", "use": "b", "listed": False, "candidates": 2, "stored": 2, "pending": 0, "failed": {},
         "license_missing": 0, "notes": {}, "of": ""},
        {"source": "b:2", "use": "b", "listed": False, "candidates": 0, "stored": 0, "pending": 0, "failed": {},
         "license_missing": 0, "notes": {}, "of": ""},
    ]  # fmt: skip
    since = found["since"]
    assert isinstance(since, dict)
    assert (since["from"], since["stored"], since["failed"]) == ("2026-01-02T00:00:00.000Z", 1, {"http_404": 1})
    assert [(one["stored"], one["pending"], one["failed"]) for one in since["sources"]] == [
        (1, 0, {"http_404": 1}), (1, 0, {}), (0, 0, {}),
    ]  # fmt: skip
    ws.close()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-02", "2026-01-02T00:00:00.000Z"),
        ("2026-01-02T03:00:00+02:00", "2026-01-02T01:00:00.000Z"),
        ("90m", "2026-01-09T22:30:00.000Z"),
        ("24h", "2026-01-09T00:00:00.000Z"),
        ("7d", "2026-01-03T00:00:00.000Z"),
        ("2w", "2025-12-27T00:00:00.000Z"),
    ],
)
def test_since_is_a_time_or_a_span(text: str, at: str) -> None:
    assert moment(text, datetime(2026, 1, 10, tzinfo=UTC)) == at


@pytest.mark.parametrize("text", ["", "yesterday", "5y", "2026-13-01", "999999w"])
def test_since_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="since"):
        moment(text)
