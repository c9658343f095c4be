"""The bootstrap classifier as the last step of `curate label`: what it fills, who is told, and what is kept."""

import dataclasses
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.commands.wording import worded
from curate.config import Config, LabelConfig
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.label import table
from curate.label.final import labels
from curate.label.functions import Functions
from curate.label.run import label
from curate.progress import Progress
from curate.records import Axis
from curate.release.gates import check_learnt
from curate.release.rows import collect
from curate.removal.remove import remove
from curate.review.pool import frame
from curate.store.workspace import Workspace
from labelers.efficientnet_lite0 import EfficientnetLite0
from tests.support.fakes.colours import Colours
from tests.support.pictures import encode, photograph
from tests.support.samples import declare, judge, member, sha256, workspace

AXIS = Axis()


def shades() -> list[bytes]:
    """Forty dark reddish pictures and forty bright bluish ones; no two have the same bytes."""
    found = []
    for n in range(80):
        noise = np.random.default_rng(n).integers(0, 60, (24, 24, 3), dtype=np.uint8)
        base = np.array([90, 20, 20] if n < 40 else [120, 150, 190], dtype=np.uint8)
        found.append(encode(Image.fromarray(noise + base), "PNG"))
    return found


def says(dark: Callable[[Any], bool]) -> Functions:
    """One function that speaks of the half of the samples whose id begins with 0 to 7."""
    from snorkel.labeling import LabelingFunction

    def vote(x: Any) -> int:
        at = AXIS.classes.index("drawings" if dark(x) else "neutral")
        return at if x.id[0] in "01234567" else -1

    def of(axis: Axis, columns: Collection[str]) -> Sequence[Any]:
        return [LabelingFunction("half", vote)]

    return of


def told(found: dict[str, Any]) -> Any:
    """What a terminal shows of the axis."""
    axes: Any = worded(found["axes"])
    return axes["content"]


HALF = says(lambda x: bool(x.colours_embedding[0] < 0.5))
FILES = shades()
IDS = [sha256(one) for one in FILES]
SILENT = [one for one in IDS if one[0] not in "01234567"]


def stocked(root: Path) -> Workspace:
    ws = workspace(root, FILES)
    for n, name in enumerate(IDS):
        member(ws, name, split="test" if n % 8 == 0 else "train")
    return ws


def run(ws: Workspace, **options: Any) -> dict[str, Any]:
    if options:
        ws.config = dataclasses.replace(ws.config, label=LabelConfig(**options))
    return label(ws, Serial(), [Colours()], HALF, Progress(quiet=True))


def test_what_it_fills_is_a_models_label(tmp_path: Path) -> None:
    ws = stocked(tmp_path)
    truth = {name: "drawings" if n < 40 else "neutral" for n, name in enumerate(IDS)}
    for name in IDS:
        declare(ws, name, AXIS, "porn" if name == SILENT[0] else truth[name])
    judge(ws, SILENT[1], "sexy")
    said = run(ws)["axes"]["content"]["bootstrap"]
    assert (said["does"], said["gold_n"], said["beats"]) == ("fills", 0, None)
    known = labels(ws, AXIS)
    assert known.withheld[SILENT[0]] == "contradicted"
    assert SILENT[0] not in known.by_sample
    assert (known.by_sample[SILENT[1]].name, known.by_sample[SILENT[1]].source) == ("sexy", "human")
    filled = SILENT[2:]
    assert {known.by_sample[one].source for one in filled} == {"model"}
    assert {known.by_sample[one].source for one in IDS if one not in SILENT} == {"weak"}
    assert all(known.by_sample[one].name == truth[one] for one in filled)
    rows = {one["id"]: one for part in collect(ws).tables.values() for one in part.to_pylist()}
    assert {rows[one]["label_source"] for one in filled} == {"model"}
    assert rows[filled[0]]["weight"] == known.by_sample[filled[0]].probability >= 0.9


