"""A workspace with a release to take samples down from, and a search for what is left of one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.progress import Progress
from curate.release.export import export
from curate.store.workspace import Workspace
from tests.support.builders import add, decide, workspace
from tests.support.pictures import encode, texture
from tests.support.releases import FORMATS, SCREENED

QUIET = Progress(quiet=True)
TOLD = {"work/releases/1.0.0/removed.csv", "work/exports/removals.jsonl"}  # so that who was given it can act


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of samples with near-duplicates, decisions, and a release of them."""
    root = tmp_path_factory.mktemp("start") / "w"
    ws = workspace(root)
    for seed in range(20):
        decide(ws, add(ws, encode(texture(seed)), "neutral"), "neutral")
        if seed % 4 == 0:
            add(ws, encode(texture(seed), quality=60), "neutral")
    ws.catalog.begin("dedupe", "")
    dedupe(ws, Serial(), QUIET)
    export(ws, "1.0.0", FORMATS, QUIET, SCREENED)
    (ws.root / "report.html").write_text("<img>")
    (ws.work / "review" / "session").mkdir(parents=True)
    (ws.work / "review" / "session" / "thumbnail.jpg").write_bytes(encode(texture(0)))
    ws.catalog.end("done")
    ws.close()
    return root


def words(ws: Workspace, sample: str) -> list[bytes]:
    """What must be found nowhere: its bytes, its name, and where it was."""
    urls = [row[0] for row in ws.catalog.all("SELECT locator FROM candidates WHERE sample = ?", (sample,))]
    with ws.blobs.open(sample) as blob:
        return [blob.read()[-300:], sample.encode(), bytes.fromhex(sample), *(url.encode() for url in urls)]


def traces(root: Path, words: list[bytes]) -> set[str]:
    """The files below a folder in which one of the words stands, or that are named by one."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    names = {path for path in files if any(one.decode("latin-1") in path.name for one in words)}
    found = names | {path for path in files if any(one in _content(path) for one in words)}
    return {path.relative_to(root).as_posix() for path in found}


def _content(path: Path) -> bytes:
    """What is in a file; what is packed, unpacked as well."""
    data = path.read_bytes()
    return data + str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else data


def released(ws: Workspace) -> str:
    """A sample of the release, in train, that others were collapsed into."""
    sql = """
    SELECT min(r.sample) FROM released r JOIN members m ON m.survivor = r.sample AND m.sample != r.sample
    WHERE r.split = 'train'
    """
    return str(ws.catalog.scalar(sql))
