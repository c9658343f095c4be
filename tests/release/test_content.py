"""The gates over labels and sources, and what is remarked: each refuses a planted fault, and none speaks of nothing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.config import Config, ExportConfig
from curate.errors import GateError
from curate.records import SPLITS, Axis, Taxonomy
from curate.release import content, remarks
from curate.release.export import export, export_also
from curate.release.reader import load
from curate.release.rows import Rows, reasons
from tests.support.releases import AXES, FORMATS, QUIET, SCREENED, Item, Mention, stocked

ROW = {"label": "neutral", "label_source": "weak", "source": "urllist", "ref": "a:1", "url": None}


def rows(**splits: list[dict[str, Any]]) -> Rows:
    """Rows of a release, of what is given of each; an item is its own group where none is."""
    tables, number = {}, 0
    for split in SPLITS:
        made = []
        for one in splits.get(split, []):
            made.append({**ROW, "id": f"{number:064x}", "group": f"g{number}", "label_medium": None} | one)
            number += 1
        kinds = pa.schema([(name, pa.string()) for name in (*ROW, "id", "group", "label_medium")])
        tables[split] = pa.Table.from_pylist(made, schema=kinds)
    return Rows(tables, {})


def workspace(axes: tuple[Axis, ...] = (Axis(),), **export: Any) -> Any:
    """What the gates look up of one: its configuration."""
    return SimpleNamespace(config=replace(Config(), taxonomy=Taxonomy(axes=axes), export=ExportConfig(**export)))


# -- sources ---------------------------------------------------------------------------------------------------------


def test_an_item_without_a_source_is_refused() -> None:
    with pytest.raises(GateError, match=r"source: 1 of 3 items have none .*`curate fetch`"):
        content.check_sources(rows(train=[{}, {"source": "", "ref": ""}], test=[{}]))
    assert content.check_sources(rows(train=[{}], test=[{}])) == {"rows": 2, "verdict": "passed"}
    assert content.check_sources(rows())["verdict"] == "none: there are no rows"


# -- classes ---------------------------------------------------------------------------------------------------------


def many(count: int, **said: str) -> list[dict[str, str]]:
    return [dict(said) for _ in range(count)]


def test_a_class_of_thirty_groups_is_in_every_split() -> None:
    porn, plain = {"label": "porn"}, many(3)
    whole = {"train": many(28, **porn) + plain, "val": many(1, **porn) + plain, "test": many(1, **porn) + plain}
    assert content.check_classes(workspace(), rows(**whole)) == {"rows": 39, "verdict": "passed", "asked": 1}
    for split in ("val", "test"):
        planted = whole | {split: plain, "train": many(30, **porn)}
        with pytest.raises(GateError, match=rf"'porn' \(label\) has 3\d groups and none in {split} \(of \d+ rows\)"):
            content.check_classes(workspace(), rows(**planted))


def test_a_class_that_no_source_to_test_on_has_is_another_matter() -> None:
    """A larger share of the draw would not help: nothing else joins such a split, unless it is to have none."""
    found, plain = {"train": many(30, label="porn") + many(3), "val": many(1, label="porn")}, {"test": many(2)}
    with pytest.raises(GateError, match=r"none in test .*; only sources of \[export\] test_sources are tested on"):
        content.check_classes(workspace(test_sources=("folds",)), rows(**found, **plain))
    shares = {"train": 0.9, "val": 0.1, "test": 0.0}
    content.check_classes(workspace(test_sources=("folds",), splits=shares), rows(**found, **plain))


def test_near_duplicates_are_one_group_and_few_groups_are_asked_nothing() -> None:
    copies = rows(train=many(40, label="porn", group="one"), test=many(2))
    found = content.check_classes(workspace(), copies)
    assert found == {"rows": 42, "verdict": "none: no class has 30 groups", "asked": 0}


def test_a_split_that_is_to_hold_nothing_is_not_asked_and_every_axis_is() -> None:
    shares = {"train": 0.9, "val": 0.0, "test": 0.1}
    found = rows(train=many(30, label_medium="photograph"), test=many(2, label_medium="photograph"))
    content.check_classes(workspace(splits=shares), found)
    with pytest.raises(GateError, match=r"none in val"):
        content.check_classes(workspace(), found)
    drawn = rows(train=many(30, label_medium="drawing") + many(1), test=many(2))
    with pytest.raises(GateError, match=r"'drawing' \(label_medium\) has 30 groups and none in test"):
        content.check_classes(workspace(AXES, splits=shares), drawn)


# -- whose labels are tested on --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("human", "weak", "least", "whose"),
    [(0, 4, 0.0, "weak"), (3, 1, 0.0, "weak"), (4, 0, 0.0, "human"), (2, 2, 0.5, "mixed"), (4, 0, 1.0, "human")],
)
def test_a_release_says_whose_labels_it_is_tested_on(human: int, weak: int, least: float, whose: str) -> None:
    made = rows(test=many(human, label_source="human") + many(weak), train=many(3))
    found = content.check_people(workspace(min_human_test=least), made)
    assert (found["rows"], found["human"], content.whose(found)) == (4, human, whose)
    said = content.about(found)
    assert (said is None) == (whose == "human")
    which = "the others" if human else "them"
    told = f"people gave {human} of 4; every figure on {which} is agreement with the label model ([export] min_human"
    assert said is None or told in said


@pytest.mark.parametrize(("human", "weak", "least"), [(1, 3, 0.5), (0, 2, 0.01), (3, 1, 1.0), (0, 0, 0.5)])
def test_too_few_labels_of_people_in_test_are_refused(human: int, weak: int, least: float) -> None:
    made = rows(test=many(human, label_source="human") + many(weak), train=many(3, label_source="human"))
    with pytest.raises(GateError, match=rf"people gave {human} of {human + weak}, .*min_human_test = {least:g}.*audit"):
        content.check_people(workspace(min_human_test=least), made)


def test_nothing_is_said_of_a_test_split_without_rows() -> None:
    found = content.check_people(workspace(), rows(train=many(3)))
    assert found["verdict"] == "none: test holds no rows"
    assert content.about(found) is None
    assert content.whose(found) == "weak"


# -- remarks ---------------------------------------------------------------------------------------------------------


def of_host(host: str | None, count: int, label: str) -> list[dict[str, Any]]:
    return many(count, label=label) if host is None else [
        {"label": label, "url": f"https://{host}/{n}.jpg"} for n in range(count)
    ]  # fmt: skip


def test_a_label_that_the_host_gives_away_is_said_with_its_figure() -> None:
    planted = rows(train=of_host("a.example", 40, "porn") + of_host("b.example", 40, "neutral"))
    found = remarks.host(planted)
    said = remarks.about_host(found)
    assert found.auc == 1.0
    assert said is not None
    assert "host alone gives the label away (AUC 1.00" in said
    assert "over 80 rows" in said
    mixed = [
        one for host in ("a.example", "b.example") for kind in ("porn", "neutral") for one in of_host(host, 20, kind)
    ]
    assert remarks.about_host(remarks.host(rows(train=mixed))) is None


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        (of_host("a.example", 40, "neutral"), "two labels"),
        (of_host(None, 40, "neutral") + of_host(None, 40, "porn"), "nothing says it"),
        ([*of_host("a.example", 20, "neutral"), *of_host("a.example", 20, "porn")], "all have the same"),
        ([{"url": "https://[broken"}] * 20 + many(20, label="porn"), "nothing says it"),
        ([], "two labels"),
    ],
)
def test_hosts_that_cannot_tell_are_not_asked(planted: list[dict[str, Any]], why: str) -> None:
    found = remarks.host(rows(train=planted))
    assert found.auc is None
    assert why in found.verdict
    assert remarks.about_host(found) is None


class Vectors:
    """Embeddings as `curate.features.embeddings` gives them, in parts of two, the last one first."""

    def __init__(self, vectors: Any) -> None:
        self.vectors = np.asarray(vectors, dtype=np.float32)
        self.shape = self.vectors.shape

    def __getitem__(self, rows: Any) -> Any:
        return self.vectors[rows]

    def each(self) -> Any:
        for at in reversed(range(0, len(self.vectors), 2)):
            yield np.arange(at, min(at + 2, len(self.vectors))), self.vectors[at : at + 2]


def nearest(monkeypatch: pytest.MonkeyPatch, train: Any, test: Any) -> dict[str, Any]:
    both = np.array([*train, *test], dtype=np.float32).reshape(len(train) + len(test), -1)
    monkeypatch.setattr(remarks, "embeddings", lambda *_: Vectors(both))
    found = remarks.nearest(workspace(), rows(train=many(len(train)), test=many(len(test))))
    assert found is not None
    return found


def test_the_nearest_pairs_across_splits_are_named_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = [[1, 0, 0], [0, 2, 0], [5, 0, 0]], [[0, 0, 1], [3, 0.3, 0], [np.nan, 0, 0]]
    found = nearest(monkeypatch, train, test)
    assert (found["train"], found["test"], found["of"], found["unread"]) == (3, 2, 3, 1)
    assert found["top"] == [[f"{4:064x}", f"{0:064x}", 0.995], [f"{3:064x}", f"{0:064x}", 0.0]]
    assert found["histogram"] == {"0.00": 1, "0.95": 1}


@pytest.mark.parametrize(
    ("train", "test", "why"),
    [
        ([[1, 1]] * 4, [[1, 1]] * 3, "all 3 test vectors are the same"),
        ([[np.nan, 1]] * 4, [[1, 1], [0, 1]], "no embeddings"),
        ([[0, 0]] * 4, [[1, 1], [0, 1]], "no embeddings"),
        ([[1, 0]] * 4, [], "no embeddings"),
        ([[1, 0]] * 4, [[np.inf, 0]], "no embeddings"),
    ],
)
def test_embeddings_that_tell_nothing_say_so(monkeypatch: pytest.MonkeyPatch, train: Any, test: Any, why: str) -> None:
    found = nearest(monkeypatch, train, test)
    assert why in found["why_not"]
    assert found["top"] == []
    assert found["histogram"] == {}


def test_without_a_table_of_embeddings_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remarks, "embeddings", lambda *_: None)
    assert remarks.nearest(workspace(), rows(train=many(1), test=many(1))) is None


def test_many_rows_are_held_against_train_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer test rows where train is large; those that are asked are spread evenly."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(remarks, "PRODUCTS", 40 * 4 * 10)
    found = nearest(monkeypatch, rng.normal(size=(40, 4)), rng.normal(size=(30, 4)))
    assert (found["test"], found["of"]) == (10, 30)
    assert sum(found["histogram"].values()) == 10


# -- in a workspace --------------------------------------------------------------------------------------------------


def test_what_no_source_mentions_is_refused_and_not_met_with_a_traceback(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("a"), Item("b")])
    with ws.catalog.tx() as db:
        db.execute("DELETE FROM mentions WHERE candidate = (SELECT min(candidate) FROM mentions)")
    with pytest.raises(GateError, match=rf"source: 1 of 2 items have none .*{Item('a').id}"):
        export(ws, "1.0.0", {}, QUIET, SCREENED)
    assert not ws.catalog.all("SELECT 1 FROM releases")


def test_a_machine_that_is_not_sure_enough_gives_no_label(tmp_path: Path) -> None:
    unsure = {"content": ("neutral", 0.4)}
    items = [
        Item("sure"),
        Item("unsure", weak=unsure),
        Item("judged", "test", weak=unsure, people={"content": {"ann": "neutral"}}),
    ]
    ws = stocked(tmp_path, items, replace(Config(), export=ExportConfig(min_probability=0.5)))
    found = export(ws, "1.0.0", {}, QUIET, SCREENED)
    assert found["excluded"] == {"below_min_probability": 1}
    assert found["rows"] == {"train": 1, "val": 0, "test": 1}
    assert found["test_labels"] == "human"
    assert found["gates"]["test_labels"] == "passed (1 rows)"


def test_what_has_none_of_the_licences_stays_out_and_is_counted(tmp_path: Path) -> None:
    """A pattern, whatever the capitals; and what is refused for want of a licence leaves by what the refusal names."""
    named = ["CC BY-SA 4.0", "cc0", "GPL", "[x]", None]
    items = [Item(f"{n}", mentions=[Mention(f"https://example.org/{n}", one)]) for n, one in enumerate(named)]
    ws = stocked(tmp_path, items, replace(Config(), export=ExportConfig(require_license=True)))
    with pytest.raises(GateError, match=r'1 of 5 items have none .*licenses = \["\*"\] leaves'):
        export(ws, None, {}, QUIET, SCREENED)
    ws.config = replace(Config(), export=ExportConfig(require_license=True, licenses=("*",)))
    found = export(ws, None, {}, QUIET, SCREENED)
    assert (found["excluded"], found["rows"]["train"]) == ({"license_missing": 1}, 4)
    assert found["gates"]["licence"] == "passed (4 rows)"
    ws.config = replace(Config(), export=ExportConfig(licenses=("CC*", "gp?")))
    with pytest.raises(GateError, match=r"1 of 4 items have none of \[export\] licenses"):
        export_also(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    found = export(ws, None, FORMATS, QUIET, SCREENED)
    assert (found["version"], found["excluded"]) == ("2.0.0", {"license_denied": 1, "license_missing": 1})
    assert load(ws.work / "releases/2.0.0").rows["train"].num_rows == 3
    assert reasons(ws, [items[3].id, items[4].id]) == {items[3].id: "license_denied", items[4].id: "license_missing"}
    ws.close()
