"""Rows: what is written of a sample reaches functions, by whatever way Snorkel copies them."""

import asyncio
import copy
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from curate.contracts import Resources
from curate.features.told import told
from curate.fetch import listing
from curate.label import functions
from curate.label.flags import FAILED
from curate.label.functions import Votes, vote
from curate.label.rows import Rows, rows
from curate.label.slices import is_slicing
from curate.policy.written import Written
from curate.records import Axis, Candidate
from curate.store.mentions import LARGE, Mentions
from curate.store.samples import sample
from curate.store.workspace import Workspace
from sources._wikifile import Place, candidate
from sources.local import Local
from sources.urllist import Urllist
from tests.support.samples import member, pictures, workspace

AXIS = Axis()


def silent(done: int = 1, *, total: int | None = None) -> None:
    """Progress that nobody sees."""


def mention(ws: Workspace, sample: str, ref: str = "a.csv:1", page: str | None = None, **facts: Any) -> None:
    """One mention more of a stored sample, at the URL that it has."""
    upstream = None if page is None else json.dumps({"system": "commons.wikimedia.org", "title": page})
    with ws.catalog.tx() as db:
        db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES ('list', 'urllist', '{}')")
        row = db.execute("SELECT candidate FROM candidates WHERE sample = ?", (sample,)).fetchone()
        db.execute("UPDATE candidates SET host = 'example.org' WHERE candidate = ?", (row[0],))
        db.execute(
            "INSERT INTO mentions (candidate, source, ref, license, upstream, facts) VALUES (?, 'list', ?, ?, ?, ?)",
            (row[0], ref, facts.pop("license", None), upstream, json.dumps(facts) if facts else None),
        )


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return workspace(tmp_path, pictures(4))


def ids(ws: Workspace) -> list[str]:
    return [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]


def one(ws: Workspace, sample: str) -> Written:
    return Mentions(ws.catalog).of([sample])[0]


def test_every_mention_says_something(ws: Workspace) -> None:
    first = ids(ws)[0]
    said = {"description": ["A  pool", "Ein Becken"], "captions": ["Pool"], "categories": ["Lakes", "Swimming"]}
    where = "Category:Lakes > File:Swimming pool.JPG"
    mention(ws, first, where, "File:Swimming pool.JPG", license="CC0", depicts=["Q31920"], **said)
    mention(
        ws, first, "b.csv:7", description="Another text", categories="Lakes; Water", depicts="Q4022 Q31920", title="A"
    )
    found = one(ws, first)
    assert found.title == "A\nSwimming pool.JPG"
    assert found.description.split("\n") == ["A pool", "Another text", "Ein Becken", "Pool"]
    assert found.categories == ("Lakes", "Swimming", "Water")
    assert found.depicts == ("Q31920", "Q4022")
    assert (found.host, found.license) == ("example.org", "CC0")
    assert found.file_name.split("\n") == sorted([f"{first[:8]}.jpg", "Swimming pool.JPG"])
    assert "swimming pool jpg" in found.words.split(" | ")
    assert "ein becken" in found.words.split(" | ")
    assert "q31920" not in found.words


def test_a_copy_s_words_are_the_picture_s(ws: Workspace) -> None:
    a, b, c, _ = ids(ws)
    for name in (a, b):
        member(ws, name, survivor=a)
    mention(ws, b, categories=["Lakes"])
    mention(ws, c, categories=["Hills"])
    assert [each.categories for each in Mentions(ws.catalog).of([a, c, b])] == [("Lakes",), ("Hills",), ("Lakes",)]
    mention(ws, a, "later.csv:1", categories=["Boats"])
    assert one(ws, b).categories == ("Boats", "Lakes"), "read anew"


def test_a_large_set_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = workspace(tmp_path, pictures(LARGE + 2))
    every = ids(ws)
    for name in every[:-1]:
        member(ws, name, survivor=every[0])
    mention(ws, every[3], categories=["Lakes"])
    asked: list[int] = []
    read = Mentions._read

    def counting(self: Mentions, sets: Mapping[str, Any]) -> dict[str, Written]:
        asked.append(sum(len(one) for one in sets.values()))
        return read(self, sets)

    monkeypatch.setattr(Mentions, "_read", counting)
    mentions = Mentions(ws.catalog)
    found = [mentions.of([name])[0].categories for name in every]
    assert found == [("Lakes",)] * (LARGE + 1) + [()]
    assert asked == [LARGE + 1, *[0] * LARGE, 1]


