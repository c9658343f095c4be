"""How long `fetch` takes to find that nothing is new: a million listed candidates, and a folder of 100,000 files.

`python -m benchmarks.start OTHER` compares this tree with another checkout, in turns, each on a workspace that its own
code has listed. Nothing is asked of any host: every candidate has failed for good.
"""

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CONFIG = """
[fetch]
contact = "bench@example.org"
[screening]
required = false
[[sources]]
use = "urllist"
path = "raw_data"
[[sources]]
use = "local"
path = "images"
label_from = "folder"
"""
LIST = """
import asyncio, sys
from pathlib import Path
from curate.config import load
try:
    from curate.admin import configured
    from curate.fetch.listing import list_source
except ImportError:  # a checkout of before the folders
    from curate.commands import pick as configured
    from curate.listing import list_source
from curate.store.workspace import Workspace
root = Path(sys.argv[1])
ws = Workspace(root, load(root))
for source in configured.sources(ws.config):
    asyncio.run(list_source(ws.catalog, source, None, ws.config.taxonomy, lambda done=1, total=None: None))
ws.close()
"""


def prepare(root: Path, urls: int, files: int) -> None:
    """Lists of two classes at a thousand hosts, and two folders of files that are named like pictures."""
    (root / "curate.toml").write_text(CONFIG)
    for label, half in (("neutral", range(0, urls, 2)), ("drawings", range(1, urls, 2))):
        folder = root / "raw_data" / label
        folder.mkdir(parents=True)
        lines = "".join(f"https://host{n % 1000}.example.org/pictures/{n:08d}.jpg\n" for n in half)
        (folder / f"urls_{label}.txt").write_text(lines)
        (root / "images" / label).mkdir(parents=True)
    for n in range(files):
        (root / "images" / ("neutral", "drawings")[n % 2] / f"{n:07d}.jpg").touch()


def listed(tree: Path, root: Path) -> None:
    """Have the tree's code list everything, and call all of it dead."""
    subprocess.run([sys.executable, "-c", LIST, str(root)], check=True, cwd=tree, env=_environment(tree))
    with sqlite3.connect(root / "work" / "catalog.db") as db:
        db.execute("UPDATE candidates SET state = 'failed', reason = 'http_404'")
    db.close()
    (root / "work" / "catalog.db-seal").unlink(missing_ok=True)  # another program wrote the catalog on purpose
    fetched(tree, root)


def fetched(tree: Path, root: Path) -> tuple[float, float, int]:
    """Seconds of one `fetch`, by the clock and of the processor, and how many candidates it knows."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(tree / "cli.py"), "fetch", "-q", "--json", "-w", str(root)]
    run = subprocess.run(command, capture_output=True, text=True, env=_environment(tree))
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode not in (0, 3):  # 3: nothing of it is stored, which is so here
        raise SystemExit(run.stderr)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, spent, int(json.loads(run.stdout)["candidates"])


def _environment(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree), "FIFTYONE_DO_NOT_TRACK": "true"}


def main() -> None:
    """Print each round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="a checkout to compare with")
    parser.add_argument("--urls", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at", type=Path, default=None, help="where the workspaces are made")
    args = parser.parse_args()
    trees = {"other": args.other.resolve(), "here": HERE}
    with tempfile.TemporaryDirectory(dir=args.at) as folder:
        roots = {name: Path(folder, name) for name in trees}
        roots["other"].mkdir()
        prepare(roots["other"], args.urls, args.files)
        shutil.copytree(roots["other"], roots["here"])
        for name, tree in trees.items():
            listed(tree, roots[name])
        found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in trees}
        for number in range(args.rounds):
            for name, tree in trees.items():
                one = fetched(tree, roots[name])
                found[name].append(one)
                print(f"round {number + 1} {name:<6} {one[0]:6.2f} s, processor {one[1]:6.2f} s, {one[2]:,} candidates")
    clock, spent = (
        {name: statistics.median(one[at] for one in rounds) for name, rounds in found.items()} for at in (0, 1)
    )
    more = {name: one["here"] - one["other"] for name, one in (("the clock", clock), ("the processor", spent))}
    print("here takes", ", ".join(f"{seconds:+.2f} s by {name}" for name, seconds in more.items()))


if __name__ == "__main__":
    main()