def test_test_rows_do_not_teach_and_who_did_is_known(tmp_path: Path) -> None:
    ws = stocked(tmp_path)
    run(ws)
    weak = table.read(ws, AXIS)
    assert weak is not None
    assert weak.taught is not None
    taught = {name for name, one in zip(weak.ids, weak.taught.trained.tolist(), strict=True) if one}
    assert taught
    assert not taught & set(IDS[::8])
    assert table.taught_by(ws, [min(taught)]) == ["content"]
    assert table.taught_by(ws, IDS[::8]) == []
    receipt = remove(ws, [min(taught)], "asked")
    assert receipt.models == ["bootstrap of axis content"]
    assert remove(ws, [IDS[0]], "asked").models == []
    run(ws)
    again = table.read(ws, AXIS)
    assert again is not None
    assert min(taught) not in again.ids


def moved(ws: Workspace, names: Sequence[str], split: str) -> None:
    """As if dedupe had found another split for these since."""
    with ws.catalog.tx() as db:
        db.executemany("UPDATE members SET split = ? WHERE sample = ?", [(split, name) for name in names])


@pytest.mark.parametrize("by", ["bootstrap", "stack"])
def test_a_release_refuses_labels_that_learnt_from_what_it_tests_on(tmp_path: Path, by: str) -> None:
    ws = stocked(tmp_path)
    for n, name in enumerate(IDS):
        declare(ws, name, AXIS, "drawings" if n < 40 else "neutral")
        if by == "stack":
            judge(ws, name, "drawings" if n < 40 else "neutral")
    run(ws, bootstrap=by == "bootstrap", model="majority" if by == "bootstrap" else "stack")
    weak = table.read(ws, AXIS)
    assert weak is not None
    teachers = [name for name in IDS if table.taught_by(ws, [name], table.LEARNT)]
    assert teachers
    assert not {*teachers} & {*IDS[::8]}, "test rows"
    check_learnt(ws, collect(ws))
    moved(ws, teachers[:1], "test")
    with pytest.raises(UsageError, match=r"axis content learnt from samples .* `curate label` again"):
        check_learnt(ws, collect(ws))
    run(ws)
    check_learnt(ws, collect(ws))
    teachers = [name for name in IDS if table.taught_by(ws, [name], table.LEARNT)]
    for name, reason in zip(teachers, ("merged_with_test", "held_out"), strict=False):  # near to what is tested on
        with ws.catalog.tx() as db:
            db.execute("UPDATE members SET excluded = ? WHERE sample = ?", (reason, name))
        with pytest.raises(UsageError, match=r"or near to what is tested on, .* `curate label` again"):
            check_learnt(ws, collect(ws))
        run(ws, bootstrap=by == "bootstrap", model="majority" if by == "bootstrap" else "stack")
        assert not table.taught_by(ws, [name], table.LEARNT)
        check_learnt(ws, collect(ws))


def test_what_people_judged_before_dedupe_teaches_nothing(tmp_path: Path) -> None:
    ws = workspace(tmp_path, FILES)
    for n, name in enumerate(IDS):
        judge(ws, name, "drawings" if n < 40 else "neutral")
    found = run(ws, bootstrap=False)["axes"]["content"]
    assert (found["chosen"]["gold_n"], found["gold"]["n"], found["gold_waiting"]) == (0, 0, len(IDS))
    assert "wait for `curate dedupe`" in found["chosen"]["reason"]
    for n, name in enumerate(IDS):
        member(ws, name, split=("test", "train", "val")[n % 3])
    found = run(ws)["axes"]["content"]
    assert (found["gold"]["n"], found["gold_waiting"]) == (sum(n % 3 > 0 for n in range(len(IDS))), 0)


def test_the_same_workspace_gives_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "other"):
        ws = stocked(tmp_path / name)
        run(ws)
        if name == "other":  # what was killed before the row was written is done again
            with ws.catalog.tx() as db:
                db.execute("DELETE FROM labellings")
            run(ws)
        (part,) = (ws.work / "tables").glob("weak@*/*.parquet")
        found.append(
            (part.parent.name, part.name, part.read_bytes(), ws.catalog.scalar("SELECT report FROM labellings"))
        )
    assert found[0] == found[1]


