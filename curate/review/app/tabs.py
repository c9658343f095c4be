"""Every tab shows the item that its own address names.

FiftyOne's app keeps one state for all of its tabs: each follows what the others open, and one that is just loading
opens what another opened last, or, where that one closed its picture, none at all. A reviewer's key would then judge
what another tab led to.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


def on_its_own(body: bytes, send: Send) -> tuple[bytes, Send]:
    """What a tab asks `/events`, without the events of other tabs, and the way of its answer: the state that comes
    first has the item of the tab's own address. `body` is a JSON object."""
    asked = json.loads(body)
    first = asked.get("initializer")
    item = first.get("sample_id") if isinstance(first, dict) else None

    async def its_own(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": _with_item(message.get("body", b""), item)}
        await send(message)

    return json.dumps({**asked, "events": []}).encode(), its_own


def _with_item(event: bytes, item: Any) -> bytes:
    """A server-sent event; a state, with this item in place of the one that all tabs share."""
    lines = event.split(b"\r\n")
    if lines[0] != b"event: state_update" or not lines[1].startswith(b"data: "):
        return event
    data = json.loads(lines[1].removeprefix(b"data: "))
    data["state"]["sample_id"] = item
    return b"\r\n".join([lines[0], b"data: " + json.dumps(data).encode(), *lines[2:]])
