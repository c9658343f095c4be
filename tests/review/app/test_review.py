"""`curate review` in a real browser: every key a row, nothing clear without a reveal, nothing lost, nothing twice."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright

from curate.config import load
from curate.screening.quarantine import quarantine
from curate.store.workspace import Workspace
from tests.support.reviewing import CHROMIUM, Served, decisions, declared, needs, queue

pytestmark = needs("mongod", "chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CLASSES = ("drawings", "hentai", "neutral", "porn", "sexy")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield one
        one.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    one = browser.new_context(viewport={"width": 1280, "height": 800})
    yield one
    one.close()


def until(page: Page, condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that must come true, while the browser goes on."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        page.wait_for_timeout(20)


def ready(page: Page) -> None:
    """The plugin is at work, and an item on screen."""
    page.wait_for_selector("#curate-review[data-ready]", state="attached", timeout=60_000)
    until(page, lambda: item(page))


def opened(context: BrowserContext, served: Served) -> Page:
    """A tab with the first item."""
    page = context.new_page()
    page.goto(served.url)
    ready(page)
    return page


def item(page: Page) -> str:
    """FiftyOne's id of the item on screen."""
    return page.url.partition("?id=")[2]


def press(page: Page, key: str) -> None:
    """One key, until the plugin is done with it."""
    host = page.locator("#curate-review")
    acts = int(host.get_attribute("data-acts") or 0)
    page.keyboard.press(key)
    until(page, lambda: int(host.get_attribute("data-acts") or 0) > acts and host.get_attribute("data-busy") == "false")