def test_off_is_as_if_there_were_none(tmp_path: Path) -> None:
    ws = stocked(tmp_path)
    found = run(ws, bootstrap=False)
    assert found["axes"]["content"]["bootstrap"] is None
    assert not labels(ws, AXIS).by_sample.keys() & set(SILENT)
    assert "bootstrap" not in told(found)
    assert frame(ws, AXIS, "0").pool.out_of_fold is None


def test_without_splits_nothing_teaches(tmp_path: Path) -> None:
    """Nobody knows yet what will be a test sample."""
    found = run(workspace(tmp_path, FILES))["axes"]["content"]["bootstrap"]
    assert (found["does"], found["decided"]) == ("nothing", 0)
    assert "`curate dedupe` first" in found["said"]


def test_people_are_told_in_one_line(tmp_path: Path) -> None:
    found = run(stocked(tmp_path))
    assert told(found)["bootstrap"] == (
        f"filled {len(SILENT)} that all abstained on; too little gold to say whether it beats majority"
    )
    assert json.loads(json.dumps(found)) == found


def test_queues_see_what_it_says_and_what_was_given(tmp_path: Path) -> None:
    ws = stocked(tmp_path)
    judge(ws, IDS[0], "porn")  # of the test split: not to be asked again because a machine thinks otherwise
    judge(ws, IDS[1], "porn")
    run(ws)
    pool = frame(ws, AXIS, "0").pool
    assert pool.out_of_fold is not None
    assert pool.given is not None
    at = {name: row for row, name in enumerate(pool.samples)}
    given = {name: int(pool.given[row]) for name, row in at.items()}
    assert given[IDS[0]] == -1
    assert given[IDS[1]] == AXIS.classes.index("porn")
    spoken = [one for one in IDS[2:] if one not in SILENT]
    assert all(given[one] == AXIS.classes.index("drawings" if IDS.index(one) < 40 else "neutral") for one in spoken)
    assert all(given[one] == -1 for one in SILENT if one not in IDS[:2])


def test_real_embeddings_tell_photographs_from_drawings(tmp_path: Path) -> None:
    """The shipped network on crops of photographs and drawn shapes, of which a function speaks of half."""
    files = photographs() + drawings()
    ws = workspace(tmp_path, files, Config())
    ids = [sha256(one) for one in files]
    for name in ids:
        member(ws, name)
    truth = {name: "neutral" if n < len(files) // 2 else "drawings" for n, name in enumerate(ids)}

    def functions(axis: Axis, columns: Collection[str]) -> Sequence[Any]:
        from snorkel.labeling import LabelingFunction

        return [LabelingFunction("half", lambda x: AXIS.classes.index(truth[x.id]) if x.id[0] < "8" else -1)]

    found = label(ws, Serial(), [EfficientnetLite0()], functions, Progress(quiet=True))
    known = labels(ws, AXIS).by_sample
    filled = {name: one.name for name, one in known.items() if one.source == "model"}
    axes: Any = found["axes"]
    assert axes["content"]["bootstrap"]["decided"] == len(filled) >= 8
    assert all(truth[name] == said for name, said in filled.items())


def photographs() -> list[bytes]:
    crops = []
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"):
        whole = photograph(name).resize((400, 320))
        crops += [encode(whole.crop((x, y, x + 200, y + 160))) for x in (0, 100, 200) for y in (0, 160)]
    return crops


def drawings() -> list[bytes]:
    from PIL import ImageDraw

    found = []
    for n in range(24):
        rng = np.random.default_rng(n)
        image = Image.new("RGB", (200, 160), "white")
        pen = ImageDraw.Draw(image)
        for _ in range(6):
            x, y, w, h = (int(one) for one in rng.integers(10, 90, 4))
            colour = tuple(int(one) for one in rng.integers(0, 255, 3))
            (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + w, y + h), fill=colour, outline="black")
        found.append(encode(image, "PNG"))
    return found
