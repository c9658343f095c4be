"""Listing: policy and sources' own words are written down; a source that cannot be asked keeps its place."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from curate.config import Config, FetchConfig
from curate.contracts import Http
from curate.engine.serial import Serial
from curate.errors import GateError, ItemError, UsageError
from curate.fetch.listing import fault_of
from curate.fetch.run import fetch
from curate.net.offline import Offline
from curate.progress import Progress
from curate.records import Candidate, Locator, Note, Page, Reason, Upstream
from curate.screening.gate import Gate
from curate.store.workspace import Workspace
from sources.local import Local
from tests.support.pictures import encode, texture


@dataclass(frozen=True)
class Listing:
    """A source of these candidates; `broken` stands for a system that answers nothing."""

    candidates: tuple[Candidate, ...] = ()
    broken: bool = False

    def classes(self) -> frozenset[str | None]:
        return frozenset({"neutral"})

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        if self.broken:
            raise ItemError(Reason.MAXLAG, "asked for 10 minutes")
        yield Page(self.candidates, None, (Note("skipped", "File:A.ogg", "audio/ogg"),))


@dataclass(frozen=True)
class Halved(Listing):
    """A source whose candidates are no option of it: options hold no half characters."""

    given: ClassVar[tuple[Candidate, ...]] = ()

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        yield Page(self.given, None, (Note("skipped", "File:A\ud800.ogg", "audio/ogg"),))


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w", Config())


def run(ws: Workspace, *sources: object) -> dict[str, object]:
    gate = Gate(required=False)
    return fetch(ws, sources, Offline("no network here"), gate, Serial(), Progress(quiet=True))  # type: ignore[arg-type]


def image(folder: Path, name: str, seed: int) -> Candidate:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(texture(seed)))
    return Candidate(Locator("path", str(path)), name, "neutral")


def test_a_source_that_cannot_be_asked_does_not_hold_up_the_others(ws: Workspace, tmp_path: Path) -> None:
    image(tmp_path / "images", "a.jpg", 1)
    said = run(ws, Listing(broken=True), Local(tmp_path / "images", label="neutral"))
    assert said["stored"] == 1
    assert list(said["unlisted"].values()) == ["maxlag: asked for 10 minutes"]  # type: ignore[attr-defined]
    assert ws.catalog.scalar("SELECT listed FROM sources WHERE plugin = 'test_listing'") == 0


def test_the_policy_speaks_before_anything_is_opened(ws: Workspace, tmp_path: Path) -> None:
    denied = replace(image(tmp_path, "a.jpg", 1), album="some-upskirt-gallery")
    marked = image(tmp_path, "playground-children/b.jpg", 2)
    plain = image(tmp_path, "bridges/c.jpg", 3)
    said = run(ws, Listing((denied, marked, plain)))
    assert said["reasons"] == {"denied_category": 1}
    assert said["stored"] == 2
    found = ws.catalog.all("SELECT locator FROM candidates WHERE may_depict_minors = 1")
    assert [row[0] for row in found] == [marked.locator.value]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("other", ["porn", None])
def test_what_one_mention_marks_no_other_makes_a_positive(
    ws: Workspace, tmp_path: Path, order: tuple[int, int], other: str | None
) -> None:
    """A safe mention suggests minors, another one has a class that is not safe, or none: it is not taken."""
    marked = image(tmp_path, "a.jpg", 1)
    both = (replace(marked, facts={"description": "children at play"}), replace(marked, ref="elsewhere", label=other))
    said = run(ws, Listing(tuple(both[n] for n in order)))
    assert said["reasons"] == {"denied_category": 1}
    assert ws.catalog.scalar("SELECT detail FROM candidates") == "may depict minors: by another mention of it"


def test_bytes_that_are_not_what_the_source_said_are_refused(ws: Workspace, tmp_path: Path) -> None:
    good, bad = image(tmp_path, "good.jpg", 1), image(tmp_path, "bad.jpg", 2)
    import hashlib

    right = hashlib.sha1(Path(good.locator.value).read_bytes()).hexdigest()
    said = run(ws, Listing(tuple(Candidate(c.locator, c.ref, c.label, sha1=right) for c in (good, bad))))
    assert said["reasons"] == {"hash_mismatch": 1}
    assert said["stored"] == 1
    checks = ws.catalog.all("SELECT hash_check, gate FROM candidates ORDER BY candidate")
    assert [tuple(row) for row in checks] == [("ok", "off"), ("mismatch", "off")]


def test_half_a_character_in_what_a_source_says_is_replaced(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replace(
        image(tmp_path, "a.jpg", 1), ref="a\ud800", license="b\udfff", attribution="c\ud83d", album="d\ud800",
        upstream=Upstream("commons", "1", "File:e\ud800.jpg"),
        facts={"description": "f\ud800", "categories": ("g\udc00", "h"), "i\ud800": "\U0001f600"},
    )  # fmt: skip
    monkeypatch.setattr(Halved, "given", (one,))
    assert run(ws, Halved())["stored"] == 1
    row = ws.catalog.all("SELECT ref, license, attribution, album, upstream, facts FROM mentions")[0]
    assert list(row)[:4] == ["a\ufffd", "b\ufffd", "c\ufffd", "d\ufffd"]
    assert "File:e\ufffd.jpg" in row["upstream"]
    assert json.loads(row["facts"]) == {
        "description": "f\ufffd", "categories": ["g\ufffd", "h"], "i\ufffd": "\U0001f600"
    }  # fmt: skip


def test_half_a_character_in_a_locator_is_refused(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Halved, "given", (Candidate(Locator("path", "/x/\udcff.jpg"), "a", "neutral"),))
    with pytest.raises(UsageError, match="its locator holds half a character"):
        run(ws, Halved())


def test_a_licence_may_be_asked_for(ws: Workspace, tmp_path: Path) -> None:
    """The best mention counts; another configuration judges anew; nothing without it is opened."""
    free, bare, other, twice = (image(tmp_path, f"{name}.jpg", n) for n, name in enumerate("abcd"))
    said = (
        replace(free, license="CC BY-SA 4.0"),
        bare,
        replace(other, license="GFDL"),
        twice,
        replace(twice, ref="again", license="cc0"),
    )
    source = Listing(said)
    for fetching, reasons, stored in (
        (FetchConfig(licenses=("CC*",)), {"license_denied": 1, "license_missing": 1}, 2),
        (FetchConfig(require_license=True), {"license_missing": 1}, 3),
        (FetchConfig(), {}, 4),
    ):
        ws.config = Config(fetch=fetching)
        found = run(ws, source)
        assert (found["reasons"], found["stored"]) == (reasons, stored)


def test_notes_are_rows(ws: Workspace) -> None:
    run(ws, Listing())
    assert [tuple(row)[1:] for row in ws.catalog.all("SELECT * FROM notes")] == [("skipped", "File:A.ogg", "audio/ogg")]


def test_a_refused_source_is_refused_by_name(ws: Workspace, tmp_path: Path) -> None:
    image(tmp_path / "nudenet_dataset", "a.jpg", 1)
    with pytest.raises(GateError, match="NudeNet"):
        run(ws, Local(tmp_path / "nudenet_dataset", label="neutral"))
    assert ws.catalog.scalar("SELECT count(*) FROM candidates") == 0


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        ("https://example.org/1.jpg", "yields Candidate"),
        (Candidate(Locator("url", 5), "a"), "its locator"),  # type: ignore[arg-type]
        (Candidate(Locator("file", "x"), "a"), "its locator"),  # type: ignore[arg-type]
        (Candidate(Locator("url", "x"), 3), "its ref"),  # type: ignore[arg-type]
        (Candidate(Locator("url", "x"), "a", ["neutral"]), "its label"),  # type: ignore[arg-type]
        (Candidate(Locator("url", "x"), "a", license=7), "its license"),  # type: ignore[arg-type]
        (Candidate(Locator("url", "x"), "a", facts={"words": ("a", 3)}), "its facts"),  # type: ignore[dict-item]
    ],
)
def test_what_a_source_must_not_yield_is_named(candidate: object, says: str) -> None:
    assert says in (fault_of(candidate) or "")


def test_what_a_source_may_yield_has_no_fault() -> None:
    full = Candidate(Locator("path", "a"), "r", "neutral", {"drawn": "yes"}, "album", facts={"words": ("a", "b")})
    assert fault_of(full) is None
