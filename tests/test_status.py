"""`curate status`: the totals add up."""

from pathlib import Path

from curate.dedupe import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.status import status
from curate.store.tables import to_table
from tests.builders import add, decide, workspace
from tests.pictures import encode, texture


def test_an_empty_workspace(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    assert status(ws) == {
        "candidates": 0, "stored": 0, "pending": 0, "failed": {}, "samples": 0, "duplicates": 0, "conflicts": 0,
        "labelled": 0, "held": 0, "reviewed": 0, "releases": [],
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
        db.execute("INSERT INTO labellings VALUES ('content', 'mark', '{}', NULL)")
    decide(ws, fourth, "neutral")
    decide(ws, fourth, "neutral", "bob")
    dedupe(ws, Serial(), Progress(quiet=True))
    weak = {"id": [first, second, third, fourth], "label": ["neutral", "neutral", None, "drawings"]}
    ws.table("weak", "mark").write("all", to_table(weak | {"probability": [0.9, 0.9, None, 0.8]}))
    assert status(ws) == {
        "candidates": 9, "stored": 5, "pending": 1, "failed": {"dns": 1, "http_404": 2}, "samples": 4, "duplicates": 1,
        "conflicts": 1, "labelled": 2, "held": 0, "reviewed": 1, "releases": ["0.9.0", "1.0.0"],
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
