# ruff: noqa: E501
"""Requests of a page of the review session, to be spoilt, and how they are sent as raw bytes."""

import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from curate.review.app.guard import cookie


@dataclass(frozen=True)
class Target:
    """A server under attack: its port, a token (or what stands for one), a picture it shows, a file it must not show."""

    port: int
    token: str
    media: str
    folder: str
    blob: str
    secret: str
    link: str

    @property
    def host(self) -> str:
        """What its Host header says."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Attack:
    """A request. `plain`: it succeeds against FiftyOne alone."""

    name: str
    what: str
    request: Callable[[Target], bytes]
    plain: bool = False


LIST = {"operator_uri": "@voxel51/operators/list_files", "dataset_name": "queue", "params": {"path": "/etc"}}
SELECT = {"query": "query a { dataset(name: \"queue\") { name } }"}  # fmt: skip
TAG = {
    "dataset": "queue", "view": [], "filters": {}, "changes": {"hacked": True}, "target_labels": False,
    "sample_ids": None, "slice": None, "group_id": None, "modal": False,
}  # fmt: skip
SAMPLES = (
    "query a($v: BSONArray!) { samples(dataset: \"queue\", view: $v, first: 1, filter: {}) "
    "{ __typename } }"
)  # fmt: skip
EVENTS = {"initializer": {"dataset": "queue"}, "subscription": "x", "events": ["state_update"]}


def stage(name: str, **kwargs: object) -> dict[str, object]:
    """A view stage, as the app sends it."""
    return {"_cls": f"fiftyone.core.stages.{name}", "kwargs": [[key, value] for key, value in kwargs.items()]}


def mongo(pipeline: list[object]) -> dict[str, object]:
    """A query of samples through a pipeline of the asker's own."""
    return {"query": SAMPLES, "variables": {"v": [stage("Mongo", pipeline=pipeline)]}}


@dataclass
class Request:
    """An honest request of a page of the session's own, to be spoilt."""

    method: str = "GET"
    path: str = "/datasets/queue"
    body: object = None
    headers: dict[str, str | None] = field(default_factory=dict)
    token: bool = True

    def bytes(self, target: Target) -> bytes:
        """As it goes over the wire; a header that is None is left out."""
        data = b"" if self.body is None else json.dumps(self.body).encode()
        headers: dict[str, str | None] = {"Host": target.host}
        if self.token:
            headers["Cookie"] = f"{cookie(target.token)}={target.token}"
        if self.method not in ("GET", "HEAD"):
            headers |= {"Origin": f"http://{target.host}", "Content-Type": "application/json"}
            headers["Content-Length"] = str(len(data))
        headers |= {key: value and value.format(t=target) for key, value in self.headers.items()}
        lines = [f"{self.method} {self.path.format(t=target)} HTTP/1.1"]
        lines += [f"{key}: {value}" for key, value in headers.items() if value is not None]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + data


def post(path: str, body: object, token: bool = True, **headers: str | None) -> Request:
    """A POST."""
    return Request("POST", path, body, {key.replace("_", "-"): value for key, value in headers.items()}, token)


def get(path: str, token: bool = True, **headers: str | None) -> Request:
    """A GET."""
    return Request("GET", path, None, {key.replace("_", "-"): value for key, value in headers.items()}, token)


SOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}  # fmt: skip


AUTH = "Host: HOST\nCookie: token=TOKEN\nOrigin: http://HOST\nContent-Type: application/json\n"
QUERY = json.dumps(SELECT)


def send(port: int, data: bytes) -> tuple[int, bytes]:
    """The status of the answer (0: the connection was closed without one), and the first bytes of it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        sock.settimeout(10)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while len(answer) < 4096 and (part := sock.recv(4096)):
                answer += part
                if b"text/event-stream" in answer:
                    break
    parts = answer.split(b" ", 2)
    return (int(parts[1]) if len(parts) > 1 and parts[0].startswith(b"HTTP/") else 0), answer
