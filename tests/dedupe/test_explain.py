"""`curate dedupe --explain` and `--report`: why a sample is in its group; a page on which nothing is clear unasked."""

import base64
import io
import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from curate.config import Config, DedupeConfig, ScreeningConfig
from curate.dedupe.explain import explain, lines
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from curate.report.duplicates import report
from curate.store.workspace import Workspace
from tests.support.builders import add, decide, workspace
from tests.support.pictures import clip, encode, photograph, texture

QUIET = Progress(quiet=True)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return workspace(tmp_path, Config(screening=ScreeningConfig(required=False)))


def stored(ws: Workspace) -> dict[str, str]:
    """One photograph large, small and with its top cut off; two pictures of one album; one alone."""
    photo = photograph()
    found = {
        "large": add(ws, encode(photo, "PNG"), "neutral"),
        "small": add(ws, encode(photo.resize((200, 200)), "JPEG", quality=80), "drawings", source="local:b"),
        "cut": add(ws, encode(photo.crop((0, 12, 512, 512)), "PNG"), "neutral"),
        "album1": add(ws, encode(texture(1), "PNG"), "neutral", album="a"),
        "album2": add(ws, encode(texture(2), "PNG"), "neutral", album="a"),
        "alone": add(ws, encode(texture(3), "PNG"), "neutral"),
    }
    dedupe(ws, Serial(), QUIET)
    return found


def test_the_survivor_and_what_decides(ws: Workspace) -> None:
    of = stored(ws)
    found = explain(ws, of["small"][:10])
    assert found["sample"] == of["small"]
    assert found["survives"] == {"sample": of["large"], "why": "pixels: 262,144 against 40,000"}
    assert found["group"]["samples"] == 3
    assert explain(ws, of["large"])["survives"]["why"] == "the best of 2"
    decide(ws, of["small"], "neutral")
    dedupe(ws, Serial(), QUIET)
    assert explain(ws, of["large"])["survives"] == {"sample": of["small"], "why": "axes judged by people: 1 against 0"}


def test_the_nearest_with_distances_and_the_conflict(ws: Workspace) -> None:
    of = stored(ws)
    found = explain(ws, of["small"])
    assert found["nearest"][0]["sample"] == of["large"]
    assert re.fullmatch(r"pHash \d+ of 64, PDQ \d+ of 256", found["nearest"][0]["how"])
    assert found["conflicts"][0]["reason"] == "sources declare drawings (1), neutral (2)"
    text = "\n".join(lines(found))
    assert "conflict   content: sources declare" in text
    assert "example.org" not in text


def test_the_path_leads_to_the_one_that_the_group_is_named_after(ws: Workspace) -> None:
    """A chain of pictures, each near to the next only: every step is within a radius, and none is left out."""
    photo = photograph("coffee.png")
    for n in range(14):
        x = 9 * n
        add(ws, encode(photo.crop((x, 0, x + 380, 400)).resize((190, 200)), "PNG"), "neutral")
    dedupe(ws, Serial(), QUIET)
    sizes: dict[str, int] = {}
    for row in ws.catalog.all("SELECT grp FROM members"):
        sizes[row[0]] = sizes.get(row[0], 0) + 1
    name = max(sizes, key=lambda one: sizes[one])
    paths = [
        explain(ws, row[0])["path"]
        for row in ws.catalog.all("SELECT sample FROM members WHERE grp = ? AND sample <> grp", (name,))
    ]
    assert sizes[name] > 5
    assert max(map(len, paths)) > 1
    for path in paths:
        assert path[-1]["to"] == name
        assert all(a["to"] == b["from"] for a, b in pairwise(path))
        for step in path:
            bits = [int(n) for n in re.findall(r"(?:pHash|PDQ) (\d+) of", step["how"])]
            others = [int(n) for n in re.findall(r"\((\d+) \D", step["how"])]
            assert bits[0] <= 10 or bits[1] <= 31 or min(others) <= 6


def test_the_frames_that_two_animations_share_are_named(ws: Workspace) -> None:
    one = add(ws, clip("GIF", [texture(1, (160, 120)), photograph("coffee.png"), texture(2, (160, 120))]), "neutral")
    other = add(ws, clip("WEBP", [texture(3, (160, 120)), texture(4, (160, 120)), photograph("coffee.png")]), "porn")
    dedupe(ws, Serial(), QUIET)
    found = explain(ws, max(one, other))
    assert found["group"]["samples"] == 2
    numbers = (2, 3) if max(one, other) == one else (3, 2)
    said = rf"PDQ \d+ of 256 \(frame {numbers[0]} beside frame {numbers[1]}\)"
    assert re.search(said, found["nearest"][0]["how"])
    assert found["nearest"][0]["direct"]
    assert found["path"][0]["to"] == min(one, other) == found["group"]["name"]
    assert found["conflicts"] == [], "they are not one picture, so that their sources contradict nothing"


