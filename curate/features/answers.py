"""What servers answered (`contracts.SupportsAsk`), kept by what was asked: the sample, and every byte that was sent.

So nothing is asked twice because something else changed: votes, another question, how frames make one value, a run that
was interrupted, a table that is made again. A question, a prompt, a model's name or a picture of another size is sent
as other bytes, and asked anew.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from curate.contracts import SupportsAsk
from curate.ending import uninterrupted
from curate.errors import CurateError, ItemError
from curate.fingerprint import fingerprint
from curate.plugins import kind_of
from curate.records import Reason
from curate.store.tables import to_table

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

NAME = "answers"
Send = Callable[[str, bytes], Awaitable[bytes]]  # a path below the server, JSON; its answer


class Answers:
    """The table of one server's answers to one labeler, a row each. A part is written once and never replaced."""

    def __init__(self, ws: "Workspace", labeler: SupportsAsk) -> None:
        self._table = ws.table(NAME, fingerprint(kind_of(labeler), labeler.version, labeler.server.rstrip("/")))
        self._parts = defaultdict[str, list[str]](list)  # by shard
        for part in self._table.parts():
            self._parts[part.partition("-")[0]].append(part)
        self.recall({})

    def recall(self, shards: Mapping[str, int]) -> None:
        """Turn to these samples, each with its shard; what is not whole any more is removed, and asked for again."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._shards = shards
        self._known = defaultdict[str, dict[bytes, bytes]](dict)
        self._new = defaultdict[str, dict[bytes, bytes]](dict)
        wanted = pa.array(list(shards), pa.string())
        for part in [one for shard in sorted({*shards.values()}) for one in self._parts.get(f"{shard:06d}", ())]:
            if (rows := self._table.part(part)) is None:
                self._table.remove(part)
                continue
            for row in rows.filter(pc.is_in(rows.column("id"), value_set=wanted)).to_pylist():
                self._known[row["id"]][row["asked"]] = row["said"]

    def about(self, sample: str, send: Send, anew: bool = False) -> "Dialogue":
        """What is asked about a sample from its beginning: of what is known, unless all of it is asked `anew`."""
        return Dialogue({} if anew else self._known[sample], self._new[sample], send)

    def keep(self) -> None:
        """Write what is new, a part a shard; a signal meanwhile is heard at the end."""
        shards = defaultdict[int, list[tuple[str, bytes, bytes]]](list)
        for sample, new in self._new.items():
            for asked, said in new.items():
                shards[self._shards[sample]].append((sample, asked, said))
        with uninterrupted():
            for shard, rows in shards.items():
                ids, keys = [one for one, _, _ in rows], [one for _, one, _ in rows]
                table = to_table({"id": ids, "asked": keys, "said": [one for _, _, one in rows]})
                self._table.write(f"{shard:06d}-{fingerprint([one.hex() for one in keys])}", table)
            self._new.clear()


@dataclass
class Dialogue:
    """What a labeler asks about one sample, in turn. The same question asked again is another one: the second, ..."""

    known: Mapping[bytes, bytes]
    new: dict[bytes, bytes]
    send: Send
    recalled: int = 0  # answers that were known
    failed: bool = False  # the server did not answer, or with no JSON
    _often: Counter[bytes] = field(default_factory=Counter)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON of an answer; `contracts.Post`, as a labeler is given it."""
        sent = as_bytes(body)
        asked = hashlib.sha256(path.encode() + b"\0" + sent)
        first = asked.digest()
        if before := self._often[first]:
            asked.update(b"\0%d" % before)
        self._often[first] += 1
        if (said := self.known.get(asked.digest())) is not None:
            self.recalled += 1
            return as_json(said)
        try:
            said = await self.send(path, sent)
            answer = as_json(said)
        except CurateError:
            self.failed = True
            raise
        self.new[asked.digest()] = said
        return answer


def as_bytes(body: Mapping[str, Any]) -> bytes:
    """JSON as it is sent."""
    return json.dumps(body).encode()


def as_json(body: bytes) -> Any:
    """The JSON of an answer; raises ItemError(malformed_answer) for what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ItemError(Reason.MALFORMED_ANSWER, "an answer that is no JSON") from None
