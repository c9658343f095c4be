"""Whatever ends a process, or fills a disk, what was answered is there and nothing is there by halves."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from curate.errors import DiskFullError
from curate.review.journal import Journal
from curate.store.workspace import Workspace
from tests.support.queues import IDS, Clock, queue, workspace

# One reviewer at work, in a process of its own: says each request before it is made, and each answer.
WORKER = """
import json, random, sys
from pathlib import Path
from curate.config import Config
from curate.review.journal import Journal
from curate.store.workspace import Workspace

root, reviewer, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ws = Workspace(root, Config())
journal, rng = Journal(ws.catalog, ws.config, "uncertain", reviewer), random.Random(seed)

def say(**what):
    print(json.dumps(what), flush=True)

for n in range(10**6):
    items = journal.items()
    if not items:
        break
    item, label, nonce = items[0], rng.choice(["porn", "neutral", "unsure"]), f"{seed}-{n}"
    say(ask=nonce, sample=item.sample, label=label)
    say(done=nonce, decision=journal.decide(item.sample, label, 1.0, nonce=nonce))
    if rng.random() < 0.2:
        say(ask=f"{nonce}-undo", undo=True)
        journal.undo(f"{nonce}-undo")
        say(done=f"{nonce}-undo")
say(end=True)
"""


def start(root: Path, reviewer: str, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(root), reviewer, str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pipesize=4096)  # it is soon waited for


def said(output: str) -> list[dict[str, object]]:
    """What a worker said; the kill may have cut its last line."""
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


def recorded(ws: Workspace) -> Counter[str]:
    return Counter(row[0] for row in ws.catalog.all("SELECT nonce FROM decisions WHERE nonce IS NOT NULL"))


def test_a_kill_loses_nothing_that_was_answered_and_repeats_nothing(tmp_path: Path) -> None:
    killed(tmp_path, range(5))


@pytest.mark.soak
def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    for first in range(100, 200, 10):
        killed(tmp_path / str(first), range(first, first + 10))


def killed(tmp_path: Path, seeds: range) -> None:
    """Kill a worker once for each seed, somewhere after a random line of it, and start the next; in one workspace."""
    ws = workspace(tmp_path / "ws", 200)
    queue(ws, "uncertain", IDS)
    answered, asked, kills = set[str](), set[str](), 0
    for seed in seeds:
        worker = start(ws.root, "ada", seed)
        assert worker.stdout is not None
        rng = random.Random(seed)
        first = "".join(worker.stdout.readline() for _ in range(rng.randrange(2, 40)))
        time.sleep(rng.uniform(0.0, 0.01))
        worker.kill()
        lines = said(first + worker.communicate()[0])
        assert worker.returncode == -signal.SIGKILL or any("end" in one for one in lines)
        kills += worker.returncode == -signal.SIGKILL
        answered |= {str(one["done"]) for one in lines if "done" in one}
        asked |= {str(one["ask"]) for one in lines if "ask" in one}
        found = recorded(ws)
        assert answered <= found.keys() <= asked
        assert max(found.values(), default=0) <= 1
        last = next((one for one in reversed(lines) if "sample" in one), None)
        if last is not None and f"{last['ask']}-undo" not in asked:  # whoever had no answer asks again
            journal = Journal(ws.catalog, ws.config, "uncertain", "ada")
            journal.decide(str(last["sample"]), str(last["label"]), 1.0, nonce=str(last["ask"]))
            answered.add(str(last["ask"]))
    assert recorded(ws) == Counter(answered | (recorded(ws).keys() & asked))
    assert ws.catalog.broken_links() == []
    assert ws.catalog.scalar("PRAGMA integrity_check") == "ok"
    assert kills > 1, "no kill came: the test says nothing"


def test_two_reviewers_in_two_processes_overwrite_nothing(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws", 60)
    queue(ws, "uncertain", IDS[:60], raters=2)
    workers = {who: start(ws.root, who, seed) for seed, who in enumerate(("ada", "bob"))}
    output = {who: said(worker.communicate(timeout=250)[0]) for who, worker in workers.items()}
    for who, lines in output.items():
        assert lines[-1] == {"end": True}
        done = {str(one["done"]) for one in lines if "done" in one}
        rows = ws.catalog.all("SELECT nonce FROM decisions WHERE reviewer = ?", (who,))
        assert {row[0] for row in rows} == done
        assert len(rows) == len(done)
    found = ws.catalog.all("SELECT sample, count(*), count(DISTINCT reviewer) FROM in_force GROUP BY sample")
    assert [(row[1], row[2]) for row in found] == [(2, 2)] * 60
    assert ws.catalog.broken_links() == []


def test_a_full_disk_is_one_line_and_records_nothing_by_halves(tmp_path: Path) -> None:
    ws = workspace(tmp_path / "ws", 200)
    queue(ws, "uncertain", IDS)
    journal = Journal(ws.catalog, ws.config, "uncertain", "ada", Clock())
    done = [journal.decide(IDS[n], "porn", nonce=str(n)) for n in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = max(os.path.getsize(f"{ws.catalog.path}{end}") for end in ("", "-wal"))  # noqa: PTH202
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 4096 * 3, hard))
    try:
        for n in range(3, 200):
            try:
                done.append(journal.decide(IDS[n], "porn", nonce=str(n)))
            except DiskFullError:
                break
        else:
            pytest.fail("the disk was never full: the test says nothing")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [row[0] for row in ws.catalog.all("SELECT decision FROM decisions ORDER BY decision")] == done
    assert ws.catalog.scalar("SELECT count(*) FROM log WHERE action = 'decision'") == len(done)
    done.append(journal.decide(IDS[n], "porn", nonce=str(n)))
    assert ws.catalog.scalar("SELECT count(*) FROM decisions WHERE session = ?", (journal.session,)) == len(done)
    assert ws.catalog.broken_links() == []
