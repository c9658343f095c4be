"""Functions over columns: as each is spelt out row by row here, and as Snorkel's applier asks, at each threshold."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from curate.label.functions import functions_of
from curate.options import Plugin
from curate.plugins import make
from curate.records import Axis

FIVE = Axis()
TWO = Axis("content", ("sfw", "nsfw"), ("sfw",))
EDGES = np.array([0, 0.05, 0.1, 0.2, 0.5, 0.6, 0.8, 0.9, 0.95, 1, np.nan], dtype=np.float32)
NEAR = np.concatenate([EDGES, np.nextafter(EDGES, np.float32(0)), np.nextafter(EDGES, np.float32(1))])


def labeler(name: str, **options: Any) -> Any:
    return make("labelers", Plugin(name, options, "labelers"), "labeler")


def columns(names: list[str], n: int = 3000) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.choice(NEAR, n) for name in names}


def rows(given: dict[str, Any]) -> list[SimpleNamespace]:
    """As `curate.label.rows` has them: a float32 is a Python number."""
    plain = [values.tolist() for values in given.values()]
    return [SimpleNamespace(**dict(zip(given, each, strict=True))) for each in zip(*plain, strict=True)]


def drawn(x: Any) -> bool:
    return not getattr(x, "drawing_drawing", 0.0) < 0.5


def open_nsfw(x: Any) -> int:
    if drawn(x):
        return -1
    return 0 if x.open_nsfw_nsfw >= 0.8 else 1 if x.open_nsfw_nsfw <= 0.2 else -1


def drawing(column: str) -> Callable[[Any], int]:
    def vote(x: Any) -> int:
        score = getattr(x, f"drawing_{column}")
        return 0 if score >= 0.9 else 1 if score <= 0.1 else -1

    return vote


def nudenet(x: Any) -> int:
    parts = ("female_genitalia_exposed", "male_genitalia_exposed", "anus_exposed", "female_breast_exposed",
             "buttocks_exposed")  # fmt: skip
    return 0 if not drawn(x) and any(getattr(x, f"nudenet_{one}") >= 0.6 for one in parts) else -1


def nsfwjs(x: Any) -> int:
    each = [x.nsfwjs_porn, x.nsfwjs_hentai, x.nsfwjs_sexy]
    if max(each) >= 0.8:
        return each.index(max(each))
    if sum(each) >= 0.8:
        return 3
    return 4 if x.nsfwjs_drawings + x.nsfwjs_neutral >= 0.95 else -1


def nsfwjs_two(x: Any) -> int:
    unsafe = x.nsfwjs_porn + x.nsfwjs_hentai
    return 0 if unsafe >= 0.8 else 2 if x.nsfwjs_drawings + x.nsfwjs_neutral >= 0.95 else -1


RULES: dict[str, Callable[[Any], int]] = {
    "open_nsfw": open_nsfw, "nudenet": nudenet,
    **{f"drawing_{one}": drawing(one) for one in ("ground", "smooth", "colours")},
}  # fmt: skip


def check(given: dict[str, Any], made: Any, rule: Callable[[Any], int]) -> None:
    from snorkel.labeling import LFApplier

    wanted = [rule(row) for row in rows(given)]
    assert made.over(given).tolist() == wanted
    assert LFApplier([made]).apply(rows(given)[:300], progress_bar=False)[:, 0].tolist() == wanted[:300]
    assert len(set(wanted)) > 1


@pytest.mark.parametrize("names", [("open_nsfw",), ("open_nsfw", "drawing", "nudenet")])
@pytest.mark.parametrize("axis", [FIVE, TWO])
def test_scores(names: tuple[str, ...], axis: Axis) -> None:
    some = [labeler(name) for name in names]
    given = columns([f"{name}_{column}" for name, one in zip(names, some, strict=True) for column in one.columns])
    found = functions_of(some)(axis, list(given))
    assert {one.name for one in found} >= {name for name in names if name != "drawing"}
    for one in found:
        check(given, one, RULES[one.name])


@pytest.mark.parametrize(("axis", "rule"), [(FIVE, nsfwjs), (TWO, nsfwjs_two)])
def test_probabilities(axis: Axis, rule: Callable[[Any], int]) -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([0.15] * 5, 3000).astype(np.float32)
    shares[::50] = np.nan
    names = [f"nsfwjs_{one}" for one in ("drawings", "hentai", "neutral", "porn", "sexy")]
    given = dict(zip(names, shares.T, strict=True))
    (one,) = functions_of([labeler("nsfwjs")])(axis, list(given))
    check(given, one, rule)


def test_a_classifier_of_one_s_own(tmp_path: Any) -> None:
    classes = {"nsfw": ["porn", "hentai"], "normal": ["drawings", "neutral", "sexy"]}
    one = labeler("onnx", path=str(tmp_path / "m.onnx"), sha256="0" * 64, outputs=["normal", "nsfw"], classes=classes)
    given = columns(["onnx_p_normal_least", "onnx_p_nsfw"])
    (made,) = functions_of([one])(FIVE, list(given))
    check(given, made, lambda x: 1 if x.onnx_p_nsfw >= 0.8 else 0 if x.onnx_p_normal_least >= 0.95 else -1)


def test_what_is_declared() -> None:
    texts = [None, *(json.dumps(one) for one in ({"content": "porn"}, {"content": "gone"}, {"other": "x"}))]
    given = {"declared_labels": np.array(texts * 5, dtype=object)}
    (made,) = functions_of([labeler("declared")])(FIVE, list(given))
    check(given, made, lambda x: 3 if x.declared_labels == texts[1] else -1)
