"""`curate label` over 1.3 million samples and 20 functions: seconds by the clock and of the CPU by stage, peak memory.

    python -m benchmarks.label [--samples 1300000] [--folder DIR] [--profile FILE]

The workspace is made once, and kept: that of `benchmarks.samples`, with the labelers that `curate init` writes. Their
scores lie in parts of 256 samples, as a run leaves them, so that nothing is decoded here; half of the samples have a
title, a description and categories, as on Commons, the others a URL. Eighteen functions are curate's own; two are a
user's, asked row by row: one reads columns, the other what is written. 2 % of the samples were judged by people.
"""

import argparse
import importlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import cache
from benchmarks.samples import stocked
from curate.config import Config
from curate.features.scores import PROBLEM
from curate.options import Plugin
from curate.plugins import fingerprint_of, make
from curate.store.shards import assign
from curate.store.tables import to_table
from curate.store.workspace import Workspace

LABELERS: dict[str, dict[str, Any]] = {
    "declared": {}, "open_nsfw": {}, "drawing": {}, "nsfwjs": {"embedding": False}, "words": {},
}  # fmt: skip
CONFIG = '[screening]\nrequired = false\n\n[label]\nfunctions = ["mine.py"]\n'
MINE = """
from snorkel.labeling import labeling_function

NEUTRAL, ABSTAIN = 2, -1


@labeling_function()
def wide_and_plain(x):
    return NEUTRAL if x.width > 2 * x.height and x.open_nsfw_nsfw < 0.1 else ABSTAIN


@labeling_function()
def landscapes(x):
    return NEUTRAL if "landscape" in x.title or "Landscapes" in x.categories else ABSTAIN
"""
TOPICAL = (
    "nude",
    "beach",
    "landscape",
    "bikini",
    "portrait",
    "painting",
    "statue",
    "photograph",
    "hospital",
    "wrestling",
)
SHARES = {  # of a class, the beta distribution of a score that speaks for it, and of one that does not
    True: (8, 2), False: (1, 12),
}  # fmt: skip
STAGES = {  # a line each: where the function is, and what it does
    "compute": "curate.label.run", "columns_of": "curate.label.run", "vote": "curate.label.run",
    "combine": "curate.label.run", "last": "curate.label.run", "_report": "curate.label.run",
    "write": "curate.label.table", "following": "curate.admin.following",
}  # fmt: skip


