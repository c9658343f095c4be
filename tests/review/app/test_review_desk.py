"""What a session shows, to whom, and how often: the desk, its routes and its pictures, without FiftyOne."""

import asyncio
import io
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.config import load
from curate.errors import BusyError, CurateError, DiskFullError, GoneError, PauseError, UsageError
from curate.review.app import dataset, mongod, pull, server, thumbnails
from curate.review.app.controller import Controller, ItemView, choices
from curate.review.app.routes import Routes
from curate.review.app.session import _alone, _folder_name
from curate.review.app.thumbnails import ThumbnailStyle
from curate.review.assignment import Item
from curate.review.journal import Journal
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from tests.support.pictures import encode, photograph, texture
from tests.support.reviewing import declared, queue

CONFIG = "[review]\nmax_reveals = 2\n"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    queue(tmp_path, 6, config=CONFIG)
    one = Workspace(tmp_path, load(tmp_path))
    yield one
    one.close()


def desk(ws: Workspace, name: str = "uncertain", reviewer: str = "ann") -> tuple[Controller, list[str], list[str]]:
    """A desk with pictures; what it took away, and the samples in order."""
    journal = Journal(ws.catalog, ws.config, name, reviewer)
    items = journal.items()
    media = ws.work / "review" / reviewer
    thumbnails.make(ws, [item.sample for item in items], media, ThumbnailStyle())
    gone: list[str] = []
    cards = [ItemView(f"k{n}", item) for n, item in enumerate(items)]
    return Controller(journal, cards, media, ThumbnailStyle(), gone.extend), gone, [item.sample for item in items]


def test_a_sheet_leaves_the_screen_with_any_of_its_members(ws: Workspace) -> None:
    _, _, ids = desk(ws)
    with ws.catalog.tx() as db:
        rows = [("uncertain", ids[0], one, place) for place, one in enumerate((ids[0], ids[4], ids[5]))]
        db.executemany("INSERT INTO queue_members VALUES (?, ?, ?, ?)", rows)
        db.execute("DELETE FROM queue_items WHERE sample IN (?, ?)", ids[4:6])
    journal = Journal(ws.catalog, ws.config, "uncertain", "ann")
    cards = [ItemView(f"k{n}", item) for n, item in enumerate(journal.items())]
    gone: list[str] = []
    media, shown = ws.work / "review" / "ann", {ids[0]: [ids[0], *ids[4:6]]}
    one = Controller(journal, cards, media, ThumbnailStyle(), gone.extend, shown=shown)
    assert one.state("k0")["item"]["sheet"] == 3
    assert one.state("k1")["item"]["sheet"] == 0
    quarantine(ws.catalog, ids[5], "a reason", actor="eve")
    one.refresh(force=True)
    assert gone == ["k0"]
    assert not one.shows(thumbnails.name_of(ids[0], ThumbnailStyle()))


