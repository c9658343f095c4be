"""What one run may cost: items, minutes, an hour's requests to an API across runs; and whose token goes where."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from curate.admin.session import Session
from curate.config import Config, FetchConfig, RunConfig, ScreeningConfig
from curate.engine.serial import Serial
from curate.errors import ItemError
from curate.fetch import budget as module
from curate.fetch.budget import Budget, Metered, SpentError
from curate.fetch.run import fetch
from curate.net.client import Client
from curate.net.limits import Limits
from curate.progress import Progress
from curate.records import Candidate, Locator, Page, Reason, Response
from curate.screening.gate import Gate
from curate.store.workspace import Workspace
from sources.urllist import Urllist
from tests.fetch.test_fetch import curate, workspace
from tests.support.pictures import encode, texture
from tests.support.web import Answer, Web, serving


@dataclass(frozen=True)
class Paged:
    """A source of `n` pages, one candidate and one request each."""

    origin: str
    n: int = 9

    def classes(self) -> frozenset[str | None]:
        return frozenset({"neutral"})

    async def pages(self, http: Any, cursor: str | None) -> Any:
        for page in range(int(cursor or 0), self.n):
            await http.get(f"http://{self.origin}/api?{page}")
            one = Candidate(Locator("url", f"http://{self.origin}/{page}.jpg"), str(page), "neutral")
            yield Page((one,), str(page + 1) if page + 1 < self.n else None)


def config(**run: Any) -> Config:
    return Config(run=RunConfig(**run), screening=ScreeningConfig(required=False))


def run(ws: Workspace, site: Web, source: object) -> dict[str, Any]:
    client = Client(Limits(contact="test@example.org", allow_private=(site.origin,)))
    return fetch(ws, [source], client, Gate(required=False), Serial(), Progress(quiet=True))  # type: ignore[list-item]


def pictures(n: int) -> dict[str, Answer]:
    found: dict[str, Answer] = {f"/{k}.jpg": (200, {}, encode(texture(k))) for k in range(n)}
    return found | {"/api": (200, {}, b"{}")}


def test_an_hours_requests_are_counted_across_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minute = 30_000_000
    monkeypatch.setattr(module, "_minute", lambda: minute)
    with serving(pictures(9)) as site:
        source = Paged(site.origin)
        for asked, stored in ((4, 4), (0, 4)):  # the second run is of the same hour
            ws = Workspace(tmp_path / "w", config(api_calls_per_hour=4))
            site.asked.clear()
            said = run(ws, site, source)
            assert (said["stored"], said["api_calls"], site.asked["/api"]) == (stored, asked, asked)
            (why,) = said["unlisted"].values()
            assert "more from 09:00 UTC" in why
            ws.close()
        minute += 59
        ws = Workspace(tmp_path / "w", config(api_calls_per_hour=4))
        assert run(ws, site, source)["api_calls"] == 0
        minute += 1
        assert run(ws, site, source)["stored"] == 8
        assert list(run(ws, site, source)["unlisted"]) == list(said["unlisted"])
        ws.close()
        ws = Workspace(tmp_path / "w", config())
        done = run(ws, site, source)
        assert (done["stored"], done["unlisted"], done["api_calls"]) == (9, {}, 1), "each page was asked for once"
        ws.close()


class Failing:
    """An Http that fails after three attempts."""

    async def get(self, url: str, *, params: Mapping[str, str] | None = None) -> Response:
        error = ItemError(Reason.HTTP_5XX)
        error.attempts = 3
        raise error


async def test_requests_that_failed_count_too(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "w", Config())
    metered = Metered(Failing(), ws.catalog, Budget(RunConfig(api_calls_per_hour=4)))
    for _ in range(2):
        with pytest.raises(ItemError, match="http_5xx"):
            await metered.get("http://a.example/api")
    with pytest.raises(SpentError):
        await metered.get("http://a.example/api")
    with pytest.raises(ItemError, match="http_5xx"):
        await metered.get("http://b.example/api")
    ws.close()


def test_items_of_one_run(tmp_path: Path) -> None:
    with serving(pictures(9)) as site:
        ws = Workspace(tmp_path / "w", config(max_items=4))
        for stored in (4, 8, 9):
            assert run(ws, site, Paged(site.origin))["stored"] == stored
        ws.close()


def test_a_run_that_is_out_of_time_ends_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is asked for; what is under way may end."""
    with serving(pictures(80)) as site:
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 * (site.asked.total() > 40))
        monkeypatch.setattr(module, "time", clock)  # an hour is over when half is asked
        (tmp_path / "urls.txt").write_text("".join(f"{site.url(f'/{n}.jpg')}\n" for n in range(80)))
        source = Urllist(tmp_path / "urls.txt", label="neutral")
        ws = Workspace(tmp_path / "w", config(max_minutes=30))
        said = run(ws, site, source)
        assert 40 < site.asked.total() <= 41 + 2 * FetchConfig().per_host
        assert said["stored"] == site.asked.total() - site.asked["/robots.txt"]
        assert said["pending"] == 80 - said["stored"]
        ws.config = config()
        assert run(ws, site, source)["stored"] == 80
        ws.close()
    ws = Workspace(tmp_path / "v", config(max_minutes=1e-9))
    with serving(pictures(3)) as site:
        assert "max_minutes" in next(iter(run(ws, site, Paged(site.origin))["unlisted"].values()))
        assert not site.asked
    ws.close()


def test_what_is_under_way_is_let_go_when_the_time_is_long_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that keeps a run waiting does not keep it from ending; its items are pending."""
    monkeypatch.setattr("curate.fetch.run.GRACE", 0.2)
    with serving(pictures(3), delay=60) as site:
        (tmp_path / "urls.txt").write_text(site.url("/0.jpg") + "\n")
        ws = Workspace(tmp_path / "w", config(max_minutes=0.5 / 60))
        said = run(ws, site, Urllist(tmp_path / "urls.txt", label="neutral"))
        assert (said["pending"], said["stored"]) == (1, 0)
        ws.close()


def test_a_token_is_named_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(pictures(1)) as site:
        root = workspace(tmp_path, site, {"neutral": ["/0.jpg"]})
        text = (root / "curate.toml").read_text()
        (root / "curate.toml").write_text(text + f'[fetch.tokens]\n"{site.origin}" = "eyJ0eXAiOiJKV1Qi.x"\n')
        error = curate(root, "fetch", ok=(2,))["error"]
        assert "name of an environment variable" in error
        assert "eyJ0" not in error
        (root / "curate.toml").write_text(text + f'[fetch.tokens]\n"{site.origin}" = "WIKI_TOKEN"\n')
        monkeypatch.delenv("WIKI_TOKEN", raising=False)
        assert "has no WIKI_TOKEN" in curate(root, "fetch", ok=(2,))["error"]
        assert not site.asked
        monkeypatch.setenv("WIKI_TOKEN", "s3cret-t0ken")
        session = Session(root, quiet=True)
        assert session.client(session.config)._limits.tokens == {site.origin: "s3cret-t0ken"}
        said = curate(root, "fetch")
        assert said["stored"] == 1
    assert "s3cret-t0ken" not in json.dumps(said)
    for path in root.rglob("*"):
        assert path.is_dir() or b"s3cret-t0ken" not in path.read_bytes()


def test_limits_that_hold_tokens_do_not_show_them() -> None:
    assert "s3cret" not in repr(replace(Limits("a@b.org"), tokens={"a.example": "s3cret"}))
    assert "tokens" in repr(FetchConfig(tokens={"a.example": "NAME"}))