def test_any_text_arrives_whichever_slices_the_catalog_is_asked_in(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = 'a "quoted" \\\\ back, \x00\x1f|\x7f and \ud83d half, é 水'
    for place, name in enumerate(ids(ws)):
        mention(ws, name, f'x\x1e"{place}".csv', license="CC\n0", categories=[odd, str(place)], description=odd)
    a, b, *_ = ids(ws)
    member(ws, b, survivor=a)
    whole = Mentions(ws.catalog).of(ids(ws))
    assert [len(each.categories) for each in whole] == [3, 3, 2, 2]
    assert "\ud83d half, é" in whole[0].description
    monkeypatch.setattr("curate.store.mentions.SLICE", 1)
    assert Mentions(ws.catalog).of(ids(ws)) == whole


class Looking:
    """A labeler without pixels that keeps what it is shown."""

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=0, batch=2)
    columns: ClassVar[Mapping[str, str]] = {"n": "float32"}

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Any]) -> dict[str, Any]:
        self.seen += [(one.sample, one.declared, one.title, one.image(8).size) for one in batch]
        return {"n": np.arange(len(self.seen) - len(batch), len(self.seen))}


def test_a_labeler_without_pixels_is_shown_every_sample_once(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in enumerate(ids(ws)):
        mention(ws, name, page=f"File:Beach {place}.jpg")
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO declared SELECT candidate, source, ref, 'content', 'sexy' FROM mentions JOIN candidates"
            " USING (candidate) WHERE sample = ? AND source = 'list'",
            (ids(ws)[2],),
        )
    monkeypatch.setattr("curate.features.told.PART", 3)
    labeler, lost = Looking(), np.zeros(4, dtype=bool)
    (found,) = told(ws, [labeler], pa.array(ids(ws), pa.large_string()), lost, Mentions(ws.catalog))
    assert found["n"].tolist() == [0, 1, 2, 3]
    assert not lost.any()
    samples, declared, titles, sizes = zip(*labeler.seen, strict=True)
    assert list(samples) == [sample(row) for row in ws.catalog.all("SELECT * FROM samples ORDER BY id")]
    assert list(declared) == [{"content": ("sexy",) if n == 2 else ()} for n in range(4)]
    assert list(titles) == [f"Beach {n}.jpg" for n in range(4)]
    assert all(min(size) == 8 for size in sizes)


def test_names_of_files_and_titles(tmp_path: Path) -> None:
    from curate.store.mentions import _last, _texts

    assert _last("path", "/data/beach/cat 1.jpg") == "cat 1.jpg"
    assert _last("url", "https://example.org/a%20b/c%C3%A9.jpg?x=/y#z") == "cé.jpg"
    assert _last("url", "https://example.org") == ""
    title = json.dumps({"title": "Venus: a study"})
    assert _texts("url", "https://example.org/1.jpg", None, None, None, title, None)[:2] == (
        ("Venus: a study",), ("1.jpg",),
    )  # fmt: skip


PAGE: dict[str, Any] = {
    "pageid": 7, "ns": 6, "title": "File:Swimming_pool (1).jpg", "categories": [{"title": "Category:Lakes"}],
    "imageinfo": [{
        "url": "https://upload.example.org/a/Swimming_pool.jpg", "sha1": "0" * 40, "mime": "image/jpeg", "size": 9,
        "timestamp": "2026-01-01T00:00:00Z", "width": 64, "height": 48, "user": "ada",
        "extmetadata": {"ImageDescription": {"value": {"de": "Ein <b>Becken</b>", "en": "A pool"}}},
    }],
}  # fmt: skip
ENTITY = {
    "labels": {"en": {"value": "Pool at dawn"}},
    "statements": {"P180": [{"rank": "normal", "mainsnak": {"datavalue": {"value": {"id": "Q31920"}}}}]},
}


def test_what_sources_give_arrives(ws: Workspace, tmp_path: Path) -> None:
    """A file of a wiki, a row of a list of URLs and a local file, as they are written down when they are listed."""
    table, photo = tmp_path / "list.csv", tmp_path / "photos" / "beach" / "Rocks 1.png"
    table.write_text("url,title,description,categories,depicts\nhttps://a.org/x.png,Hills,Green,Lakes; Boats,Q1 Q2\n")
    photo.parent.mkdir(parents=True)
    photo.write_bytes(pictures(1)[0])
    wiki = candidate(PAGE, Place("commons.example.org", "Category:Lakes", None), ENTITY)
    assert isinstance(wiki, Candidate)
    found = [wiki, *(asyncio.run(_listed(source))[0] for source in (Urllist(table), Local(photo.parent.parent)))]
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO sources (source, plugin, options) VALUES ('s', 's', '{}')")
        for sample, one in zip(ids(ws), found, strict=False):
            number, _ = listing._write(db, "s", one, "content")
            db.execute("UPDATE candidates SET sample = ? WHERE candidate = ?", (sample, number))
    of_wiki, of_list, of_folder = Mentions(ws.catalog).of(ids(ws)[:3])
    assert "Swimming_pool (1).jpg" in of_wiki.title.split("\n")
    assert of_wiki.description.split("\n") == ["A pool", "Ein Becken", "Pool at dawn"]
    assert (of_wiki.categories, of_wiki.depicts) == (("Lakes",), ("Q31920",))
    assert (of_list.title, of_list.description) == ("Hills", "Green")
    assert (of_list.categories, of_list.depicts, of_list.host) == (("Boats", "Lakes"), ("Q1", "Q2"), "a.org")
    assert of_folder.ref == "beach/Rocks 1.png"
    assert {"beach", "rocks"} <= set(of_folder.words.split())