def rows(root: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the catalog holds."""
    ws = Workspace(root, load(root))
    found = [tuple(row) for row in ws.catalog.all(sql)]
    ws.close()
    return found


@pytest.mark.parametrize("n", [12, pytest.param(50, marks=pytest.mark.soak)])
def test_items_by_keyboard_alone(n: int, tmp_path: Path, context: BrowserContext) -> None:
    """The journal has exactly those, in order; no original was asked for."""
    ids = queue(tmp_path, n)
    with Served(tmp_path) as served:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = opened(context, served)
        keys = [str(random.Random(7).randrange(1, 6)) if at % 9 else "u" for at in range(n)]
        for key in keys:
            press(page, key)
        out = served.stop(signal.SIGINT)
        assert served.process.returncode == 130, served.errors
    labels = ["unsure" if key == "u" else CLASSES[int(key) - 1] for key in keys]
    assert decisions(tmp_path) == list(zip(ids, labels, strict=True))
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT nonce), min(seconds) >= 0 FROM decisions") == [(n, n, 1)]
    assert rows(tmp_path, "SELECT DISTINCT shown, media FROM decisions") == [("obscured", "obscured")]
    media = [url for url in asked if "/media" in url]
    assert len(media) > 10
    assert all(".b12g-5.jpg" in url for url in media)
    assert not [url for url in asked if "/curate/original" in url]
    outside = [url for url in asked if not url.startswith((served.origin, "data:", "blob:"))]
    assert all("fonts.googleapis.com" in url for url in outside), outside  # stopped by the policy before it leaves
    assert f"decided                    {n}" in out


def test_keys_beside_deciding(tmp_path: Path, context: BrowserContext) -> None:
    """Reveal while the key is held, undo, skip, not for me, escalate; reload, back, a second tab: nothing is lost."""
    ids = queue(tmp_path, 12)
    answers: list[Response] = []
    with Served(tmp_path) as served:
        context.on("response", lambda response: answers.append(response))
        page = opened(context, served)
        first = item(page)
        _reveal(page, answers)
        press(page, "1")
        second = item(page)
        assert second != first
        press(page, "z")
        assert item(page) == first
        press(page, "3")
        press(page, "s")
        press(page, "n")
        page.reload()
        ready(page)
        press(page, "2")
        page.go_back()
        ready(page)
        _two_tabs(context, served, page)
        before = item(page)
        page.keyboard.press("x")
        until(page, lambda: item(page) not in ("", before))
        ready(page)
        press(page, "5")
    given = decisions(tmp_path)
    assert given[0] == (ids[0], "neutral"), rows(tmp_path, "SELECT sample, label, undoes, nonce FROM decisions")
    assert [label for _, label in given] == ["neutral", "hentai", "porn", "sexy"]
    assert len({sample for sample, _ in given}) == 4
    kinds = [row[0] for row in rows(tmp_path, "SELECT kind FROM review_events ORDER BY event")]
    assert kinds == ["reveal", "skip", "decline", "escalate"]
    assert rows(tmp_path, "SELECT sample, shown FROM decisions ORDER BY decision LIMIT 1") == [(ids[0], "revealed")]
    ((held,),) = rows(tmp_path, "SELECT subject FROM quarantine WHERE kind = 'sample'")
    assert not list(tmp_path.glob(f"work/review/*/media/{held}*"))


def _reveal(page: Page, answers: list[Response]) -> None:
    veil = page.locator("#curate-review .veil")
    page.keyboard.down("r")
    page.wait_for_selector("#curate-review .veil img", timeout=60_000)
    until(page, lambda: any("/curate/original/" in one.url for one in answers))
    page.keyboard.up("r")
    until(page, lambda: not veil.is_visible())
    assert page.locator("#curate-review .veil img").count() == 0
    shown = next(one for one in answers if "/curate/original/" in one.url)
    assert shown.headers["cache-control"] == "no-store"
    again = page.evaluate("url => fetch(url).then((one) => one.status)", shown.url)
    assert again == 404, "an address of an original is good once"


STALE = """body => fetch("/curate/decide", {method: "POST", headers: {"content-type": "application/json"}, body})
    .then((one) => one.json())"""


def _two_tabs(context: BrowserContext, served: Served, page: Page) -> None:
    """Both show one item; the second one's key is not a second decision, and neither is led by what the other opens."""
    other = opened(context, served)
    page.goto(other.url)
    ready(page)
    assert item(page) == item(other)
    key = item(page)
    press(page, "4")
    assert item(page) != key
    grid = context.new_page()
    grid.goto(other.url.partition("?")[0])
    grid.wait_for_selector("#curate-review[data-ready]", state="attached", timeout=60_000)
    grid.wait_for_selector('[data-cy="looker"]', timeout=60_000)
    assert (item(grid), item(other)) == ("", key), "a tab that loads, and one that is open"
    grid.close()
    for _ in range(2):  # the other tab did not see that, and says something else, twice
        answer = other.evaluate(STALE, json.dumps({"id": key, "label": "drawings", "nonce": "n", "was": None}))
        assert answer["already"] == "porn"
    other.close()
    page.bring_to_front()


def test_a_blind_queue_is_blind_on_the_wire(tmp_path: Path, context: BrowserContext) -> None:
    """Neither the machine's answer nor anybody's is in any byte that the browser gets; the order is one's own."""
    ids = queue(tmp_path, 16, "audit", blind=True)
    secrets = declared(tmp_path, ids)
    got: list[Response] = []
    with Served(tmp_path, "audit") as served:
        context.on("response", lambda response: got.append(response))
        frames: list[str] = []
        page = context.new_page()
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
        page.goto(served.url)
        ready(page)
        order = []
        for _ in range(3):
            order.append(item(page))
            press(page, "1")
        page.keyboard.press("Escape")
        page.wait_for_selector('[data-cy="looker"]', timeout=60_000)
        bodies = [_body(one) for one in got if "/assets/" not in one.url and "/events" not in one.url]
        whole = "\n".join([*bodies, *frames])
        assert "paginateSamplesQuery" not in whole  # answers, not questions
        assert ids[0] in whole
        for secret in secrets:
            assert secret not in whole, secret
    mine = [sample for sample, _ in decisions(tmp_path, "audit")]
    assert len(mine) == 3
    assert mine != ids[:3]
    assert rows(tmp_path, "SELECT DISTINCT shown FROM decisions WHERE queue = 'audit'") == [("blind",)]


def _body(response: Response) -> str:
    if "image" in response.headers.get("content-type", "") or response.status in (204, 304):
        return response.url
    try:
        return response.url + "\n" + response.body().decode("utf-8", "replace")
    except Exception:  # noqa: BLE001 (whatever is wrong with a profile)
        return response.url


def test_what_is_held_meanwhile_is_gone_from_the_screen(tmp_path: Path, context: BrowserContext) -> None:
    """Somebody else quarantines what is on screen: the picture is refused at once, and the tab goes on."""
    ids = queue(tmp_path, 4)
    with Served(tmp_path) as served:
        page = opened(context, served)
        shown = item(page)
        ws = Workspace(tmp_path, load(tmp_path))
        quarantine(ws.catalog, ids[0], "a test", actor="bob")
        ws.close()
        (path,) = {str(one) for one in tmp_path.glob("work/review/*/media")}
        url = f"/media?filepath={path}/{ids[0]}.b12g-5.jpg"
        assert context.request.get(served.origin + url).status in (403, 404)
        until(page, lambda: item(page) not in ("", shown))
        out = served.stop()
    assert "gone                       1" in out


def test_edits_in_the_grid_are_pulled_and_validated(tmp_path: Path, context: BrowserContext) -> None:
    """Tags given to several at once are decisions; what is no class is dropped with a row."""
    ids = queue(tmp_path, 6)
    with Served(tmp_path) as served:
        page = opened(context, served)
        first = item(page)
        _tag(page, {"sexy": True}, [first])
        until(page, lambda: decisions(tmp_path) == [(ids[0], "sexy")])
        _tag(page, {"BANANA": True}, [first])
        until(page, lambda: rows(tmp_path, "SELECT count(*) FROM conflicts") == [(1,)])
        _tag(page, {"neutral": True}, None)
        until(
            page, lambda: {label for _, label in decisions(tmp_path)} == {"neutral"} and len(decisions(tmp_path)) == 6
        )
    ((kind, subject, reason),) = rows(tmp_path, "SELECT kind, subject, reason FROM conflicts")
    assert (kind, subject) == ("label_edit", ids[0])
    assert reason.partition(": ")[2] == "no such class: 'BANANA'"
    assert not reason.startswith("ann"), "the report prints it"


def _tag(page: Page, changes: dict[str, bool], ids: list[str] | None) -> None:
    """As FiftyOne's own tagging sends it."""
    body = {
        "dataset": "queue", "view": [], "filters": {}, "changes": changes, "target_labels": False, "sample_ids": ids,
        "slice": None, "group_id": None, "modal": False,
    }  # fmt: skip
    script = """body => fetch("/tag", {method: "POST", headers: {"content-type": "application/json"}, body})
        .then((one) => one.status)"""
    assert page.evaluate(script, json.dumps(body)) == 200


def test_killing_every_process_in_turn_loses_nothing(tmp_path: Path, browser: Browser) -> None:
    """kill -9 of the server, of mongod and of the browser's tab after random keys: what was answered is there, once."""
    _kills(tmp_path, browser, ["tab", "server", "mongod"], random.Random(1))


@pytest.mark.soak
def test_many_kills(tmp_path: Path, browser: Browser) -> None:
    rng = random.Random(os.urandom(8))
    _kills(tmp_path, browser, [rng.choice(["server", "mongod", "tab"]) for _ in range(15)], rng)


def _kills(root: Path, browser: Browser, victims: list[str], rng: random.Random) -> None:
    queue(root, 20 + 6 * len(victims))
    answered: list[tuple[str, str]] = []
    with ExitStack() as stack:
        served: Served | None = None
        for victim in victims:
            served = served or stack.enter_context(Served(root))
            process, context = served.process, browser.new_context()
            page = opened(context, served)
            for _ in range(rng.randrange(1, 4)):
                key = rng.randrange(1, 6)
                sample = page.evaluate("() => new URLSearchParams(location.search).get('id')")
                press(page, str(key))
                answered.append((sample, CLASSES[key - 1]))
            page.keyboard.press(str(rng.randrange(1, 6)))  # under way when the blow falls
            time.sleep(rng.random() * 0.1)
            if victim == "server":
                process.kill()
            elif victim == "mongod":
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                until(page, lambda process=process: process.poll() is not None, 20)  # type: ignore[misc]
                assert "mongod ended" in served.errors
            context.close()
            if victim != "tab":  # whose end the server outlives
                served.stop()
                served = None
    given = decisions(root)
    assert len(answered) <= len(given) <= len(answered) + len(victims)
    assert len({sample for sample, _ in given}) == len(given)
    assert rows(root, "SELECT count(*) FROM decisions WHERE undoes IS NOT NULL") == [(0,)]
    labels = iter(label for _, label in given)
    assert all(any(label == one for one in labels) for _, label in answered), "in order, each one there"