def test_an_album_is_a_reason_of_its_own(ws: Workspace) -> None:
    of = stored(ws)
    found = explain(ws, max(of["album1"], of["album2"]))
    assert found["group"]["samples"] == 2
    assert found["path"][0]["how"].endswith("one album")
    assert explain(ws, of["alone"])["path"] == explain(ws, of["alone"])["nearest"] == []


def test_what_cannot_be_explained_is_one_line(ws: Workspace) -> None:
    of = stored(ws)
    for name, says in (("", "hex digits"), ("xyz", "hex digits"), ("0" * 20, "no sample begins so")):
        with pytest.raises(UsageError, match=says):
            explain(ws, name)
    with pytest.raises(UsageError, match="eight hex digits and more"):
        explain(ws, of["alone"][:7])
    late = add(ws, encode(texture(9), "PNG"), "neutral")
    with pytest.raises(UsageError, match="run `curate dedupe`"):
        explain(ws, late)
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO withheld (sample, reason, detail, at) VALUES (?, 'placeholder', '', '')", (of["alone"],)
        )
    with pytest.raises(UsageError, match="held back"):
        explain(ws, of["alone"])


def _pictures(path: Path) -> list[tuple[str, Image.Image]]:
    found = re.findall(r'src="data:image/([a-z]+);base64,([A-Za-z0-9+/=]+)"', path.read_text(encoding="utf-8"))
    return [(kind, Image.open(io.BytesIO(base64.b64decode(data)))) for kind, data in found]


def test_the_page_is_obscured_unless_all_is_safe_and_clear_is_asked(ws: Workspace) -> None:
    stored(ws)
    for asked in (False, True):
        shown = _pictures(report(ws, QUIET, clear=asked))
        assert len(shown) == 5
        assert all((max(image.size) <= 8 and image.mode == "L") is not asked for _, image in shown)
    add(ws, encode(texture(7), "PNG"), "porn")
    dedupe(ws, Serial(), QUIET)
    path = report(ws, QUIET, clear=True)
    assert all(max(image.size) <= 8 and image.mode == "L" for _, image in _pictures(path))
    assert "is not a class that the taxonomy calls safe" in path.read_text(encoding="utf-8")


def test_the_page_counts_what_sources_share(ws: Workspace) -> None:
    stored(ws)
    text = report(ws, QUIET).read_text(encoding="utf-8")
    rows = re.findall(
        r'<th scope="row">(local:b|urllist:a)</th>\s*<td class="num">(\d+)</td>\s*<td class="num">(\d+)', text
    )
    assert rows == [("urllist:a", "2", "1"), ("local:b", "1", "0")]
    assert "example.org" not in text
    assert "<script" not in text


def test_an_empty_workspace_has_a_page(ws: Workspace) -> None:
    assert "No two samples are near each other" in report(ws, QUIET).read_text(encoding="utf-8")


@pytest.mark.parametrize(("least", "together"), [(50, False), (0, True)])
def test_a_hash_of_too_little_quality_is_not_asked(tmp_path: Path, least: int, together: bool) -> None:
    """A faint picture and its half: near by PDQ, and grouped where its quality is enough; a flat one never is."""
    config = DedupeConfig(hash="pdq", pdq_group_radius=48, pdq_quality=least)
    ws = workspace(tmp_path, Config(screening=ScreeningConfig(required=False), dedupe=config))
    faint = Image.eval(texture(1).convert("L"), lambda level: round(128 + (level - 128) * 0.06))
    first, half = add(ws, encode(faint, "PNG")), add(ws, encode(faint.resize((120, 90)), "PNG"))
    flat = [add(ws, encode(Image.new("L", (60, 60), level), "PNG")) for level in (10, 90, 200)]  # one PDQ, near enough
    dedupe(ws, Serial(), QUIET)
    assert (explain(ws, first)["group"]["samples"] == 2) is together
    assert explain(ws, first)["group"]["name"] == (min(first, half) if together else first)
    assert all(explain(ws, one)["group"]["samples"] == 1 for one in flat)
