"""Of an animation a labeler is asked about the first, the middle and the last distinct frame, and the worst counts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from curate.contracts import Decoded, Engine
from curate.engine.pool import Pool
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.features.score_worker import blank, fill
from curate.features.scores import compute, read
from curate.media.decoded import StoredImage
from curate.plugins import fingerprint_of
from curate.progress import Progress
from curate.records import Sample
from curate.store.workspace import Workspace
from labelers.drawing import Drawing
from labelers.efficientnet_lite0 import EfficientnetLite0
from labelers.open_nsfw import OpenNsfw
from tests.support.builders import add, workspace
from tests.support.fakes.brightness import Brightness
from tests.support.fakes.flicker import Flicker
from tests.support.pictures import clip, encode, photograph, texture

QUIET = Progress(quiet=True)
SIZE = (64, 48)
KINDS = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = workspace(tmp_path)
    yield made
    made.close()


def tone(red: int, blue: int = 50, seed: int = 0) -> Image.Image:
    """A field of one colour, of which a corner is another."""
    made = Image.new("RGB", SIZE, (red, 0, blue))
    made.paste((red, 120, blue), (0, 0, 8 + 8 * seed, 8))
    return made


def scores(ws: Workspace, labeler: Any, ids: Sequence[str], engine: Engine | None = None) -> dict[str, list[Any]]:
    compute(ws, engine or Serial(), [labeler], QUIET)
    return {name: values.tolist() for name, values in read(ws, labeler, ids).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_of_three_frames_counts(ws: Workspace, kind: str) -> None:
    """Frames that are held, or come again, are no others: the fourth of five distinct ones is not looked at."""
    reds = [40, 40, 120, 40, 200, 200, 250, 80]
    ids = [add(ws, clip(kind, [tone(red) for red in reds], SIZE)), add(ws, encode(tone(90), "PNG"))]
    found = scores(ws, Flicker(), ids)
    near = pytest.approx
    assert found["most"] == near([200, 90], abs=6)
    assert found["least"] == near([40, 90], abs=6)
    assert found["mean"] == near([(40 + 200 + 80) / 3, 90], abs=6)
    assert found["first"] == near([40, 90], abs=6)
    assert [row[0] for row in found["all"]] == near([200, 90], abs=6)
    assert int(found["said"][0]) == near(40, abs=6)


def test_a_frame_of_which_nothing_is_said_takes_nothing_away(ws: Workspace) -> None:
    silent = clip("PNG", [tone(10, 0), tone(20, 0), tone(30, 0)], SIZE)
    ids = [add(ws, clip("PNG", [tone(200, 0), tone(60), tone(100)], SIZE)), add(ws, silent)]
    found = scores(ws, Flicker(), ids)
    for name, wanted in (("most", 100), ("least", 60), ("mean", 80), ("first", np.nan)):
        assert found[name] == pytest.approx([wanted, np.nan], abs=1, nan_ok=True)


def test_scores_do_not_depend_on_company_or_workers(tmp_path: Path) -> None:
    files = [clip("GIF", [tone(10 * n), tone(200 - 9 * n), tone(90, seed=2)], SIZE) for n in range(1, 6)]
    files += [encode(tone(30 * n), "PNG") for n in range(5)]
    alone = []
    for n, data in enumerate(files):
        ws = workspace(tmp_path / str(n))
        alone.append(scores(ws, Flicker(), [add(ws, data)])["mean"][0])
        ws.close()
    engines: tuple[Engine, ...] = (Serial(), Pool(2))
    for number, engine in enumerate(engines):
        ws = workspace(tmp_path / f"all{number}")
        assert scores(ws, Flicker(), [add(ws, data) for data in files], engine)["mean"] == alone
        ws.close()


def test_a_labeler_that_says_nothing_of_frames_is_asked_about_the_first(ws: Workspace) -> None:
    ids = [add(ws, clip("WEBP", [tone(60), tone(250), tone(250, 250)], SIZE)), add(ws, encode(tone(60), "PNG"))]
    found = scores(ws, Brightness(), ids)["mean"]
    assert found[0] == pytest.approx(found[1], abs=0.02)


class Asked:
    """Remembers which frames it was asked about."""

    def __init__(self, of: Any) -> None:
        self.needs, self.columns, self.over_frames, self.of = of.needs, of.columns, of.over_frames, of
        self.numbers: list[int] = []

    def label(self, batch: Sequence[Decoded]) -> Any:
        self.numbers += [one.number for one in batch if isinstance(one, StoredImage)]
        assert len(batch) <= self.needs.batch
        return self.of.label(batch)


@pytest.mark.parametrize(("shown", "numbers"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 2, 3]), (9, [0, 4, 8])])
def test_which_frames(shown: int, numbers: list[int]) -> None:
    data = clip("PNG", [texture(n) for n in range(shown)], SIZE)
    view = StoredImage(Sample("0" * 64, "", "", 0, "image/png", *SIZE, shown), {}, lambda: data)
    labeler: Any = Asked(Flicker())
    fill(blank(Flicker(), 1), labeler, {0: view.frames()})
    assert labeler.numbers == numbers


def test_a_word_that_means_nothing_is_refused_before_anything_is_read(ws: Workspace) -> None:
    class Odd(Flicker):
        over_frames: ClassVar = {"most": "worst"}

    class Text(Flicker):
        over_frames: ClassVar = {"said": "max"}

    class Missing(Flicker):
        over_frames: ClassVar = {"nsfw": "max"}

    for labeler, says in ((Odd(), "'worst' of 'most'"), (Text(), "'max' of 'said'"), (Missing(), "'max' of 'nsfw'")):
        with pytest.raises(UsageError, match=f"over_frames says {says}; what can be said is max, min, mean"):
            compute(ws, Serial(), [labeler], QUIET)


def test_what_ships_with_us(ws: Workspace) -> None:
    """An explicit frame is not hidden behind a drawn card: the score is the largest, and no drawing's."""
    drawn = Image.new("RGB", (128, 128), "white")
    drawn.paste((200, 30, 30), (30, 30, 90, 90))
    photo = photograph().resize((128, 128))
    moving = add(ws, clip("PNG", [drawn, drawn.rotate(45, fillcolor="white"), photo], (128, 128)))
    stills = [add(ws, encode(one, "PNG")) for one in (drawn, drawn.rotate(45, fillcolor="white"), photo)]
    nsfw = scores(ws, OpenNsfw(), [moving, *stills])["nsfw"]
    assert nsfw[0] == max(nsfw[1:])
    found = scores(ws, Drawing(), [moving, *stills])
    assert found["drawing"][1] > 0.5 > found["drawing"][0] == min(found["drawing"])
    for name in ("ground", "smooth", "colours"):
        assert found[name][0] == pytest.approx(np.mean(found[name][1:]), abs=1e-6)
    assert (Drawing.version, OpenNsfw.version, EfficientnetLite0.version) == (2, 2, 2), "whose answers changed"
    assert fingerprint_of(OpenNsfw()) != fingerprint_of(type("OpenNsfw", (OpenNsfw,), {"version": 1})())
