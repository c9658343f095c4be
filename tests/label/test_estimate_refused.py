"""`curate estimate`: what it refuses since an answer would be untrue, and a plan that takes no hour."""

from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.label.estimate.run import lines
from curate.store.workspace import Workspace
from tests.label.test_estimate import asked, audit, score
from tests.support.queues import IDS, weak, workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    found = workspace(tmp_path / "ws", 200)
    weak(found, {name: (score(n), []) for n, name in enumerate(IDS)})
    return found


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["sha256,score", f"{IDS[0]},0,9"], ":2: 3 cells below 2 names; decimals take a point"),
        (["sha256,score", f"{IDS[0]},0.9", f"{IDS[0].upper()},0.1"], ":3: the id .* stands there twice"),
        (["sha256,score,score", f"{IDS[0]},0.9,0.1"], "column 'score' is there twice"),
    ],
)
def test_a_file_of_scores_that_says_two_things_is_refused(
    ws: Workspace, tmp_path: Path, lines: list[str], says: str
) -> None:
    audit(ws, 20)
    (tmp_path / "scores.csv").write_text("\n".join([*lines, f"{IDS[1]},0.2"]))
    with pytest.raises(UsageError, match=says):
        asked(ws, score=(str(tmp_path / "scores.csv"), 0.5, "not_safe"))


def test_no_plan_is_made_for_what_nothing_is_called(ws: Workspace) -> None:
    """Of a class that no label is, a recall is 0 whatever is judged: no number of decisions narrows it."""
    audit(ws, 40)
    for what in ("recall", "precision"):
        with pytest.raises(UsageError, match="labels: nothing is called hentai, so its recall is 0"):
            asked(ws, f"{what}:hentai=0.02")
    assert asked(ws, "prevalence:hentai=0.05")["plan"]["decisions"] > 1
    with pytest.raises(UsageError, match="--class: says what a --score calls"):
        asked(ws, score=(None, None, "porn"))


def test_a_short_plan_does_not_take_no_time(ws: Workspace) -> None:
    audit(ws, 40)
    said = asked(ws, "prevalence=0.2")
    assert 0 < said["plan"]["hours"] < 0.05
    assert list(lines(said))[-1].endswith(f"{said['plan']['decisions']} decisions, 1 min at the pace of the journal")
