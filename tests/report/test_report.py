"""`curate report`: its figures are the catalog's, and its page says the same."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.config import Config, ScreeningConfig
from curate.fetch.reasons import MEANING
from curate.options import Plugin
from curate.records import Reason
from curate.release.export import export
from curate.report import counts as figures
from curate.report.models import matrix
from curate.report.run import gather, report
from curate.stats.metrics import Predictions, evaluate, said_by
from tests.support.releases import SCREENED, Item, stocked
from tests.support.report_pages import QUIET, Builder, Page, png, stocked_set, written


def test_the_page_has_slices_the_bootstrap_and_why_a_function_failed(build: Builder) -> None:
    lists = build.source("urllist:aa", path="/home/ann/raw_data")
    name = build.store(lists, png(1))
    build.member(name, name, name)
    voting: dict[str, Any] = {
        "coverage": 0.5,
        "overlap": 0.0,
        "conflict": 0.0,
        "accuracy": None,
        "remarks": [],
        "help": None,
    }
    sliced = {"name": "tall", "samples": 7, "labelled": 5, "accuracy": 0.75, "interval": [0.3, 0.95], "gold": 4,
              "faults": 1, "fault": "ValueError: no"}  # fmt: skip
    functions = [
        voting | {"name": "votes"}, voting | {"name": "silent", "coverage": 0.0},
        voting | {"name": "mine", "coverage": 0.0, "help": "mine never votes: loosen it"},
        voting | {"name": "broken", "coverage": 0.0, "faults": 3, "fault": "KeyError: x"},
    ]  # fmt: skip
    found = {"functions": functions, "slices": [sliced], "bootstrap": {"does": "fills", "said": "filled 3 that"}}
    build.label({name: ("neutral", 0.9)}, found)
    page = Page(report(build.ws, QUIET).read_text())
    assert page.cells("Slices")["tall"] == ["7", "5", "0.750", "0.300 to 0.950", "4", "1", "ValueError: no"]
    assert set(page.cells("Labelling functions")) >= {"votes", "mine", "broken"}
    assert "silent" not in page.cells("Labelling functions")
    assert page.cells("Labelling functions")["broken"][-2:] == ["3", "KeyError: x"]
    assert "Found nothing to vote on: silent." in page.text
    assert "Bootstrap classifier: filled 3 that." in page.text


def test_every_reason_is_explained() -> None:
    assert set(MEANING) == set(Reason)
    assert all(text.endswith(".") for text in MEANING.values())


def test_figures_are_what_the_catalog_holds(build: Builder) -> None:
    ids = stocked_set(build)
    facts = gather(build.ws)
    size = sum(len(png(seed)) for seed in range(1, 6))
    assert facts["candidates"] == {
        "candidates": 12, "stored": 5, "failed": 6, "pending": 1, "samples": 5, "bytes": size,
    }  # fmt: skip
    assert [(row["reason"], row["n"], row["retryable"], row["places"]) for row in facts["failures"]] == [
        ("http_404", 3, False, ["urls.txt:6", "urls.txt:7", "urls.txt:8"]),
        ("timeout", 2, True, ["urls.txt:9", "urls.txt:10"]),
        ("placeholder", 1, False, ["urls.txt:11"]),
    ]
    assert facts["sources"] == [
        {"source": "local:bb", "of": "drawings", "candidates": 3, "stored": 3, "failed": 0, "pending": 0},
        {"source": "urllist:aa", "of": "raw_data", "candidates": 10, "stored": 3, "failed": 6, "pending": 1},
    ]
    found = facts["duplicates"]
    assert {key: found[key] for key in ("groups", "grouped", "collapse_sets", "duplicates", "conflicts")} == {
        "groups": 1, "grouped": 2, "collapse_sets": 1, "duplicates": 1, "conflicts": 1,
    }  # fmt: skip
    assert found["splits"] == {"train": 1, "val": 1, "test": 1}
    assert found["excluded"] == {"merged_with_test": 1}
    labels = facts["labels"][0]
    assert (labels["survivors"], labels["unlabelled"]) == (3, 1)
    assert {row["class"]: (row["human"], row["weak"], row["declared"]) for row in labels["classes"]} == {
        "drawings": (1, 0, 2), "hentai": (0, 0, 0), "neutral": (0, 1, 1), "porn": (0, 0, 0), "sexy": (0, 0, 0),
    }  # fmt: skip
    assert set(labels["of"]) == {ids["first"], ids["drawing"]}
    assert facts["screening"]["held"] == 1


def test_the_page_says_the_same(build: Builder) -> None:
    stocked_set(build)
    page = Page(written(build, {"tables": [{"title": "Planted", "columns": ["What", "n"], "rows": [["a copy", 7]]}]}))
    assert page.cells("Failures by reason")["http_404"][:2] == ["3", "no"]
    assert page.cells("Failures by reason")["timeout"][:2] == ["2", "yes"]
    assert page.cells("Candidates by source")["urllist:aa"] == ["raw_data", "10", "3", "6", "1"]
    assert page.cells("Labels by class and by who gave them")["All"] == ["1", "1", "0", "2", "3"]
    assert page.cells("Labelling functions")["drawing"] == ["0.500", "0.250", "0.125", *["–"] * 4]
    assert page.cells("Groups, collapse sets, splits")["Duplicates"][0] == "1"
    assert page.cells("Planted") == {"a copy": ["7"]}
    assert "12 candidates = 5 stored + 6 failed + 1 pending" in page.text
    assert "Screening is off." in page.text


def test_releases_are_what_export_wrote(tmp_path: Path) -> None:
    items = [Item(f"n{n}", "train" if n % 3 else "test") for n in range(12)]
    ws = stocked(tmp_path, items)
    result = export(ws, "1.0.0", {}, QUIET, SCREENED)
    (found,) = figures.releases(ws)
    assert {split: sum(counts.values()) for split, counts in found["rows"].items()} == result["rows"]
    assert (found["excluded"], found["sha256"]) == (result["excluded"], result["sha256"])
    page = Page(report(ws, QUIET).read_text(encoding="utf-8"))
    assert page.cells("Release 1.0.0: rows by split and class")["train"] == ["8", "8"]
    ws.close()


def test_a_release_that_was_changed_is_not_quoted(build: Builder) -> None:
    path = build.release("1.0.0", {"train": {"neutral": 3}, "val": {}, "test": {"neutral": 1}}, {"duplicate": 2})
    assert figures.releases(build.ws)[0]["rows"] == {"train": {"neutral": 3}, "val": {}, "test": {"neutral": 1}}
    path.write_text(path.read_text(encoding="utf-8").replace("3", "9"), encoding="utf-8")
    assert figures.releases(build.ws)[0]["rows"] is None
    assert "not the one that was released" in written(build)
    path.unlink()
    assert figures.releases(build.ws)[0]["rows"] is None


def test_the_baselines_figures_and_matrix(build: Builder) -> None:
    truth = np.array([0] * 30 + [1] * 10)
    sure = np.where(truth == 1, 0.9, 0.1)
    sure[:3] = 0.8
    judged = Predictions(truth, np.column_stack([1 - sure, sure]), [str(n) for n in range(40)], ["drawings", "neutral"])
    test = evaluate(judged, ["drawings", "neutral"], []) | said_by(["human"] * 40)
    build.model("1.0.0", {"version": "1.0.0", "classes": ["drawings", "neutral"], "test": test})
    page = Page(written(build))
    figures_shown = page.cells("Test figures")
    assert figures_shown["Samples"] == ["40", "–", "–"]
    low, high = test["accuracy_interval"]
    assert figures_shown["Accuracy"] == ["0.925", f"{low:.3f} to {high:.3f}", "–"]
    assert figures_shown["ROC-AUC, macro"][0] == f"{test['roc_auc']:.3f}"
    assert page.cells("Confusion matrix, test split") == {
        "drawings": ["27", "3", "30", "0.900"],
        "neutral": ["0", "10", "10", "1.000"],
    }
    shades = [[cell["shade"] for cell in row["cells"]] for row in matrix({"test": test})["rows"]]
    assert shades == [[7, 1], [0, 8]]


@pytest.mark.parametrize(
    ("given", "heading"),
    [
        ({"weak": 40}, "agreement with the label model (labels: 0 human, 40 weak, 0 model; n = 40)"),
        ({"model": 40}, "agreement with a classifier (labels: 0 human, 0 weak, 40 model; n = 40)"),
        ({"human": 5, "weak": 35}, "agreement with people (5 labels) and the label model (labels: 5 human, 35 weak,"),
        ({"human": 40}, "accuracy (labels: 40 human, 0 weak, 0 model; n = 40)"),
    ],
)
def test_what_a_machine_labelled_is_never_called_accuracy(build: Builder, given: dict[str, int], heading: str) -> None:
    truth = np.arange(40) % 2
    judged = Predictions(truth, np.eye(2)[truth] * 0.8 + 0.1, [str(n) for n in range(40)], ["drawings", "neutral"])
    sources = [who for who, n in given.items() for _ in range(n)]
    theirs = {"human": {"n": given.get("human", 0), "accuracy": 1.0, "interval": [0.5, 1.0]}}
    test = evaluate(judged, ["drawings", "neutral"], []) | said_by(sources) | theirs
    build.model("1.0.0", {"version": "1.0.0", "classes": ["drawings", "neutral"], "test": test})
    page = Page(written(build))
    assert heading in page.text
    assert ("Accuracy" in page.cells("Test figures")) == (given == {"human": 40})
    assert ("True ↓ said →" in page.text) == (given == {"human": 40})
    assert not any("1.000 to 1.000" in cell for row in page.cells("Test figures").values() for cell in row)


def test_screening_says_what_the_last_fetch_passed(tmp_path: Path) -> None:
    config = Config(screening=ScreeningConfig(lists=(Plugin("lines"),)))
    builder = Builder(tmp_path, config)
    assert "Nothing has been fetched yet." in Page(written(builder)).text
    passed = [{"name": "mine.txt", "provider": "self", "entries": 1234}]
    builder.ws.catalog.set("screening", json.dumps({"lists": passed}))
    with builder.ws.catalog.tx() as db:
        db.execute("INSERT INTO incidents (at, kind, digest) VALUES ('2026-01-01', 'match', 'ab')")
    text = Page(written(builder)).text
    assert "Screening is on." in text
    assert "mine.txt of self (1,234 hashes)" in text
    assert "1 item matched a list." in text
    builder.ws.close()


def test_an_empty_workspace_has_a_page(build: Builder) -> None:
    page = Page(written(build))
    assert "No samples yet." in page.text
    assert "No release yet." in page.text
    assert (build.ws.root / "report.html").stat().st_mode & 0o777 == 0o600


def test_the_page_does_not_depend_on_anything_but_the_workspace(build: Builder) -> None:
    stocked_set(build)
    first, second = (re.sub(r"20\d\d-\d\d-\d\d[T ][0-9:.Z]*", "", written(build)) for _ in range(2))
    assert first == second
