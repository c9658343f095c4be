"""What was recorded last has the last word, whatever clocks say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.review.adjudicate import Ruling, adjudicate
from curate.review.decisions_csv import export_csv, import_csv
from curate.review.guideline import precedents
from curate.store import catalog, views
from curate.store.workspace import Workspace
from tests.support.queues import IDS, workspace
from tests.support.samples import judge


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return workspace(tmp_path / "ws")


def given(ws: Workspace, *rows: str) -> dict[str, object]:
    path = ws.root / "given.csv"
    path.write_text("sha256,label,annotator,time\n" + "".join(f"{IDS[0]},{row}\n" for row in rows))
    return import_csv(ws, path)


def says(ws: Workspace) -> dict[str, int]:
    return dict(views.votes(ws.catalog, "content", "1").get(IDS[0], {}))


def test_two_rulings_in_one_millisecond(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still; so does it where it is set back."""
    judge(ws, IDS[0], "porn", "ada")
    at = datetime(2026, 5, 1, tzinfo=UTC)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Stopped":
            return at  # type: ignore[return-value]

    monkeypatch.setattr(catalog, "datetime", Stopped)
    for label in ("neutral", "sexy", "neutral", "sexy", "neutral"):
        adjudicate(ws, Ruling(IDS[0], label, "eve", "because"))
        assert views.precedents(ws.catalog, "content", "1") == {IDS[0]: label}
        assert precedents(ws.catalog, ws.config.taxonomy)[-1].label == label
    assert ws.catalog.scalar("SELECT count(DISTINCT decided_at) FROM precedents") == 5
    at -= timedelta(days=300)
    adjudicate(ws, Ruling(IDS[0], "sexy", "eve", "because"))
    assert views.precedents(ws.catalog, "content", "1") == {IDS[0]: "sexy"}


def test_a_time_of_2099_does_not_beat_later_words(ws: Workspace) -> None:
    """It is on record already, by a clock that was wrong."""
    with ws.catalog.tx() as db:
        columns = "(sample, axis, taxonomy, reviewer, label, decided_at, shown)"
        row = (IDS[0], "2099-01-01T00:00:00.000Z")
        db.execute(f"INSERT INTO decisions {columns} VALUES (?, 'content', '1', 'ada', 'porn', ?, 'imported')", row)
        columns = "(sample, axis, taxonomy, label, reviewer, reason, decided_at)"
        db.execute(f"INSERT INTO precedents {columns} VALUES (?, 'content', '1', 'porn', 'eve', 'x', ?)", row)
    assert given(ws, "neutral,ada,2026-05-01")["added"] == 1
    assert says(ws) == {"neutral": 1}
    adjudicate(ws, Ruling(IDS[0], "sexy", "eve", "because"))
    assert views.precedents(ws.catalog, "content", "1") == {IDS[0]: "sexy"}
    assert ws.catalog.scalar("SELECT max(decided_at) < '2099' FROM precedents WHERE label = 'sexy'")


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(hours=3), timedelta(days=26_000)])
def test_what_is_dated_in_the_future_is_refused_with_its_line(ws: Workspace, ahead: timedelta) -> None:
    at = (datetime.now(UTC) + ahead).isoformat()
    with pytest.raises(UsageError, match=r"given\.csv:3: time: .* is in the future"):
        given(ws, "neutral,ada,2026-05-01", f"porn,ada,{at}", "neutral,bob,2026-05-01")
    assert says(ws) == {}, "all or none"
    east = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None).isoformat() + "-00:00"
    assert given(ws, f"neutral,ada,{east}", f"porn,bob,{(datetime.now(UTC) + timedelta(minutes=1)).isoformat()}")


def test_a_files_own_times_order_what_it_says(ws: Workspace) -> None:
    """Newest first, as some tools write it; what it says comes after what is here."""
    given(ws, "sexy,ada,2026-06-01")
    given(ws, "neutral,ada,2026-05-02", "porn,ada,2026-05-01")
    assert says(ws) == {"neutral": 1}
    export_csv(ws, ws.root / "out.csv")
    other = workspace(ws.root / "other")
    import_csv(other, ws.root / "out.csv")
    assert other.catalog.scalar("SELECT count(*) FROM decisions") == 3
    assert says(other) == {"neutral": 1}, "what was exported means the same elsewhere"
