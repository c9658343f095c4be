"""At natural prevalence each judged item of test stands for its stratum's share."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.config import Config, ExportConfig
from curate.errors import UsageError
from curate.evaluate import natural as module
from curate.evaluate.contenders import Contender
from curate.evaluate.rows import Rows
from curate.label.estimate import frame
from curate.label.estimate.draws import Drawn, Item
from curate.records import Axis

AXIS = Axis()
STOCK: Any = SimpleNamespace(config=Config())
IDS = [f"{n:02d}" for n in range(50)]


def rows() -> Rows:
    columns = {"id": IDS, "label": ["neutral"] * 50, "label_source": ["weak"] * 50, "group": IDS}
    return Rows(pa.table(columns), list(AXIS.classes))


def drawn(judged: int) -> Drawn:
    """20 of a stratum of 100, not safe; 20 of one of 900, safe; the rest of either is of other splits."""
    some = [Item(IDS[n], n // 20, "judged", ("porn", "neutral")[n // 20]) for n in range(40)]
    others = [Item(f"of train {n}", n % 2, "judged", "porn") for n in range(30)]
    return Drawn("audit", "audit", "", ["high", "low"], [100, 900], [*some[:judged], *others], {})


def said(
    monkeypatch: pytest.MonkeyPatch, judged: int = 40, natural: bool = True, found: Drawn | None = None
) -> dict[str, Any]:
    monkeypatch.setattr(frame, "natural", lambda ws: natural)
    monkeypatch.setattr(module, "drawn", lambda ws, axis, queue: found or drawn(judged))
    porn = np.array([0.9] * 20 + [0.95] + [0.1] * 29)  # one safe picture looks worse than all
    probabilities = np.zeros((50, 5))
    probabilities[:, AXIS.classes.index("porn")] = porn
    probabilities[:, AXIS.classes.index("neutral")] = 1 - porn
    return module.natural(STOCK, AXIS, rows(), Contender.of("m", AXIS, probabilities), 0)


def test_weights_are_those_of_the_strata(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(monkeypatch)
    assert (found["n"], found["prevalence"], found["queue"]) == (40, 0.1, "audit")
    assert found["heading"] == "accuracy", "an audit's decisions are people's"
    assert found["not_safe_false_positive_rate"] == 0.05
    assert found["accuracy"] == round(1 - 45 / 1000, 4)
    weighted = 100 / (100 + 45)  # the precision where all are found, and no other place
    assert found["not_safe_average_precision"] == pytest.approx(weighted, abs=1e-4)
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high


@pytest.mark.parametrize(
    ("judged", "natural", "why"),
    [(40, False, "no source is an upload window"), (10, True, "10 decisions"), (20, True, "some of each stratum")],
)
def test_where_it_cannot_be_told_it_says_why(
    monkeypatch: pytest.MonkeyPatch, judged: int, natural: bool, why: str
) -> None:
    assert why in said(monkeypatch, judged, natural)["why_not"]


def test_a_stratum_of_a_few_costs_its_own_share_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One upload without a label is no reason to say nothing of nine hundred others."""
    few = replace(drawn(40), strata=["high", "low", "unlabelled"], sizes=[100, 900, 1])
    found = said(monkeypatch, found=few)
    assert (found["n"], found["prevalence"], found["unseen"]) == (40, 0.1, 0.001)
    many = replace(drawn(40), strata=["high", "low", "unlabelled"], sizes=[100, 900, 20])
    assert "some of each stratum" in said(monkeypatch, found=many)["why_not"]


def test_no_audit_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Drawn:
        raise UsageError("nobody has judged an audit")

    monkeypatch.setattr(frame, "natural", lambda ws: True)
    monkeypatch.setattr(module, "drawn", none)
    found = module.natural(STOCK, AXIS, rows(), Contender("m", None, np.zeros(50)), 0)
    assert found == {"why_not": "nobody has judged an audit"}


def test_a_test_split_that_was_given_is_no_random_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STOCK, "config", replace(Config(), export=ExportConfig(test_sources=("commons",))))
    assert "test was given, not drawn" in said(monkeypatch)["why_not"]
