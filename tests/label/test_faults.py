"""A function that fails, a labeler that could not look: named, and nothing is called safe for want of them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.label.final import labels
from curate.store.blobs import LocalBlobs
from tests.support.labelling import AXIS, NEUTRAL, PORN, bright, run, shades, voting, weak
from tests.support.samples import judge, member, sha256, workspace


def test_a_function_that_fails_casts_no_vote_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = shades(10, 100, 240)
    ws = workspace(tmp_path, files)
    wrong = {"raises": lambda x: 1 // int(x.brightness_mean > 0.2), "misspelt": lambda x: x.brightnes_mean,
             "float": lambda x: 1.5, "beyond": lambda x: 5, "below": lambda x: -2, "fine": bright(0.5)}  # fmt: skip
    with caplog.at_level(logging.WARNING):
        result = run(ws, voting(**wrong))
    faults = {one["name"]: one["faults"] for one in result["functions"]}
    assert faults == {"raises": 1, "misspelt": 3, "float": 3, "beyond": 3, "below": 3, "fine": 0}
    assert "raises failed on 1 samples, first with ZeroDivisionError" in caplog.text
    assert "misspelt failed on 3 samples, first with AttributeError" in caplog.text
    assert "no attribute 'brightnes_mean'" in caplog.text
    (named,) = [one for one in result["functions"] if one["name"] == "raises"]
    assert named["fault"].startswith("ZeroDivisionError: ")
    assert named["coverage"] == 0.6667
    assert {label for label, _ in weak(ws).values()} == {None}


def broken_below(shade: float, answer: int = -1) -> Callable[[Any], int]:
    """A function that fails on what is darker, and answers that of all else."""
    return lambda x: answer if x.brightness_mean > shade else 1 // 0


def test_what_a_function_failed_on_is_not_called_safe_by_the_others(tmp_path: Path) -> None:
    """Nobody knows what it would have said; what is not safe may be said of it, and a person's word stands above it."""
    files = shades(10, 30, 100, 240)
    ws = workspace(tmp_path, files)
    others = {"a": bright(0.2), "b": bright(0.2)}
    result = run(ws, voting(**others, c=broken_below(0.2)))
    said = [weak(ws)[sha256(one)][0] for one in files]
    assert said == [None, None, "neutral", "neutral"]
    assert (result["labelled"], result["contradicted"]) == (2, 2)
    assert {one["conflict"] for one in result["functions"]} == {0.0}, "a fault is no vote against anybody"
    assert "c: 2 of 4 samples made c fail, first with ZeroDivisionError" in result["incomplete"]
    judge(ws, sha256(files[0]), "neutral")
    known = labels(ws, AXIS)
    assert known.withheld == {sha256(files[1]): "contradicted"}
    assert known.by_sample[sha256(files[0])].source == "human"
    run(ws, voting(**{name: lambda x: PORN for name in others}, c=broken_below(0.2)))
    assert {label for label, _ in weak(ws).values()} == {"porn"}
    run(ws, voting(**others))
    assert weak(ws)[sha256(files[1])][0] == "drawings", "asked again without it, the failure is forgotten"


def test_what_a_function_failed_on_is_said_of_its_whole_collapse_set(tmp_path: Path) -> None:
    """Functions are asked about copies, too: one that fails on a copy might have flagged the picture."""
    files = shades(10, 240)
    ws = workspace(tmp_path, files)
    copy, survivor = map(sha256, files)
    member(ws, survivor)
    member(ws, copy, survivor)
    assert run(ws, voting(a=bright(0.5), b=broken_below(0.5)))["labelled"] == 0


def test_what_a_labeler_could_not_look_at_is_not_called_safe_by_the_others(tmp_path: Path) -> None:
    """Whoever rests on its score abstains for want of it, and might have flagged the picture."""
    files = shades(10, 100, 240)
    ws = workspace(tmp_path, files)
    lost = LocalBlobs(ws.blobs.root).path(sha256(files[2]))
    lost.write_bytes(bytes(lost.stat().st_size))
    result = run(ws, voting(a=lambda x: NEUTRAL, b=lambda x: PORN if x.brightness_mean > 0.99 else -1))
    assert result["unscored"] == 1
    assert [weak(ws)[sha256(one)][0] for one in files] == ["neutral", "neutral", None]
    assert result["contradicted"] == 1
