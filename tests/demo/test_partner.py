"""The demo's last part, on a small web: what leaves is read, rebuilt by a partner, and taken back in part."""

from pathlib import Path
from typing import Any

import pytest

import curate
from curate.demo.corpus import Item
from curate.demo.partner import FORMATS, SIDE, Setting, play, table
from curate.demo.server import Server
from curate.demo.web import build
from tests.support.pictures import encode, texture

EACH, LATER = 5, 2
SERIAL = '\n[engine]\nuse = "serial"\n'


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    items = [
        Item(encode(texture(seed, (120, 100)), "PNG"), label, f"{label}{seed}", f"{seed}.png", "", "")
        for label, first in (("neutral", 0), ("drawings", 20))
        for seed in range(first, first + EACH + LATER)
    ]
    folder, site = tmp_path_factory.mktemp("demo"), build(items)
    with Server(site) as server:
        setting = Setting(site, server.authority, folder, server.forget, EACH, LATER)
        roots = setting.prepare()
        for root in roots:
            with (root / "curate.toml").open("a") as file:
                file.write(SERIAL)
        ours, partner = (curate.open(root, quiet=True) for root in roots)
        return folder, play(setting, ours, partner, curate.load_release)


def test_a_release_leaves_in_five_formats_and_torch_reads_it(played: tuple[Path, dict[str, Any]]) -> None:
    folder, found = played
    assert sorted(found["formats"]) == sorted(FORMATS)
    assert all(Path(place).is_relative_to(folder / "ours") for place in found["formats"].values())
    assert sum(found["rows"]["first"].values()) == 2 * EACH
    assert found["batch"][1:] == [3, SIDE, SIDE]
    parts = [path.name for path in (folder / "ours" / "work" / "tables").glob("leaving@*/*")]
    assert parts
    assert all(name.startswith(("fetch-", "rest-")) for name in parts), (
        "what fetch has decoded, no export decodes again"
    )


def test_the_partner_has_what_is_there_and_lets_go_of_what_is_taken_down(played: tuple[Path, dict[str, Any]]) -> None:
    folder, found = played
    before, after = found["partner"]["before"], found["partner"]["after"]
    assert (before["recovered"], before["rows"], before["missing"]) == (2 * EACH - 2, 2 * EACH, {"http_404": 2})
    assert (after["recovered"], after["rows"]) == (2 * EACH - 3, 2 * EACH)
    assert after["missing"] == {"http_404": 2, "taken_down": 1}
    assert (found["takedown"]["removed"], found["takedown"]["releases_affected"]) == (1, ["1.0.0"])
    assert (folder / "ours" / "work" / found["takedown"]["receipt"]).is_file()
    assert sum(found["rows"]["after_takedown"].values()) == 2 * EACH - 1


def test_the_next_release_only_adds(played: tuple[Path, dict[str, Any]]) -> None:
    _, found = played
    assert found["diff"].pop("level") == "minor"
    assert found["diff"] == {"added": 2 * LATER} | dict.fromkeys(("removed", "relabelled", "moved", "edited"), 0)
    assert sum(found["rows"]["second"].values()) == 2 * (EACH + LATER) - 1
    shown = table(found | {"diff": found["diff"] | {"level": "minor"}})
    assert all(len(row) == len(shown["columns"]) for row in shown["rows"])
    assert ("partner: hydrate", f"{2 * EACH - 2} of {2 * EACH} (http_404 2)") in shown["rows"]
