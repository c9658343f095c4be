"""Releases of two makers in one workspace: a feed of removals deletes what came from its own maker's alone."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.project import Project
from curate.release import signing
from curate.release.removals import Feed
from curate.removal.received import follow
from curate.store import chain, holds
from curate.store.given_tables import rewritten
from curate.store.tombstones import Blocked
from tests.support.builders import add_hashed, workspace
from tests.support.calling_here import command
from tests.support.handed_on import listing, picture, project
from tests.support.pictures import encode, texture
from tests.support.web import Web, serving

BOTH, NEAR = 3, 0  # the picture that both makers list; the one that B has in other bytes
PICTURES = {
    **{f"/a{n}.png": picture(n) for n in range(4)},
    **{f"/b{n}.png": picture(10 + n) for n in range(3)},
    "/elsewhere.png": picture(BOTH),
    "/near.jpg": (200, {"Content-Type": "image/jpeg"}, encode(texture(NEAR, (96, 96)), "JPEG")),
}
LISTS = {
    "a": ["a0.png", "a1.png", "a2.png", "a3.png"],
    "b": ["b0.png", "b1.png", "b2.png", "elsewhere.png", "near.jpg"],
}


def id_of(path: str) -> str:
    return hashlib.sha256(PICTURES[path][2]).hexdigest()


A0, A1, B0, B1 = map(id_of, ("/a0.png", "/a1.png", "/b0.png", "/b1.png"))
SHARED, COPY = id_of("/elsewhere.png"), id_of("/near.jpg")


@dataclass
class Maker:
    root: Path

    @property
    def project(self) -> Project:
        return curate.open(self.root, quiet=True)

    @property
    def feed(self) -> Path:
        return self.root / "work/exports/removals.jsonl"

    @property
    def urls(self) -> Path:
        return self.root / "work/exports/1.0.0/urls"

    def sign(self, key: Path) -> None:
        """Sign all that leaves with a key, made where there is none."""
        key.exists() or signing.new(key)
        path = self.root / "curate.toml"
        path.write_text(path.read_text().replace("[export]\n", f'[export]\nsigning_key = "{key}"\n'))
        self.project.verify(repair=True)

    def name(self, *ids: str) -> None:
        """Have the feed name items that the workspace may never have had, signed by the key that it has."""
        for one in ids:
            record = {"id": one, "at": "2026-01-01T00:00:00Z", "receipt": "r", "versions": ["1.0.0"]}
            with self.feed.open("ab") as out:
                out.write(chain.line(record, chain.records(self.feed)[-1]["digest"])[0])
        signer = signing.signer(self.project.session.config.export.signing_key)
        if signer is not None:
            signer.sign(self.feed, "file:removals.jsonl")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, Path]]:
    with serving(dict(PICTURES)) as site:
        root = tmp_path_factory.mktemp("makers")
        for name, listed in LISTS.items():
            one = listing(root / name, site, listed)
            one.fetch(), one.dedupe(), one.label(), one.export("1.0.0")
        yield site, root


@dataclass
class Both:
    a: Maker
    b: Maker
    partner: Project

    def hydrate(self, one: Maker) -> Any:
        return self.partner.hydrate(one.urls)

    def here(self) -> set[str]:
        return set(self.partner.samples()["id"]) | self.held()

    def held(self) -> set[str]:
        with self.partner.session.open() as ws:
            return holds.held(ws.catalog)


@pytest.fixture
def both(made: tuple[Web, Path], tmp_path: Path) -> Both:
    """Copies of the two makers, unsigned, and a partner who has nothing."""
    site, root = made
    for name in LISTS:
        shutil.copytree(root / name, tmp_path / name)
    return Both(Maker(tmp_path / "a"), Maker(tmp_path / "b"), project(tmp_path / "partner", site))


@pytest.mark.parametrize("signed", ["ab", "a", ""])
def test_a_feed_deletes_what_came_from_its_maker_alone(both: Both, tmp_path: Path, signed: str) -> None:
    for name in signed:
        getattr(both, name).sign(tmp_path / f"{name}.key")
    both.hydrate(both.a), both.hydrate(both.b)
    whole = both.here()
    assert len(whole) == 8
    nobodys = "f" * 64
    both.a.project.takedown(A1, "asked for")
    both.a.project.takedown(SHARED, "asked for")
    both.a.name(B0, nobodys)
    found = both.hydrate(both.a)
    assert (found["removed"], found["removals"]) == (
        1,
        {"path": str(both.a.feed), "items": 4, "new": 2, "others": 0, "yours": 0, "foreign": 2},
    )
    assert both.here() == whole - {A1}
    assert both.held() == {B0, SHARED}
    assert len(found.open_incidents) == 2
    both.b.name(A0)
    found = both.hydrate(both.b)
    assert (found["removed"], found["removals"]["foreign"]) == (0, 1)
    assert both.held() == {B0, SHARED, A0}
    assert both.partner.verify()["items"] == []


def test_what_all_makers_took_out_goes(both: Both) -> None:
    both.hydrate(both.a), both.hydrate(both.b)
    both.a.project.takedown(SHARED, "asked for")
    both.hydrate(both.a)
    assert both.hydrate(both.a)["removed"] == 0, "the same word again is no other maker's"
    both.b.project.takedown(SHARED, "asked for")
    found = both.hydrate(both.b)
    assert (found["removed"], found["removals"]["foreign"]) == (1, 0)
    assert SHARED not in both.here()
    assert both.hydrate(both.a)["removals"]["foreign"] == 0


def test_it_ends_with_5_until_somebody_knows_and_the_operator_decides(both: Both, tmp_path: Path) -> None:
    both.hydrate(both.a), both.hydrate(both.b)
    both.a.project.takedown(SHARED, "asked for")
    root = tmp_path / "partner"
    code, out, said = command(root, "hydrate", str(both.a.urls))
    assert (code, "foreign" in out) == (5, True)
    assert "names 1 items that releases by others name, too: they are held back" in said
    (incident,) = both.hydrate(both.a).open_incidents
    assert command(root, "screening", "acknowledge", str(incident), "--by", "Ann")[0] == 0
    assert command(root, "hydrate", str(both.a.urls))[0] == 0
    assert command(root, "screening", "release", str(incident), "--reason", "B has leave to show it")[0] == 0
    both.hydrate(both.a), both.hydrate(both.b)
    assert not both.held(), "it was decided"
    assert command(root, "takedown", SHARED)[0] == 0
    assert SHARED not in both.here()


def test_a_near_copy_of_another_maker_stays_and_is_said(both: Both, tmp_path: Path) -> None:
    both.hydrate(both.a), both.hydrate(both.b)
    both.partner.dedupe()
    both.a.project.takedown(A0, "asked for")
    code, out, said = command(tmp_path / "partner", "hydrate", str(both.a.urls))
    assert code == 0
    assert "1 samples that show what was removed in other bytes stay" in said
    assert "duplicates_left" in out
    assert COPY in both.here()
    assert A0 not in both.here()


def test_what_is_pending_goes_where_nobody_names_it_as_something_else(tmp_path: Path) -> None:
    """A maker may say of any URL that it is theirs. What is not here stays away by its sha256 all the same."""
    mentions: dict[str, list[tuple[str, str | None]]] = {
        "theirs": [("hydrate:a", A0)],
        "of both": [("hydrate:a", A0), ("hydrate:b", A0)],
        "of b": [("hydrate:b", A0)],
        "claimed": [("hydrate:a", A0), ("hydrate:b", B0)],
        "own": [("hydrate:a", A0), ("urllist:1", None)],
        "stored": [("hydrate:a", A0), ("urllist:1", None)],
    }
    with closing(workspace(tmp_path)) as ws:
        with ws.catalog.tx() as db:
            for source in ("hydrate:a", "hydrate:b", "urllist:1"):
                row = (source, source.partition(":")[0])
                db.execute("INSERT INTO sources (source, plugin, options) VALUES (?, ?, '{}')", row)
            for url, named in mentions.items():
                one = db.execute("INSERT INTO candidates (kind, locator) VALUES ('url', ?)", (url,)).lastrowid
                for source, item in named:
                    db.execute("INSERT INTO mentions (candidate, source, ref) VALUES (?, ?, 'r')", (one, source))
                    if item is not None:
                        db.execute("INSERT INTO given VALUES (?, ?, 'r', ?, 'test', 'g', NULL)", (one, source, item))
        add_hashed(ws, {B1: b"\0" * 8}, "part")
        with ws.catalog.tx() as db:
            db.execute("UPDATE candidates SET state = 'stored', sample = ? WHERE locator = 'stored'", (B1,))
        found = follow(ws, Feed("feed", "last", [{"id": A0, "versions": []}]), "1.0.0", {"hydrate:a"})
        left = [tuple(row) for row in ws.catalog.all(_NAMED)]
        assert (found["removed"], found["removals"]["new"]) == (0, 1)
        assert left == [("claimed", "hydrate:b"), ("own", "urllist:1"), ("stored", "urllist:1")]
        assert Blocked(ws.catalog).sha256(A0)


_NAMED = "SELECT locator, source FROM candidates JOIN mentions USING (candidate) ORDER BY 1, 2"


def test_what_ones_own_source_has_is_held_back_also_without_its_metadata(both: Both, tmp_path: Path) -> None:
    """Its bytes are not those that the feed names then, and no release names them here."""
    folder = tmp_path / "mine/neutral"
    folder.mkdir(parents=True)
    data = encode(texture(50, (96, 96)), "PNG")
    (folder / "x.png").write_bytes(data)
    config = tmp_path / "partner/curate.toml"
    source = f'[[sources]]\nuse = "local"\npath = "{folder.parent}"\nlabel_from = "folder"\n'
    config.write_text(config.read_text().replace("[[labelers]]", f"{source}[[labelers]]"))
    both.partner = curate.open(config.parent, quiet=True)
    both.partner.fetch()
    with both.partner.session.drive("rewritten") as ws, ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET detail = ?", (rewritten(("9" * 64, "1" * 40, "2" * 32)),))
    both.a.name("9" * 64)
    found = both.hydrate(both.a)
    assert (found["removed"], found["removals"]["yours"]) == (0, 1)
    assert both.held() == {hashlib.sha256(data).hexdigest()}


def test_the_feed_of_another_dataset_by_the_same_key_is_refused(both: Both, tmp_path: Path) -> None:
    for one in (both.a, both.b):
        one.sign(tmp_path / "one.key")
    both.b.name(A1)
    shutil.copytree(both.a.urls.parent, tmp_path / "mixed/1.0.0")
    for name in ("removals.jsonl", "removals.jsonl.minisig"):
        shutil.copy(both.b.feed.with_name(name), tmp_path / "mixed")
    for urls, feed in ((both.a.urls, both.b.feed), (tmp_path / "mixed/1.0.0/urls", None)):
        with pytest.raises(curate.GateError, match="is the feed of another dataset"):
            both.partner.hydrate(urls, removals=feed)
    assert not both.here()
    assert command(tmp_path / "partner", "hydrate", str(both.a.urls), "--removals", str(both.b.feed))[0] == 4
    both.hydrate(both.a)
    found = both.hydrate(both.b)
    assert (found["removed"], found["removals"]["new"]) == (1, 1), "what came from a release by the same key is theirs"
    assert A1 not in both.here()


def test_a_feed_that_lacks_what_the_release_says_was_taken_out_is_refused(both: Both) -> None:
    """Nothing is signed: a release that was made after a takedown names what went before."""
    before = both.a.feed.read_bytes()
    both.a.project.takedown(A1, "asked for")
    both.a.project.export("2.0.0")
    later = both.a.feed.read_bytes()
    urls = both.a.root / "work/exports/2.0.0/urls"
    for data in (before, both.b.feed.read_bytes()):
        both.a.feed.write_bytes(data)
        with pytest.raises(curate.GateError, match=r"lacks 1 items .* before release 2\.0\.0 was made"):
            both.partner.hydrate(urls)
    both.a.feed.write_bytes(later)
    assert both.partner.hydrate(urls)["recovered"] == 3


def test_a_release_that_was_signed_before_feeds_were_named_is_taken_as_before(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("curate.release.formats.comment", lambda version, feed: f"file:SHA256SUMS release:{version}")
        both.a.sign(tmp_path / "a.key")
    code, _, said = command(tmp_path / "partner", "hydrate", str(both.a.urls))
    assert (code, "without saying which feed of removals is its own" in said) == (0, True)
    assert "without saying" not in command(tmp_path / "partner", "hydrate", str(both.a.urls))[2]
    shutil.copy(both.b.feed, both.a.feed)
    signer = signing.signer(tmp_path / "a.key")
    assert signer is not None
    signer.sign(both.a.feed, "file:removals.jsonl")
    with pytest.raises(curate.GateError, match="another feed than the one that was read before"):
        both.hydrate(both.a)
