"""How much of a list is alive, from a sample of it."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.fetch.sampling import FEW, HERE, OTHERS, _allot, _over, draw, estimate
from curate.fetch.wanted import Wanted
from curate.store.catalog import Catalog
from tests.fetch.test_fetch import curate, workspace
from tests.fetch.test_fetch import site as site
from tests.support.web import Web

WANTED = Wanted({"s"}, "content", None)


def catalog(tmp_path: Path, sizes: dict[tuple[str | None, str], int]) -> Catalog:
    """Pending candidates of these classes at these hosts."""
    found = Catalog(tmp_path / "catalog.db")
    with found.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('s', 'urllist', '{}')")
        for (label, host), size in sizes.items():
            for n in range(size):
                url = f"https://{host}/{label}/{n}"
                row = db.execute("INSERT INTO candidates (kind, locator, host) VALUES ('url', ?, ?)", (url, host))
                db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (?, 's', 'r')", (row.lastrowid,))
                if label:
                    db.execute("INSERT INTO declared VALUES (?, 's', 'r', 'content', ?)", (row.lastrowid, label))
    return found


def test_strata_are_classes_and_hosts_and_small_hosts_are_one(tmp_path: Path) -> None:
    sizes: dict[tuple[str | None, str], int] = {("porn", "a.org"): 600, ("sexy", "a.org"): 200, (None, ""): 150}
    sizes |= {("porn", f"{n}.org"): 1 for n in range(50)}
    found = catalog(tmp_path, sizes)
    strata = draw(found, WANTED, 100)
    assert [(one.label, one.host, one.size, len(one.drawn)) for one in strata] == [
        ("porn", "a.org", 600, 60), ("porn", OTHERS, 50, 5), ("sexy", "a.org", 200, 20), ("unlabelled", HERE, 150, 15),
    ]  # fmt: skip
    assert draw(found, WANTED, 100) == strata
    smaller = draw(found, WANTED, 50)[0].drawn
    assert 25 <= len(smaller) <= 30
    assert smaller == strata[0].drawn[: len(smaller)], "a smaller draw is the beginning of a larger one"
    assert {one.label for one in draw(found, WANTED, 3)} == {"porn", "sexy", "unlabelled"}
    with pytest.raises(UsageError, match=r"there are \d classes and hosts"):
        draw(found, WANTED, 2)
    assert sum(len(one.drawn) for one in draw(found, WANTED, 10_000)) == 1000
    found.close()


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), st.integers(20, 400))
def test_as_many_are_drawn_as_asked_for_and_some_of_each(sizes: list[int], n: int) -> None:
    given_ = _allot(sizes, n)
    assert sum(given_) == min(n, sum(sizes))
    assert all(1 <= one <= size for one, size in zip(given_, sizes, strict=True))
    if n >= FEW * len(sizes):
        assert all(one >= min(FEW, size) for one, size in zip(given_, sizes, strict=True))


def test_an_estimate_weighs_each_stratum_by_its_size(tmp_path: Path) -> None:
    """Half of a large host is dead, and nothing of a small one is: the truth is 0.55."""
    found = catalog(tmp_path, {("porn", "a.org"): 900, ("neutral", "b.org"): 100})
    strata = draw(found, WANTED, 100)
    with found.tx() as db:
        for n, one in enumerate(strata[1].drawn):
            db.execute("UPDATE candidates SET state = ? WHERE candidate = ?", (("stored", "failed")[n % 2], one))
        for one in strata[0].drawn[1:]:
            db.execute("UPDATE candidates SET state = 'stored' WHERE candidate = ?", (one,))
    said = estimate(found, strata)
    assert said["sample"] | {"interval": None} == {
        "candidates": 1000, "asked": 100, "answered": 99, "stored": 54, "unasked": 0, "yield": 0.55, "interval": None,
        "expected": 550,
    }  # fmt: skip
    low, high = said["sample"]["interval"]
    assert 0.43 < low < 0.46
    assert 0.64 < high < 0.67
    assert [(one["class"], one["yield"]) for one in said["classes"]] == [("neutral", 1.0), ("porn", 0.5)]
    assert said["classes"][0]["interval"][0] < 0.75, "nine of nine are not certain"
    found.close()


def test_of_what_nobody_answered_nothing_is_said(tmp_path: Path) -> None:
    found = catalog(tmp_path, {("porn", "a.org"): 20})
    said = estimate(found, draw(found, WANTED, 10))
    assert (said["sample"]["yield"], said["sample"]["interval"], said["sample"]["unasked"]) == (None, None, 20)
    found.close()


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (0.02, 0.1, 0.9), (0.99, 1.0, 0.0), (0.0, 0.0, 0.03)])
def test_the_interval_holds_the_truth_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    sizes, draws = (8000, 1500, 500), (400, 75, 25)
    truth = sum(size * share for size, share in zip(sizes, shares, strict=True)) / sum(sizes)
    chance, inside = random.Random(7), 0
    for _ in range(400):
        rows = [
            {"candidates": size, "asked": n, "answered": n, "stored": sum(chance.random() < share for _ in range(n))}
            for size, n, share in zip(sizes, draws, shares, strict=True)
        ]
        low, high = _over(rows)["interval"]
        inside += low <= truth <= high
    assert inside / 400 >= 0.93


def test_a_sample_is_asked_for_and_the_rest_waits(tmp_path: Path, site: Web) -> None:
    root = workspace(
        tmp_path, site, {"neutral": ["/a.jpg", "/b.png", "/cut.jpg"], "drawings": ["/drawing.svg", "/page.jpg"]}
    )
    said = curate(root, "fetch", "--sample", "4")
    assert (said["candidates"], said["pending"], said["sample"]["asked"]) == (5, 1, 4)
    assert said["stored"] == said["sample"]["stored"]
    drawings = next(one for one in said["strata"] if one["class"] == "drawings")
    assert (drawings["answered"], drawings["stored"], drawings["yield"]) == (2, 0, 0.0)
    assert curate(root, "fetch")["pending"] == 0
    assert "take --limit out" in curate(root, "fetch", "--sample", "4", "--limit", "3", ok=(2,))["error"]
