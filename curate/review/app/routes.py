"""The session's own routes, under /curate/: behind the guard, same origin, with the cookie; JSON in, JSON out."""

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from curate.errors import CurateError, DiskFullError, GoneError, PauseError, UsageError
from curate.review.app.controller import Controller

STATUS: tuple[tuple[type[CurateError], int], ...] = (
    (PauseError, 423), (GoneError, 410), (UsageError, 400), (DiskFullError, 507), (CurateError, 503),
)  # fmt: skip
Original = Callable[[str], tuple[bytes, str]]


class Routes:
    """What the plugin asks. `original` gives a sample's bytes and media type; `close` ends the session."""

    def __init__(self, desk: Controller, original: Original, dataset: str, close: Callable[[], None]) -> None:
        self._desk, self._original, self._dataset, self._close = desk, original, dataset, close

    def app(self) -> Starlette:
        """The ASGI application."""
        posts = ("decide", "undo", "skip", "decline", "escalate", "reveal", "obscure", "close")
        return Starlette(
            routes=[
                Route("/curate/start.js", self._script),
                Route("/curate/about", self._about),
                Route("/curate/state", self._state),
                Route("/curate/original/{ticket}", self._show),
                *(Route(f"/curate/{name}", self._act(getattr(self, name)), methods=["POST"]) for name in posts),
            ]
        )

    # -- acts: each takes the JSON body and gives the JSON answer, durable before it is given ------------------------

    def decide(self, asked: dict[str, Any]) -> Any:
        """A digit or `u`."""
        seconds = asked.get("seconds")
        spent = float(seconds) if isinstance(seconds, int | float) else None
        was = asked.get("was")
        return self._desk.decide(_text(asked, "id"), _text(asked, "label"), spent, _text(asked, "nonce"), was)

    def undo(self, asked: dict[str, Any]) -> Any:
        """`z`."""
        return self._desk.undo(_text(asked, "nonce"))

    def skip(self, asked: dict[str, Any]) -> Any:
        """`s`."""
        return self._desk.skip(_text(asked, "id"), _text(asked, "nonce"))

    def decline(self, asked: dict[str, Any]) -> Any:
        """`n`."""
        return self._desk.decline(_text(asked, "id"), _text(asked, "nonce"))

    def escalate(self, asked: dict[str, Any]) -> Any:
        """`x`."""
        return self._desk.escalate(_text(asked, "id"), _text(asked, "reason"), _text(asked, "nonce"))

    def reveal(self, asked: dict[str, Any]) -> Any:
        """`r`, pressed."""
        ticket = self._desk.reveal(_text(asked, "id"), _text(asked, "nonce"))
        return {"url": f"/curate/original/{ticket}"}

    def obscure(self, _: dict[str, Any]) -> Any:
        """`r`, let go."""
        self._desk.obscure()
        return {}

    def close(self, _: dict[str, Any]) -> Any:
        """The button."""
        self._close()
        return {"closed": True}

    # -- what is asked for ---------------------------------------------------------------------------------------

    async def _about(self, _: Request) -> Response:
        return JSONResponse(self._desk.about())

    async def _state(self, request: Request) -> Response:
        return await _answered(lambda: self._desk.state(request.query_params.get("id")))

    async def _script(self, _: Request) -> Response:
        first = await run_in_threadpool(self._desk.first)
        return Response(start_script(self._dataset, first), media_type="text/javascript")

    async def _show(self, request: Request) -> Response:
        """An original, once; not kept by the browser."""
        sample = await run_in_threadpool(self._desk.redeem, request.path_params["ticket"])
        if sample is None:
            return Response("not revealed\n", 404)
        data, kind = await run_in_threadpool(self._original, sample)
        return Response(data, media_type=kind, headers={"cache-control": "no-store"})

    def _act(self, act: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                return JSONResponse({"error": "application/json, please"}, 415)
            try:
                asked = json.loads(await request.body())
            except ValueError:
                return JSONResponse({"error": "not JSON"}, 400)
            if not isinstance(asked, dict):
                return JSONResponse({"error": "not a JSON object"}, 400)
            return await _answered(lambda: act(asked))

        return endpoint


async def _answered(work: Callable[[], Any]) -> Response:
    """The answer, or the one line of an error with its status."""
    try:
        return JSONResponse(await run_in_threadpool(work))
    except CurateError as error:
        status = next(number for kind, number in STATUS if isinstance(error, kind))
        return JSONResponse({"error": str(error)}, status)


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise UsageError(f"{name}: a text of 1 to 200 characters, please")
    return value


def start_script(dataset: str, first: str | None) -> str:
    """What the printed address runs: FiftyOne's advertisement counts as seen, then the first item."""
    where = f"/datasets/{dataset}" + (f"?id={first}" if first else "")
    return (
        f'localStorage.setItem("fiftyone-enterprise-tooltip-seen", "true");\nlocation.replace({json.dumps(where)});\n'
    )