async def _listed(source: Any) -> list[Candidate]:
    return [one async for page in source.pages(None, None) for one in page.candidates]


def asked(ws: Workspace, **columns: Any) -> Rows:
    every = ids(ws)
    return rows({"id": every, **columns}, Mentions(ws.catalog), 0, len(every))


def test_rows_are_lazy_and_survive_copies(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ids(ws)[0]
    mention(ws, first, page="File:Beach.jpg", categories=["Lakes"])
    reads: list[int] = []
    of = Mentions.of

    def counting(self: Mentions, some: Sequence[str]) -> list[Written]:
        reads.append(len(some))
        return of(self, some)

    monkeypatch.setattr(Mentions, "of", counting)
    row = asked(ws)[0]
    assert vars(row) == {"id": first}
    assert reads == []
    assert (row.title, row.categories) == ("Beach.jpg", ("Lakes",))
    assert reads == [4]
    for again in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        again.title = "changed"
        assert (again.id, again.title, again.categories, row.title) == (first, "changed", ("Lakes",), "Beach.jpg")
    assert reads == [4]
    with pytest.raises(AttributeError, match="no attribute 'titel'"):
        _ = row.titel


MINE = """
from snorkel.labeling import labeling_function
from snorkel.preprocess import preprocessor
from snorkel.slicing import slicing_function

NEUTRAL, ABSTAIN = 2, -1

@preprocessor(memoize=True)
def shouted(x):
    x.title = x.title.upper()
    return x

@labeling_function(pre=[shouted])
def beaches(x):
    return NEUTRAL if "BEACH" in x.title and "Lakes" in x.categories and x.wide > 1 else ABSTAIN

@slicing_function()
def by_the_lake(x):
    return "lakes" in x.words
"""


def test_a_user_s_file_uses_all_of_snorkel(ws: Workspace, tmp_path: Path) -> None:
    mention(ws, ids(ws)[1], page="File:Beach.jpg", categories=["Lakes"])
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    found = [one for one in functions.own([path], [AXIS])["content"] if not is_slicing(one)]
    assert [one.name for one in found] == ["beaches"], "a slicing function casts no vote"
    votes = vote(found, AXIS, lambda a, b: asked(ws, wide=np.array([2, 2, 0, 0]))[a:b], 4, silent)
    assert votes.matrix[:, 0].tolist() == [-1, 2, -1, -1]
    assert votes.faults == {}


# -- vectorised ------------------------------------------------------------------------------------------------------


def test_a_vectorised_function_votes_as_snorkel_s_applier(ws: Workspace) -> None:
    from snorkel.labeling import LabelingFunction, LFApplier

    made = LabelingFunction("wide", lambda x: 2 if x.wide > 1 else 0 if x.wide < 0 else -1)
    made.over = lambda c: np.where(c["wide"] > 1, 2, np.where(c["wide"] < 0, 0, -1))
    part = asked(ws, wide=np.array([2.0, -1.0, np.nan, 0.5]))

    def ask() -> Votes:
        return vote([made], AXIS, lambda a, b: part, 4, silent)

    theirs = LFApplier([made]).apply(part, progress_bar=False)
    assert ask().matrix.tolist() == theirs.tolist() == [[2], [0], [-1], [-1]]
    made._f = None  # not asked row by row
    assert ask().matrix.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    "over",
    [
        lambda c: 1 / 0,
        lambda c: np.array([7, 0, 0, 0]),
        lambda c: np.array([-2, 0, 0, 0]),
        lambda c: np.array([1, 0]),
        lambda c: np.ones(4),
    ],
)
def test_a_vectorised_function_that_fails_is_asked_row_by_row(ws: Workspace, over: Any) -> None:
    from snorkel.labeling import LabelingFunction

    made = LabelingFunction("wide", lambda x: 2 if x.wide else 1 // 0)
    made.over = over
    votes = vote([made], AXIS, lambda a, b: asked(ws, wide=np.array([1, 1, 0, 1])), 4, silent)
    assert votes.matrix[:, 0].tolist() == [2, 2, FAILED, 2]
    assert votes.faults["wide"][0] == 1
