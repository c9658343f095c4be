"""Before pictures leave: what is not safe acknowledged, what is known since heeded, what cannot leave named."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from curate.admin.verify import verify
from curate.config import Config, ExportConfig
from curate.engine.serial import Serial
from curate.errors import GateError, UsageError
from curate.layouts.exported import class_folder
from curate.records import Axis, Taxonomy
from curate.release import redact
from curate.release.export import export, export_also
from curate.release.preview import preview
from tests.support.builders import decide
from tests.support.media_releases import FILES, MEDIA, exported, items, made
from tests.support.releases import EVERY, FORMATS, QUIET, SCREENED, Item


def test_classes_that_are_not_safe_need_a_word(tmp_path: Path) -> None:
    what = [Item(f"{n}", weak={"content": ("sexy", 0.9)}, data=FILES["jpeg"] + bytes(n)) for n in range(2)]
    ws = made(tmp_path, what)
    with pytest.raises(GateError, match="imagefolder, webdataset: pictures of sexy would leave"):
        exported(ws)
    for nothing in ("  ", "\u200b", "--", "a\udcff"):
        with pytest.raises(GateError, match="sexy"):
            exported(ws, acknowledged=nothing)
    assert not (ws.work / "releases" / "1.0.0").exists()
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    with pytest.raises(GateError, match="sexy"):
        export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial())
    export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial(), "Ann answers for it")
    for name in MEDIA:
        said = json.loads((ws.work / "exports" / "1.0.0" / name / "export.json").read_text())
        assert said["acknowledged"] == "Ann answers for it"
    ws.close()


def test_who_answers_is_in_the_log_and_written_again_from_there(tmp_path: Path) -> None:
    what = [Item(f"{n}", weak={"content": ("sexy", 0.9)}, data=FILES["jpeg"] + bytes(n)) for n in range(2)]
    ws = made(tmp_path, what)
    export(ws, "1.0.0", {**FORMATS, "imagefolder": MEDIA["imagefolder"]}, QUIET, SCREENED, Serial(), "Ann answers")
    export_also(ws, "1.0.0", {"webdataset": MEDIA["webdataset"]}, QUIET, SCREENED, Serial(), "Bob answers")
    for name, who in (("imagefolder", "Ann answers"), ("webdataset", "Bob answers")):
        header = ws.work / "exports" / "1.0.0" / name / "export.json"
        before = header.read_bytes()
        header.write_bytes(before.replace(who.encode(), b"Eve answers"))
        redact.export_again(ws, "1.0.0", name)
        assert header.read_bytes() == before
    ws.close()


def test_pictures_do_not_leave_where_more_is_known_than_when_they_were_released(tmp_path: Path) -> None:
    """Declared not safe since; or of a class that is safe no more."""
    ws = made(tmp_path, items())
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    config, axis = ws.config, Axis(safe=("neutral",))
    ws.config = replace(config, taxonomy=Taxonomy(axes=(axis,)))
    with pytest.raises(GateError, match="pictures of drawings would leave"):
        export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial())
    export_also(ws, "1.0.0", {"huggingface": EVERY["huggingface"]}, QUIET, SCREENED, Serial(), "Ann answers for it")
    assert "not-for-all-audiences" in (ws.work / "exports/1.0.0/huggingface/README.md").read_text()
    ws.config = config
    one = hashlib.sha256(FILES["png"]).hexdigest()
    with ws.catalog.tx() as db:
        sql = "INSERT INTO declared SELECT candidate, source, ref, 'content', 'porn' FROM mentions"
        db.execute(f"{sql} WHERE candidate = (SELECT candidate FROM candidates WHERE sample = ?)", (one,))
    with pytest.raises(GateError, match=f"1 items were declared, flagged or judged not safe .*{one}"):
        export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial(), "Ann answers for it")
    assert export_also(ws, "1.0.0", {"csv": FORMATS["csv"]}, QUIET, SCREENED)["written"] == []
    ws.close()


@pytest.mark.parametrize(
    ("said", "renamed", "leaves"),
    [(["porn"], False, False), (["neutral", "porn"], False, False), (["drawings"], False, True),
     (["porn"], True, False), ([], True, True)],
)  # fmt: skip
def test_pictures_that_people_judged_not_safe_since_do_not_leave(
    tmp_path: Path, said: list[str], renamed: bool, leaves: bool
) -> None:
    ws = made(tmp_path, items())
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    one = hashlib.sha256(FILES["png"]).hexdigest()
    for n, label in enumerate(said):
        decide(ws, one, label, f"reviewer {n}")
    if renamed:  # what the release calls so is no class any more
        classes = ("art", *(label for label in Axis().classes if label not in ("drawings", "neutral")))
        ws.config = replace(ws.config, taxonomy=Taxonomy(axes=(Axis(classes=classes, safe=("art",)),)))
    if leaves:
        assert export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial())["written"] == sorted(MEDIA)
    else:
        with pytest.raises(GateError, match=f"1 items were declared, flagged or judged not safe .*{one}"):
            export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial(), "Ann answers for it")
    ws.close()


def test_a_repair_brings_no_pictures_back_that_would_not_leave_today(tmp_path: Path) -> None:
    ws = made(tmp_path, items())
    exported(ws)
    shutil.rmtree(ws.work / "exports/1.0.0/imagefolder")
    (ws.work / "exports/1.0.0/csv/val.csv").unlink()
    decide(ws, hashlib.sha256(FILES["png"]).hexdigest(), "porn")
    said = {one["id"]: one["problem"] for one in verify(ws, QUIET, repair=True)["items"]}
    assert said["exports/1.0.0/csv/val.csv"].endswith("it was written anew")
    pictures = [problem for name, problem in said.items() if name.startswith("exports/1.0.0/imagefolder/")]
    assert pictures
    assert all("it was not written anew: 1 items were declared, flagged or judged not safe" in one for one in pictures)
    assert not (ws.work / "exports/1.0.0/imagefolder").exists()
    ws.close()


def test_pictures_that_may_show_minors_as_is_known_since_do_not_leave(tmp_path: Path) -> None:
    """By the words beside a near-duplicate; what is called safe may leave."""
    what = [Item(f"{n}", weak={"content": (label, 0.9)}, group=f"g{n}", data=FILES["jpeg"] + bytes(n))
            for n, label in enumerate(["sexy", "neutral"])]  # fmt: skip
    ws = made(tmp_path, [*what, Item("beside", group="g0", survivor="0"), Item("other", group="g1", survivor="1")])
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE locator LIKE '%/other.jpg'")
    export_also(ws, "1.0.0", {"imagefolder": MEDIA["imagefolder"]}, QUIET, SCREENED, Serial(), "Ann answers for it")
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET may_depict_minors = 1 WHERE locator LIKE '%/beside.jpg'")
    with pytest.raises(GateError, match=f"1 items may show minors, .*{what[0].id}"):
        export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial(), "Ann answers for it")
    ws.close()


def test_nothing_leaves_of_what_is_held_back_since(tmp_path: Path) -> None:
    ws = made(tmp_path, items())
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    held = hashlib.sha256(FILES["png"]).hexdigest()
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'why', 'now')", (held,))
    with pytest.raises(GateError, match=held):
        export_also(ws, "1.0.0", MEDIA, QUIET, SCREENED, Serial())
    assert {path.name for path in (ws.work / "exports" / "1.0.0").iterdir()} == set(FORMATS)
    ws.close()


def test_lost_and_spoilt_bytes_are_named(tmp_path: Path) -> None:
    ws = made(tmp_path, items())
    lost, spoilt = (hashlib.sha256(FILES[name]).hexdigest() for name in ("png", "jpeg"))
    ws.blobs.path(lost).unlink()
    ws.blobs.path(spoilt).write_bytes(FILES["jpeg"][:-1])
    exported(ws)
    said = json.loads((ws.work / "exports" / "1.0.0" / "imagefolder" / "export.json").read_text())["left_out"]
    assert said[lost] == "bytes_lost"
    assert "not those that were stored" in said[spoilt]
    ws.close()


def test_pictures_are_made_smaller_where_it_is_asked_for(tmp_path: Path) -> None:
    ws = made(tmp_path, items(), replace(Config(), export=ExportConfig(max_side=64)))
    exported(ws)
    found = list((ws.work / "exports" / "1.0.0" / "imagefolder").glob("*/*/*.*"))
    assert len(found) == sum("moving" not in name and name != "apng" for name in FILES)
    for path in found:
        with Image.open(path) as image:
            assert max(image.size) <= 64
    ws.close()


@pytest.mark.parametrize("names", [("A", "a"), ("x", "Metadata.csv"), ("x", "..")])
def test_classes_that_can_be_no_folders_are_refused_before_anything_is_written(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    config = replace(Config(), taxonomy=Taxonomy(axes=(Axis("content", names, names, ()),)))
    each = [Item(str(n), data=data, weak={"content": (names[n % 2], 0.9)}) for n, data in enumerate(FILES.values())]
    ws = made(tmp_path, each, config)
    said = r"give it another one in \[taxonomy\]"
    with pytest.raises(UsageError, match=said):
        exported(ws)
    with pytest.raises(UsageError, match=said):
        preview(ws, None, SCREENED, MEDIA)
    assert not list((ws.work / "releases").iterdir())
    assert not (ws.work / "exports").exists()
    ws.close()


@pytest.mark.parametrize("name", ["a/b", "..", "", " x", "x.", "-x", "=x", "'=x", "nul", "a\nb", "é" * 128])
def test_a_class_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="can be no folder"):
        class_folder(name)
