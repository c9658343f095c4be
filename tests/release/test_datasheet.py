"""A release's datasheet and its section of the report say what is on record, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from curate.admin.verify import verify
from curate.config import Config
from curate.records import Axis, Taxonomy
from curate.release.datasheet import NAME, UNKNOWN, datasheet
from curate.release.export import export
from curate.release.reader import load
from curate.release.summary import screened, summary
from curate.removal.takedown import takedown
from curate.report.counts import releases
from curate.report.run import _holds
from curate.screening.gate import Gate
from curate.stats.intervals import half_width, wilson
from curate.store.workspace import Workspace
from tests.support.releases import QUIET, SCREENED, Item, Mention, golden_config, golden_items, stocked

SECTIONS = [
    "Motivation", "Composition", "Collection process", "Preprocessing and labelling", "Uses", "Distribution",
    "Maintenance",
]  # fmt: skip


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    odd = Item("odd", "val", [Mention("https://example.org/odd.jpg", "a | b\n<b>`x`", "somebody")])
    made = stocked(tmp_path_factory.mktemp("w"), [*golden_items(), odd], golden_config())
    export(made, "1.0.0", {}, QUIET, SCREENED)
    return made


def text_of(ws: Workspace) -> str:
    return (ws.work / "releases" / "1.0.0" / NAME).read_text(encoding="utf-8")


def test_it_has_the_sections_and_says_what_is_unknown(ws: Workspace) -> None:
    text = text_of(ws)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    assert f"**Who paid for it?**\n\n{UNKNOWN}" in text
    assert f"consent?**\n\n{UNKNOWN}" in text
    assert "| neutral | 2 | 1 | 2 | 5 |" in text
    assert "| CC0 | 0 | 0 | 1 | 1 |" in text
    assert "1 conflict, 1 duplicate, 1 merged\\_with\\_test, 1 unlabelled" in text
    assert (
        "sexy, labelled by:\n\n| label source | train | val | test | all |\n|---|---:|---:|---:|---:|\n| human |"
        in text
    )
    assert "Fetched on 20" in text
    assert "5 rows have no licence on record" in text


def test_what_is_not_safe_on_a_further_axis_is_said(ws: Workspace) -> None:
    release = load(ws.work / "releases" / "1.0.0")
    assert "does not call safe: sexy." in text_of(ws)
    first, medium = release.header["taxonomy"]["axes"]
    axes = [first, {**medium, "safe": ["photograph"]}]
    text = datasheet(
        replace(release, header={**release.header, "taxonomy": {**release.header["taxonomy"], "axes": axes}})
    )
    assert "does not call safe: drawing, sexy." in text


def test_what_strangers_wrote_stays_in_its_cell(ws: Workspace) -> None:
    text = text_of(ws)
    (line,) = (line for line in text.splitlines() if "x" in line and "a \\| b" in line)
    assert line.startswith("| a \\| b \\<b\\>\\`x\\` | 0 | 1 | 0 | 1 |")
    assert "somebody" not in text, "and no person is named"


def test_screening_is_stated_and_nothing_is_called_clean(ws: Workspace) -> None:
    text = text_of(ws)
    assert "Held against lines:1 of self" in text
    assert "does not say that nothing illegal is in it" in text
    off = stocked(ws.root / "off", [Item("a")], Config())
    export(off, "1.0.0", {}, QUIET, Gate(False, ()))
    assert "Screening was off" in text_of(off)
    header = load(off.work / "releases" / "1.0.0").header
    for said in (text, text_of(off), " ".join(screened(header))):
        assert "clean" not in said.lower()
    off.close()


def test_it_is_written_anew_when_something_is_taken_down(tmp_path: Path) -> None:
    made = stocked(tmp_path, [Item("a"), Item("b"), Item("c", "test")])
    made.catalog.begin("test", "")
    export(made, "1.0.0", {}, QUIET, SCREENED)
    assert "| neutral | 2 | 0 | 1 | 3 |" in text_of(made)
    takedown(made, Item("b").id, "asked for")
    text = text_of(made)
    assert "| neutral | 1 | 0 | 1 | 2 |" in text
    assert "1 removals have changed this one since" in text
    assert text == datasheet(load(made.work / "releases" / "1.0.0"))
    made.close()


def test_classes_that_are_small_in_test_are_said_with_half_their_interval(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = [Item(f"n{n}", "test" if n < 95 else "val" if n < 98 else "train") for n in range(100)]
    few = [Item(f"d{n}", "test", weak={"content": ("drawings", 0.9)}, group="g" if n < 3 else None) for n in range(5)]
    never = Item("s", weak={"content": ("sexy", 0.9)})
    made = stocked(tmp_path, [*many, *few, never], replace(Config(), taxonomy=Taxonomy(axes=(Axis(),))))
    said = export(made, "1.0.0", {}, QUIET, SCREENED)
    assert said["thin_in_test"] == [
        {"class": "drawings", "rows": 5, "groups": 3, "half_width": half_width(3)},
        {"class": "sexy", "rows": 0, "groups": 0, "half_width": 0.5},
    ]
    assert "few in test, with half a figure's 95 % interval: drawings 5 (± 0.37), sexy 0 (± 0.50)" in caplog.text
    assert "drawings 5 (± 0.37)" in text_of(made)
    made.close()


@pytest.mark.parametrize("n", [2, 10, 92, 1000])
def test_half_a_width_is_that_of_the_widest_interval(n: int) -> None:
    low, high = wilson(n / 2, n) or (0, 1)
    assert half_width(n) == pytest.approx((high - low) / 2, abs=1e-4)


def test_the_report_page_has_the_same_counts(ws: Workspace) -> None:
    (one,) = releases(ws)
    assert one["holds"] == summary(load(ws.work / "releases" / "1.0.0"))
    titles = [table["title"] for table in _holds(one)]
    assert titles[:4] == [
        "Rows by source", "Rows by licence", "Rows by label source", "Rows by label source, of borderline classes",
    ]  # fmt: skip
    by_source = _holds(one)[0]["rows"]
    assert by_source == [["urllist", 3, 2, 2, 7]]
    assert any("does not say" in line for line in one["screened"])


@pytest.mark.parametrize("edit", [True, False])
def test_one_that_was_edited_or_deleted_is_written_anew(tmp_path: Path, edit: bool) -> None:
    ws = stocked(tmp_path, [Item("one")])
    export(ws, "1.0.0", {}, QUIET, SCREENED)
    path, before = ws.work / "releases" / "1.0.0" / NAME, text_of(ws)
    path.write_text(before + "Paid for by us.\n") if edit else path.unlink()
    item = f"releases/1.0.0/{NAME}"
    assert [one["id"] for one in verify(ws, QUIET)["items"] if NAME in one["id"]] == [item]
    (said,) = [one["problem"] for one in verify(ws, QUIET, repair=True)["items"] if one["id"] == item]
    assert said.endswith("it was written anew")
    assert text_of(ws) == before
    assert not [one for one in verify(ws, QUIET)["items"] if NAME in one["id"]]
    ws.close()