def test_a_stale_tab_overrules_nothing(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    one.decide("k0", "porn", 1.0, "a", None)
    assert one.decide("k0", "neutral", 1.0, "b", None)["already"] == "porn"
    assert one.state("k0")["item"]["label"] == "porn"
    assert "already" not in one.decide("k0", "neutral", 1.0, "c", "porn"), "one who saw it may change it"
    assert ws.catalog.all("SELECT label FROM in_force")[0][0] == "neutral"


def test_one_keypress_is_recorded_once(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    for _ in range(3):
        one.decide("k1", "sexy", 1.0, "same", None)
    assert ws.catalog.scalar("SELECT count(*) FROM decisions") == 1


def test_time_on_an_item_is_believed_within_reason(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    for key, seconds in (("k0", -5.0), ("k1", 1e9)):
        one.decide(key, "sexy", seconds, key, None)
    assert [row[0] for row in ws.catalog.all("SELECT seconds FROM decisions ORDER BY decision")] == [0.0, 600.0]


def test_an_original_is_served_once_after_its_reveal_is_on_record(ws: Workspace) -> None:
    one, _, samples = desk(ws)
    assert one.redeem("guess") is None
    ticket = one.reveal("k0", "n1")
    assert ws.catalog.scalar("SELECT count(*) FROM review_events WHERE kind = 'reveal'") == 1
    assert one.redeem(ticket) == samples[0]
    assert one.redeem(ticket) is None
    first, second = one.reveal("k1", "n2"), None
    one.obscure()
    assert one.redeem(first) is None, "let go before it was fetched"
    with pytest.raises(PauseError):
        second = one.reveal("k2", "n3")
    assert second is None
    assert one.paused()


def test_what_is_held_is_taken_off_every_desk(ws: Workspace) -> None:
    one, gone, samples = desk(ws)
    two, others, _ = desk(ws, reviewer="bob")
    ticket = two.reveal("k0", "n")
    mine = next(key for key in ("k0", "k1", "k2", "k3", "k4", "k5") if one._cards[key].item.sample == samples[0])
    held = two._cards["k0"].item.sample
    key = one._keys[held]
    one.escalate(key, "a test", "n1")
    assert gone == [key]
    other = Workspace(ws.root, ws.config)  # bob's server has a connection of its own
    quarantine(other.catalog, two._cards["k1"].item.sample, "a test", actor="eve")
    other.close()
    assert two.redeem(ticket) is None
    assert not two.shows(thumbnails.name_of(held, ThumbnailStyle()))
    assert others[0] == "k0"
    assert not list(one.media.glob(f"{held}*"))
    with pytest.raises(GoneError):
        one.decide(key, "porn", 1.0, "n2", None)
    assert mine in (key, one._keys.get(samples[0]))


def test_what_was_taken_down_meanwhile_vanishes_and_is_counted(ws: Workspace) -> None:
    one, gone, samples = desk(ws)
    other = Workspace(ws.root, ws.config)
    with other.catalog.tx() as db:
        db.execute("UPDATE candidates SET sample = NULL WHERE sample = ?", (samples[2],))
        db.execute("DELETE FROM samples WHERE id = ?", (samples[2],))
    other.close()
    state = one.state("k2")
    assert (state["item"], state["gone"], gone) == (None, 1, ["k2"])
    assert one.journal.summary()["gone"] == 1


def test_a_blob_that_is_missing_has_no_picture(ws: Workspace, tmp_path: Path) -> None:
    samples = [item.sample for item in Journal(ws.catalog, ws.config, "uncertain", "ann").items()]
    thumbnails.make(ws, samples, tmp_path / "media", ThumbnailStyle())
    ws.blobs.delete(samples[0])
    assert thumbnails.make(ws, samples, tmp_path / "media", ThumbnailStyle()) == samples[1:]
    assert len(list((tmp_path / "media").iterdir())) == len(samples) - 1


def test_skipped_comes_last_and_declined_goes(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    one.skip("k0", "n1")
    assert one.state("k0")["before"] == "k5"
    one.decline("k1", "n2")
    assert one.state(None)["left"] == 5
    assert one.first() == "k2"


def test_undo_brings_the_item_back(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    one.decide("k0", "porn", 1.0, "a", None)
    found = one.undo("b")
    assert (found["id"], found["left"], found["done"]) == ("k0", 6, 0)
    assert one.undo("c")["undone"] is False


class Web:
    """The session's own routes, asked in process: the status, the headers, the body."""

    def __init__(self, one: Controller) -> None:
        self._app = Routes(one, lambda sample: (b"x", "image/png"), "queue", lambda: None).app()

    def ask(self, path: str, body: bytes | None = None, kind: bytes = b"application/json") -> tuple[int, str, bytes]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "GET" if body is None else "POST", "path": path,
            "raw_path": path.encode(), "query_string": b"", "headers": [(b"content-type", kind)], "scheme": "http",
        }  # fmt: skip
        asyncio.run(self._app(scope, receive, send))
        head = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], head.get("cache-control", ""), b"".join(one.get("body", b"") for one in sent[1:])

    def post(self, path: str, body: object) -> tuple[int, Any]:
        status, _, answer = self.ask(path, json.dumps(body).encode())
        return status, json.loads(answer)


def test_errors_are_one_line_with_a_status(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _, _ = desk(ws)
    web = Web(one)
    good = {"id": "k0", "label": "porn", "nonce": "n"}
    assert web.post("/curate/decide", good | {"label": "BANANA"})[0] == 400
    assert web.post("/curate/decide", good | {"id": "none"})[0] == 410
    assert web.post("/curate/decide", good | {"nonce": None})[0] == 400
    assert web.post("/curate/decide", [1])[0] == 400
    assert web.ask("/curate/decide", b"{")[0] == 400
    assert web.ask("/curate/decide", json.dumps(good).encode(), b"text/plain")[0] == 415

    def full(*_: object) -> None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr(one.journal, "decide", full)
    assert web.post("/curate/decide", good) == (507, {"error": "the disk is full"})
    monkeypatch.undo()
    assert one.state("k0")["item"]["pending"], "a decision that was not recorded is still asked for"
    assert web.post("/curate/decide", good)[0] == 200


def test_an_original_route_tells_nothing_without_a_ticket(ws: Workspace) -> None:
    one, _, _ = desk(ws)
    web = Web(one)
    assert web.ask("/curate/original/x")[0] == 404
    url = web.post("/curate/reveal", {"id": "k0", "nonce": "n"})[1]["url"]
    assert web.ask(url) == (200, "no-store", b"x")
    assert web.ask(url)[0] == 404


# -- edits that FiftyOne takes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "label", "wrong"),
    [
        (("porn",), None, None),
        ((), "unsure", None),
        (("porn",), "porn", None),
        (("porn", "sexy"), None, "two classes"),
        (("porn",), "sexy", "two classes"),
        (("BANANA",), None, "no such class"),
        ((), "", "no such class"),
    ],
)
def test_edits_are_checked_against_the_taxonomy(
    ws: Workspace, tags: tuple[str, ...], label: str | None, wrong: str | None
) -> None:
    one, _, _ = desk(ws)
    found = pull.problem(pull.Edit("0" * 24, "s", tags, label), choices(one.journal))
    assert (found is None) == (wrong is None)
    assert wrong is None or wrong in str(found)


# -- pictures --------------------------------------------------------------------------------------------------------


def test_an_obscured_picture_has_no_detail_no_colour_and_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret caption"
    out = io.BytesIO()
    photograph().save(out, "JPEG", exif=exif, comment=b"another secret")
    data = thumbnails.render(out.getvalue(), ThumbnailStyle())
    assert b"secret" not in data
    image = Image.open(io.BytesIO(data))
    assert (image.mode, max(image.size), dict(image.getexif())) == ("L", 256, {})
    clear = photograph().convert("L").resize(image.size)
    assert fine(image) < 0.02 * fine(clear), "what is finer than 8 px of 256 is gone, not only smeared"
    assert b"secret" not in thumbnails.render(out.getvalue(), ThumbnailStyle(unobscured=True))


def fine(image: Image.Image) -> float:
    """The energy of what is finer than 32 cycles a side."""
    window = np.outer(*(np.hanning(n) for n in image.size))
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(np.asarray(image, dtype=float) * window)) ** 2)
    at = np.hypot(*np.meshgrid(*(np.arange(n) - n // 2 for n in image.size)))
    return float(spectrum[at > 32].sum())


def test_blur_and_colour_are_options() -> None:
    data = encode(photograph())
    plain = [
        Image.open(io.BytesIO(thumbnails.render(data, look)))
        for look in (ThumbnailStyle(), ThumbnailStyle(blur=40), ThumbnailStyle(greyscale=False))
    ]
    assert plain[2].mode == "RGB"
    rough = [np.abs(np.diff(np.asarray(one.convert("L"), dtype=float))).mean() for one in plain]
    assert rough[1] < rough[0]
    assert Image.open(io.BytesIO(thumbnails.render(data, ThumbnailStyle(unobscured=True)))).size == (512, 512)


def test_what_cannot_be_decoded_is_a_grey_field(ws: Workspace, tmp_path: Path) -> None:
    ws.blobs.put([("ab" * 32, b"no image")])
    assert thumbnails.one(ws, "ab" * 32, tmp_path / "x.jpg", ThumbnailStyle())
    assert Image.open(tmp_path / "x.jpg").getextrema() == (128, 128)


def test_nothing_is_read_of_a_blind_item(tmp_path: Path) -> None:
    ids = queue(tmp_path, 4)
    told = declared(tmp_path, ids)
    ws = Workspace(tmp_path, load(tmp_path))
    items = [Item(sample, n, "content", n % 2 == 0) for n, sample in enumerate(ids)]
    facts = dataset.known(ws, items, ws.config.taxonomy.first)
    ws.close()
    blind, seen = facts[ids[0]], facts[ids[1]]
    assert (blind.source, blind.weak_label, blind.probability, blind.votes) == ("urllist", None, None, ())
    assert (seen.weak_label, seen.probability) == ("porn", 0.123456)
    assert seen.votes == ("a_function_of_mine: sexy", "source: porn", "people: sexy x1")
    assert not any(word in repr(blind) for word in told)


# -- starting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "../../etc", "a/b\\c", "Zoë 🦊", "x" * 64, "-rf", "."])
def test_a_name_with_odd_characters_names_one_folder_inside(ws: Workspace, name: str) -> None:
    journal = Journal(ws.catalog, ws.config, "uncertain", name)
    folder = ws.work / "review" / _folder_name("uncertain", journal.reviewer)
    assert folder.resolve().parent == (ws.work / "review").resolve()
    assert _folder_name("uncertain", name) != _folder_name("uncertain", name + "2")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "x" * 65, "a\nb\x1b[31m"])
def test_a_name_that_is_none_is_refused(ws: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match="reviewer"):
        Journal(ws.catalog, ws.config, "uncertain", name)


def test_one_server_a_reviewer_and_queue(tmp_path: Path) -> None:
    with _alone(tmp_path, "audit", "ann"), pytest.raises(BusyError, match="audit: ann has it open already"), _alone(
        tmp_path, "audit", "ann"
    ):  # fmt: skip
        pass


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port}: .*in use; give another --port"), server.listening(
            server.Options(port=port)
        ):  # fmt: skip
            pass


def test_a_missing_mongod_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mongod, "find_spec", lambda _: None)
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    with pytest.raises(CurateError, match="curate doctor"), mongod.Mongod(tmp_path / "db"):
        pass


def test_a_mongod_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "mongod"
    broken.write_text('#!/bin/sh\necho \'{"s":"F","msg":"No space left on device"}\' > "$4"; exit 3\n')
    broken.chmod(0o700)
    monkeypatch.setattr(mongod, "find", lambda: broken)
    with pytest.raises(CurateError, match=r"mongod did not start .exit code 3.: "), mongod.Mongod(tmp_path / "db"):
        pass


def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    with mongod.Mongod(deep) as one:
        assert one._socket.exists()
        assert one._socket.parent.stat().st_mode & 0o077 == 0
        place = one._socket.parent
    assert not place.exists()


def test_pictures_of_a_texture_stay_apart() -> None:
    """So that the obscured ones are pictures at all."""
    one, two = (thumbnails.render(encode(texture(seed)), ThumbnailStyle()) for seed in (1, 2))
    assert one != two
    assert replace(ThumbnailStyle(), blur=3).mark != ThumbnailStyle().mark