def main() -> None:
    """Print the stages of one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_300_000)
    parser.add_argument("--folder", type=Path, default=cache())
    parser.add_argument("--profile", type=Path, help="write cProfile's figures here")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        run(asked.run, asked.profile)
        return
    root = asked.folder / f"label-{asked.samples}"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        made(part, asked.samples)
        part.rename(root)
    profile = ["--profile", str(asked.profile)] if asked.profile else []
    subprocess.run([sys.executable, "-m", "benchmarks.label", "--run", str(root), *profile], check=True)


def run(root: Path, profile: Path | None) -> None:
    """`curate label` in this process."""
    import curate

    spent: dict[str, list[float]] = {}
    for name, module in STAGES.items():
        _timed(importlib.import_module(module), name, spent)
    project = curate.open(root, quiet=True)
    began = _now()
    if profile:
        import cProfile

        with cProfile.Profile() as stats:
            said = project.label()
        stats.dump_stats(profile)
    else:
        said = project.label()
    whole = [b - a for a, b in zip(began, _now(), strict=True)]
    spent["all else"] = [a - sum(one[n] for one in spent.values()) for n, a in enumerate(whole)]
    spent["together"] = whole
    for name, (wall, cpu) in spent.items():
        print(f"{name:<12} {wall:8.1f} s {cpu:8.1f} s CPU")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    n, functions = said["samples"], len(said["functions"])
    print(f"{n:,} samples, {functions} functions, {said['model']}: {n / whole[0]:,.0f} rows/s, {peak:.2f} GiB at most")


def _timed(module: Any, name: str, spent: dict[str, list[float]]) -> None:
    """Have a function of a module count its time."""
    if (inner := getattr(module, name, None)) is None:
        return
    each = spent.setdefault(name, [0.0, 0.0])

    def counted(*given: Any, **named: Any) -> Any:
        began = _now()
        try:
            return inner(*given, **named)
        finally:
            for n, (a, b) in enumerate(zip(began, _now(), strict=True)):
                each[n] += b - a

    setattr(module, name, counted)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


# -- a workspace -----------------------------------------------------------------------------------------------------


def made(root: Path, n: int) -> None:
    """The workspace of `benchmarks.samples` with scores, words, and functions that vote."""
    stocked(root, n).close()
    tables = [
        f'\n[[labelers]]\nuse = "{name}"\n' + "embedding = false\n" * bool(given) for name, given in LABELERS.items()
    ]
    (root / "curate.toml").write_text(CONFIG + "".join(tables))
    (root / "mine.py").write_text(MINE)
    ws = Workspace(root, Config())
    _blobs(ws)
    _words(ws)
    _scores(ws)
    ws.catalog.checkpoint()
    ws.close()


def _blobs(ws: Workspace) -> None:
    """Files as large as the samples, with nothing in them."""
    for one, size in ws.catalog.iterate_tuples("SELECT id, bytes FROM samples"):
        path = ws.blobs.path(one)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)


def _words(ws: Workspace) -> None:
    """Titles, descriptions and categories for what is from Commons."""
    draw = random.Random(1)
    docs = (Path(__file__).parents[1] / "docs" / "decisions.md").read_text(encoding="utf-8")
    words = re.findall(r"[A-Za-z]{3,}", docs)
    categories = [" ".join(draw.choices(words, k=3)).capitalize() for _ in range(20_000)]

    def written() -> Iterator[tuple[str, str, int]]:
        for (candidate,) in ws.catalog.all("SELECT candidate FROM mentions WHERE source LIKE 'commons%'"):
            some = [draw.choice(TOPICAL)] if draw.random() < 0.1 else []
            title = f"File:{' '.join([*draw.choices(words, k=4), *some]).capitalize()} {candidate:08d}.jpg"
            facts = {
                "uploader": f"Somebody {candidate % 5000}", "uploaded": "2024-05-01T12:00:00Z",
                "description": [" ".join(draw.choices(words, k=20))],
                "categories": [*draw.choices(categories, k=4), *(f"{one.capitalize()}s" for one in some)],
            }  # fmt: skip
            page = {"system": "commons.wikimedia.org", "pageid": 10_000_000 + candidate, "title": title}
            yield json.dumps(page), json.dumps(facts), candidate

    with ws.catalog.tx() as db:
        db.executemany("UPDATE mentions SET upstream = ?, facts = ? WHERE candidate = ?", list(written()))


def _scores(ws: Workspace) -> None:
    """Scores that follow the declared class, in parts as `compute` leaves them."""
    rng, axis = np.random.default_rng(2), ws.config.taxonomy.first
    sql = "SELECT c.sample, min(d.label) FROM declared d JOIN candidates c USING (candidate) GROUP BY c.sample"
    classes = dict(ws.catalog.iterate_tuples(sql))
    for name, given in LABELERS.items():
        labeler = make("labelers", Plugin(name, given, "labelers"), "labeler")
        if not labeler.needs.side:
            continue
        table = ws.table(name, fingerprint_of(labeler))
        for shard, ids in assign(ws.catalog).items():
            truth = np.array([axis.classes.index(classes[one]) for one in ids])
            columns = dict(_scored(name, labeler.columns, truth, axis.classes, rng))
            table.write(f"{shard:06d}", _part(ids, columns))


def _scored(name: str, columns: Any, truth: Any, classes: Any, rng: Any) -> Iterator[tuple[str, Any]]:
    drawn = np.isin(truth, [classes.index(one) for one in ("drawings", "hentai")])
    means: dict[str, Callable[[str], Any]] = {
        "open_nsfw": lambda column: truth == classes.index("porn"),
        "drawing": lambda column: drawn,
        "nsfwjs": lambda column: truth == classes.index(column),
    }
    each = {}
    for column in columns:
        yes = means[name](column)
        each[column] = np.where(yes, rng.beta(*SHARES[True], len(truth)), rng.beta(*SHARES[False], len(truth)))
    whole = sum(each.values()) if name == "nsfwjs" else 1.0
    for column, values in each.items():
        yield column, (values / whole).astype(np.float32)


def _part(ids: list[str], columns: dict[str, Any]) -> Any:
    import pyarrow as pa

    table = to_table({"id": ids} | columns)
    return table.append_column(PROBLEM, pa.nulls(len(ids), pa.string()))


if __name__ == "__main__":
    main()
