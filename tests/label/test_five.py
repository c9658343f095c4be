"""Five declared classes come out as five, by the command, with the labelers that `curate init` writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from curate.admin.init import TEMPLATE
from curate.config import load
from curate.demo import five
from curate.demo.corpus import Item
from curate.store.workspace import Workspace
from tests.commands.test_cli import curate
from tests.support.pictures import encode, photograph

SHIPPED = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "camera.png")


def drawn(seed: int) -> bytes:
    """Flat discs on white, no two alike."""
    image = Image.new("RGB", (200, 160), "white")
    for n in range(9):
        x, y, r = (seed * 37 + n * 53) % 150, (seed * 61 + n * n * 29) % 110, 14 + (seed * 7 + n * 11) % 30
        ImageDraw.Draw(image).ellipse((x, y, x + r, y + r), fill=(seed * 40 % 256, n * 60, 200 - n * 40))
    return encode(image, "PNG")


def items() -> list[Item]:
    """Eighteen photographs, parts of six that are shipped, and twelve drawings."""
    found = []
    for name in SHIPPED:
        image = photograph(name)
        for n in range(3):
            part = image.crop((n * 150, 0, n * 150 + 150, 280))
            found.append(Item(encode(part, quality=92), "neutral", f"{name}-{n}", f"{n}-{name}.jpg", "", ""))
    return found + [Item(drawn(n), "drawings", f"drawn-{n}", f"drawn-{n}.png", "", "") for n in range(12)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("five")
    five.prepare(root, items())
    said = json.loads(curate(root, "run", "1.0.0", "--json", "-q").stdout)
    return root, said


def test_the_labelers_are_those_that_init_writes() -> None:
    for name in ("declared", "open_nsfw", "drawing", "nsfwjs", "words"):
        assert f'\n[[labelers]]\nuse = "{name}"' in TEMPLATE
        assert f'\n[[labelers]]\nuse = "{name}"' in five.CONFIG


def test_five_declared_classes_come_out_as_five(done: tuple[Path, dict[str, Any]]) -> None:
    root, said = done
    ws = Workspace(root, load(root))
    found = five.account(ws)
    ws.close()
    assert found["called_safe"] == 0
    assert {name for name, became in found["declared"].items() if name in became} == set(five.FOLDERS["neutral"]) | set(
        five.FOLDERS["drawings"])  # fmt: skip
    wrong = {(name, label) for name, became in found["declared"].items() for label in became} - {
        (name, name) for name in found["declared"]}  # fmt: skip
    assert {label for _, label in wrong} <= {"contradicted", "conflict", "unlabelled"}
    assert said["label"]["vanished"] == said["export"]["vanished"] == []


def test_grey_copies_that_are_declared_otherwise_wait_for_people(done: tuple[Path, dict[str, Any]]) -> None:
    root, said = done
    assert said["dedupe"]["duplicates"] == five.GREY
    assert said["export"]["excluded"] == {"contradicted": five.GREY, "duplicate": five.GREY}
    drawn_ = json.loads(curate(root, "queue", "conflict", "--json", "-q").stdout)
    assert drawn_["strata"]["contradicted"]["n"] == five.GREY
    assert five.table({"declared": {"porn": {"porn": 2}}, "called_safe": 0})["rows"] == [("porn", 2, "2 porn")]
