"""A vision-language model that is none, behind an OpenAI-compatible server on loopback that misbehaves on demand."""

import asyncio
import base64
import io
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from PIL import Image

from labelers.policy import Policy
from tests.support.net_server import Behaviour, Request, Server, answer

PATH = "/v1/chat/completions"
TEXT = "Pictures that are bright are explicit."
QUESTIONS = {"bright": "Is it bright?", "dark": "Is it dark?"}


class Model:
    """The server, in a thread with a loop of its own; `does` may be changed while it runs."""

    def __init__(self, does: Behaviour | None = None, more: Mapping[str, Behaviour] | None = None) -> None:
        self.does = does or honest()
        self._more, self._loop = more or {}, asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            await self.does(request, writer)

        self._thread.start()
        self.server = self._run(Server({PATH: behave, **self._more}).__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.server.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    @property
    def asked(self) -> list[Request]:
        """All that came."""
        found: list[Request] = self.server.requests
        return found

    @property
    def pictures(self) -> list[Request]:
        """What was asked about other pictures than the grey one."""
        return [one for one in self.asked if not is_grey(shown(one))]

    def policy(self, **options: Any) -> Policy:
        """The labeler that asks it."""
        told: dict[str, Any] = {
            "model": "fake",
            "questions": QUESTIONS,
            "policy": TEXT,
            "server": self.server.url("/v1"),
        }
        return Policy(**told | {"timeout": 120.0} | options)


def body(request: Request) -> dict[str, Any]:
    """The JSON of a request."""
    found: dict[str, Any] = json.loads(request.body)
    return found


def sent(request: Request) -> bytes:
    """The file that came with a request."""
    url = body(request)["messages"][0]["content"][1]["image_url"]["url"]
    return base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True)


def shown(request: Request) -> Image.Image:
    """The picture that came with a request."""
    return Image.open(io.BytesIO(sent(request)))


def is_grey(image: Image.Image) -> bool:
    """Whether it is the one that is asked about first."""
    return image.size == (64, 64) and np.ptp(np.asarray(image)) == 0


def brightness(image: Image.Image) -> float:
    """What the model takes for its probability, 0 to 1."""
    return float(np.asarray(image.convert("L")).mean() / 255)


def completion(text: str, top: Sequence[tuple[str, float]] | None = None) -> dict[str, Any]:
    """A chat completion of one token, with these probabilities of what it might have been."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "length"}
    if top is not None:
        tokens = [{"token": token, "logprob": math.log(share), "bytes": None} for token, share in top]
        choice["logprobs"] = {"content": [{"token": text, "logprob": 0.0, "top_logprobs": tokens}]}
    return {"id": "x", "object": "chat.completion", "model": "fake", "choices": [choice]}


def says(made: Callable[[Request], Any]) -> Behaviour:
    """Answers with the JSON that is made of each request."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await answer(200, json.dumps(made(request)).encode(), {"Content-Type": "application/json"})(request, writer)

    return behave


def honest() -> Behaviour:
    """Says how bright a picture is, or how dark, in several spellings."""

    def made(request: Request) -> Any:
        yes = brightness(shown(request))
        yes = 1 - yes if "dark" in body(request)["messages"][0]["content"][2]["text"] else yes
        return completion("Yes", [("Yes", 0.6 * yes), (" yes", 0.3 * yes), ("No", 0.9 * (1 - yes)), ("Maybe", 0.1)])

    return says(made)


def but_for(which: Callable[[Request], bool], other: Behaviour) -> Behaviour:
    """Honest, but for some requests."""
    plain = honest()

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await (other if which(request) else plain)(request, writer)

    return behave
