"""One answer to "who counts", whichever verb is asked: before dedupe, after it, and whatever is held meanwhile."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.admin.status import status
from curate.config import Config, ScreeningConfig
from curate.dedupe.run import dedupe
from curate.demo.evaluation import Demo
from curate.engine.serial import Serial
from curate.label.functions import functions_of
from curate.label.run import label
from curate.progress import Progress
from curate.release.rows import collect
from curate.report import counts
from curate.report.contact_sheet import choose
from curate.review import pool
from curate.screening.quarantine import quarantine
from curate.store.eligibility import standings, survivors
from curate.store.workspace import Workspace
from labelers.declared import Declared
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture
from tests.support.samples import member

QUIET = Progress(quiet=True)
CONFIG = Config(screening=ScreeningConfig(required=False))


def said(ws: Workspace) -> dict[str, int]:
    """How many each verb says that there are."""
    axis = ws.config.taxonomy.first
    labelled = label(ws, Serial(), [Declared()], functions_of([Declared()]), QUIET)
    rows = counts.labels(ws, axis)
    assert labelled["samples"] == rows["survivors"] == len(survivors(ws.catalog)) == len(Demo(ws, {}, []).survivors())
    shown = sum(map(len, choose(ws, axis, rows["of"]).values()))
    assert shown == rows["survivors"]
    return {
        "label": int(str(labelled["labelled"])),
        "status": int(str(status(ws)["labelled"])),
        "report": rows["survivors"] - rows["unlabelled"],
    }


def test_fetched_and_labelled_without_dedupe_is_one_number(tmp_path: Path) -> None:
    ws = workspace(tmp_path, CONFIG)
    for n in range(5):
        add(ws, encode(texture(n), "PNG"), "neutral")
    twin = add(ws, encode(texture(0), "JPEG", quality=90), "neutral")
    held = add(ws, encode(texture(9), "PNG"), "neutral")
    quarantine(ws.catalog, held, "looks wrong", actor="ann")
    assert said(ws) == {"label": 6, "status": 6, "report": 6}
    assert collect(ws).excluded == {"not_deduped": 6, "quarantined": 1}
    dedupe(ws, Serial(), QUIET)
    assert said(ws) == {"label": 5, "status": 5, "report": 5}
    assert collect(ws).excluded == {"duplicate": 1, "quarantined": 1}
    late = add(ws, encode(texture(20), "WEBP"), "neutral")  # fetched since, and seen by no dedupe
    assert said(ws) == {"label": 6, "status": 6, "report": 6}
    assert {one.id: one.reason for one in standings(ws.catalog)}[late] == "not_deduped"
    decide(ws, twin, "neutral")
    decide(ws, twin, "drawings", "bob")  # people contradict each other about what shows the same picture
    assert (said(ws)["status"], said(ws)["report"]) == (5, 5)
    assert collect(ws).excluded == {"conflict": 1, "duplicate": 1, "not_deduped": 1, "quarantined": 1}
    ws.close()


FATES = ("fine", "unseen", "duplicate", "merged", "held", "withheld", "gone", "removing")


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [encode(texture(n, (24, 20)), "PNG") for n in range(8)]


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(FATES), st.booleans()), min_size=1, max_size=8))
def test_every_stage_counts_the_same(pictures: list[bytes], fates: list[tuple[str, bool]]) -> None:
    """Whatever became of each sample: it is in the release, or one reason says why; and stages agree who survives."""
    with tempfile.TemporaryDirectory() as folder:
        ws = workspace(Path(folder), CONFIG)
        ids = [add(ws, pictures[n], "neutral" if known else None) for n, (_, known) in enumerate(fates)]
        for one, (fate, _) in zip(ids, fates, strict=True):
            _meet(ws, one, fate, ids[0])
        survive = [one for one, (fate, _) in zip(ids, fates, strict=True) if fate in ("fine", "unseen", "merged")]
        if fates[0][0] != "duplicate":  # the first one is who the others repeat
            assert survivors(ws.catalog) == sorted(survive)
        numbers = said(ws)
        assert len(set(numbers.values())) == 1
        frame = pool.frame(ws, ws.config.taxonomy.first, "seed")
        assert len(frame.pool.samples) + sum(frame.left_out.values()) == len(ids)
        assert set(frame.pool.samples) <= set(survivors(ws.catalog))
        rows = collect(ws)
        assert sum(rows.excluded.values()) + len(list(rows.ids())) == len(ids)
        assert {one for one, _ in rows.ids()} <= set(frame.pool.samples)
        active = {one.id for one in standings(ws.catalog) if one.held is None}
        assert dedupe(ws, Serial(), QUIET)["samples"] == len(active)
        assert {row[0] for row in ws.catalog.all("SELECT sample FROM members")} == active
        ws.close()


def _meet(ws: Workspace, one: str, fate: str, first: str) -> None:
    if fate in ("fine", "duplicate", "merged"):
        member(ws, one, first if fate == "duplicate" else None)
    with ws.catalog.tx() as db:
        if fate == "merged":
            db.execute("UPDATE members SET excluded = 'merged_with_test' WHERE sample = ?", (one,))
        if fate == "held":
            db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', '')", (one,))
        if fate == "withheld":
            db.execute("INSERT INTO withheld (sample, reason, detail, at) VALUES (?, 'placeholder', '', '')", (one,))
        if fate == "removing":
            db.execute("INSERT INTO removing VALUES (?, 'receipt')", (one,))
        if fate == "gone":
            digest = ws.catalog.digest("sha256", one)
            db.execute("INSERT INTO tombstones VALUES ('sha256', ?, 'why', NULL, '')", (digest,))
    if fate == "gone":
        ws.tombstones.returned()


def test_a_label_that_no_machine_gave_is_counted_once(tmp_path: Path) -> None:
    """A person's label counts in status and report; what all abstain on counts nowhere."""
    ws = workspace(tmp_path, CONFIG)
    ids = [add(ws, encode(texture(n), "PNG")) for n in range(3)]
    decide(ws, ids[0], "neutral")
    numbers = said(ws)
    assert numbers == {"label": 0, "status": 1, "report": 1}
    assert np.array([one.survives for one in standings(ws.catalog)]).all()
    ws.close()
