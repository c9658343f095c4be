"""A takedown reaches every format of every version, pictures too; killed or on a full disk, nothing is half done."""

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.admin.forget import forget
from curate.admin.verify import verify
from curate.config import Config
from curate.dedupe.run import dedupe
from curate.engine.serial import Serial
from curate.errors import DiskFullError
from curate.media.decode import Bounds
from curate.media.leaving import leaving
from curate.project import load_release
from curate.release import formats, redact
from curate.release.export import export, export_also
from curate.removal.remove import resume
from curate.removal.takedown import takedown
from curate.screening.quarantine import quarantine
from curate.store import file_digests
from curate.store.holds import unfinished
from curate.store.workspace import Workspace
from manifests import huggingface, imagefolder, webdataset
from manifests.webdataset import Webdataset
from tests.support.builders import add, decide, workspace
from tests.support.exposed import exif
from tests.support.media_releases import contents
from tests.support.pictures import encode, texture
from tests.support.releases import EVERY, FORMATS, QUIET, SCREENED
from tests.support.taken_down import traces

VERSIONS = ("1.0.0", "1.0.1")
MEDIA = {name: one for name, one in EVERY.items() if formats.is_media(one)}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases of samples with near-duplicates and metadata, in every format."""
    root = tmp_path_factory.mktemp("start") / "w"
    ws = workspace(root)
    for seed in range(12):
        decide(ws, add(ws, encode(texture(seed), exif=exif()), "neutral"), "neutral")
        if seed % 4 == 0:
            add(ws, encode(texture(seed), quality=60), "neutral")
    ws.catalog.begin("dedupe", "")
    dedupe(ws, Serial(), QUIET)
    for version in VERSIONS:
        export(ws, version, FORMATS | MEDIA, QUIET, SCREENED, Serial())
    ws.catalog.end("done")
    ws.close()
    return root


@pytest.fixture
def ws(start: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(start, tmp_path / "w")
    made = Workspace(tmp_path / "w", Config())
    yield made
    made.close()


def named(ws: Workspace) -> str:
    """A released sample after which its group is named, and that somebody else is a member of."""
    sql = (
        "SELECT m.grp FROM members m JOIN released r ON r.sample = m.grp GROUP BY m.grp HAVING count(*) > 0 ORDER BY 1"
    )
    return str(ws.catalog.scalar(sql))


def words(ws: Workspace, sample: str) -> list[bytes]:
    """What must be found nowhere: its bytes as they were stored and as they left, and its name."""
    with ws.blobs.open(sample) as blob:
        data = blob.read()
    left, _ = leaving(data, Bounds())
    return [data[-200:], left[-200:], sample.encode()]


def sound(ws: Workspace, words: list[bytes]) -> None:
    """Nothing of it is left but its removal lists, everything else adds up, and is what is written anew."""
    left = traces(ws.work, words)
    assert left == {"exports/removals.jsonl", *(f"releases/{one}/removed.csv" for one in VERSIONS)}
    assert list(file_digests.problems(ws)) == []
    for version in VERSIONS:
        for name in FORMATS | MEDIA:
            out = ws.work / "exports" / version / name
            run = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=out, check=False)
            assert run.returncode == 0
            before = contents(out)
            redact.export_again(ws, version, name)
            assert contents(out) == before, f"{version}/{name}"


def test_a_takedown_reaches_every_format_of_every_version(ws: Workspace) -> None:
    sample = named(ws)
    gone, before = words(ws, sample), contents(ws.work / "exports")
    assert len(traces(ws.work / "exports", gone)) > len(VERSIONS) * len(FORMATS | MEDIA)
    takedown(ws, sample, "asked")
    sound(ws, gone)
    after = contents(ws.work / "exports")
    pictures = {name for name in before if name.endswith(".jpg") and sample not in name}
    assert {name: after[name] for name in pictures} == {name: before[name] for name in pictures}


def test_pictures_that_are_held_back_since_leave_their_exports_with_it(ws: Workspace) -> None:
    """A format from which something is taken out says and holds what one that is written anew would."""
    sample = named(ws)
    sql = "SELECT sample FROM released WHERE version = '1.0.0' AND sample <> ? ORDER BY 1"
    other = str(ws.catalog.scalar(sql, (sample,)))
    gone = words(ws, sample)
    (picture,) = {path.read_bytes() for path in ws.work.glob(f"exports/*/imagefolder/*/*/{other}.*")}
    quarantine(ws.catalog, other, "looked wrong", actor="ann")
    takedown(ws, sample, "asked")
    sound(ws, gone)
    assert not traces(ws.work / "exports", [picture[-200:]])


def test_pictures_that_would_leave_as_other_bytes_now_are_all_written_anew(ws: Workspace) -> None:
    """Or the table of a folder would say of its pictures what they are not."""
    sample = named(ws)
    gone = words(ws, sample)
    ws.config = replace(ws.config, export=replace(ws.config.export, max_side=20))
    takedown(ws, sample, "asked")
    sound(ws, gone)
    for name in ("imagefolder", "webdataset"):
        pictures = load_release(ws.work / "exports" / "1.0.0" / name).torch("train")
        assert {max(pictures[n][0].size) for n in range(len(pictures))} == {20}


def test_only_the_shard_concerned_is_written_anew(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Webdataset(shard=1)
    shutil.rmtree(ws.work / "exports" / "1.0.0" / "webdataset")
    file_digests.forget(ws, "exports/1.0.0/webdataset")
    export_also(ws, "1.0.0", {"webdataset": small}, QUIET, SCREENED, Serial())
    out = ws.work / "exports" / "1.0.0" / "webdataset"
    shards = {path.name: path.stat().st_ino for path in out.glob("*.tar")}
    sample = named(ws)
    gone = words(ws, sample)
    holding = {path.name for path in out.glob("*.tar") if sample.encode() in path.read_bytes()}
    assert len(shards) > 6
    assert len(holding) == 1
    takedown(ws, sample, "asked")
    assert {path.name: path.stat().st_ino for path in out.glob("*.tar")} == {
        name: inode for name, inode in shards.items() if name not in holding
    }
    assert traces(ws.work / "exports", gone) == {"removals.jsonl"}
    assert list(file_digests.problems(ws)) == []


def test_only_the_parquet_concerned_is_written_anew(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "SHARD", 1)
    monkeypatch.setattr(huggingface, "GROUP", 2)
    shutil.rmtree(ws.work / "exports" / "1.0.0" / "huggingface")
    file_digests.forget(ws, "exports/1.0.0/huggingface")
    export_also(ws, "1.0.0", {"huggingface": EVERY["huggingface"]}, QUIET, SCREENED, Serial())
    data = ws.work / "exports" / "1.0.0" / "huggingface" / "data"
    files = {path.name: path.stat().st_ino for path in data.iterdir()}
    sample = named(ws)
    holding = {
        path.name for path in data.iterdir() if sample in pq.read_table(path, columns=["id"]).column("id").to_pylist()
    }
    assert len(files) > len(holding) == 1
    takedown(ws, sample, "asked")
    same = {path.name: path.stat().st_ino for path in data.iterdir()}
    others = {name for name in files if "train" in name} - holding
    assert {name: same[name] for name in others} == {name: files[name] for name in others}
    assert same.keys() == files.keys()
    assert traces(ws.work / "exports", [sample.encode()]) == {"removals.jsonl"}
    assert list(file_digests.problems(ws)) == []


@pytest.mark.parametrize("place", ["metadata", "shard", "parquet", "finish", "format"])
def test_killed_in_the_middle_it_is_finished_by_the_next_run(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    sample = named(ws)
    gone = words(ws, sample)
    where, name = {
        "metadata": (imagefolder, "_metadata"),
        "shard": (webdataset, "_rewrite"),
        "parquet": (huggingface, "_without"),
        "finish": (formats.Formats, "_finish"),
        "format": (redact, "export_again"),
    }[place]
    with monkeypatch.context() as patch:

        def end(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(where, name, end)
        with pytest.raises(KeyboardInterrupt):
            takedown(ws, sample, "asked")
    assert unfinished(ws.catalog)
    resume(ws)
    sound(ws, gone)


def test_a_damaged_archive_does_not_keep_a_sample(ws: Workspace) -> None:
    sample = named(ws)
    gone = words(ws, sample)
    for path in (ws.work / "exports").glob("*/webdataset/*.tar"):
        data = bytearray(path.read_bytes())
        data[200:210] = b"x" * 10
        path.write_bytes(data)
    takedown(ws, sample, "asked")
    sound(ws, gone)


def test_what_a_killed_export_left_goes_too(ws: Workspace) -> None:
    sample = named(ws)
    gone = words(ws, sample)
    if (child := os.fork()) == 0:
        formats.Formats.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment]
        export(Workspace(ws.root, Config()), "1.0.2", FORMATS | MEDIA, QUIET, SCREENED, Serial())
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert (ws.work / "releases" / "1.0.2").exists()
    with ws.driver("takedown"):
        takedown(ws, sample, "asked")
    assert not (ws.work / "releases" / "1.0.2").exists()
    sound(ws, gone)


@pytest.mark.parametrize("name", MEDIA)
def test_killed_or_on_a_full_disk_a_format_is_not_there_and_then_the_same(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = ws.work / "exports" / "1.0.0" / name
    before = contents(out)
    shutil.rmtree(out)
    file_digests.forget(ws, f"exports/1.0.0/{name}")
    one = {name: MEDIA[name]}
    if (child := os.fork()) == 0:
        formats.Formats._finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment]
        export_also(Workspace(ws.root, Config()), "1.0.0", one, QUIET, SCREENED, Serial())
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not out.exists()
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(imagefolder, "_metadata", full)
        patch.setattr(webdataset, "_end_of", full)
        patch.setattr(huggingface, "_card", full)
        with pytest.raises(DiskFullError):
            export_also(ws, "1.0.0", one, QUIET, SCREENED, Serial())
    assert not out.exists()
    with ws.driver("export"):
        export_also(ws, "1.0.0", one, QUIET, SCREENED, Serial())
    assert contents(out) == before
    assert not list((ws.work / "exports" / "1.0.0").glob(".*"))


def test_exports_of_a_release_that_was_deleted_keep_nothing(ws: Workspace) -> None:
    sample = named(ws)
    gone = words(ws, sample)
    shutil.rmtree(ws.work / "releases" / "1.0.0")
    forget(ws, "releases/1.0.0", "me")
    takedown(ws, sample, "asked")
    assert traces(ws.work, gone) == {"exports/removals.jsonl", "releases/1.0.1/removed.csv"}
    assert list(file_digests.problems(ws)) == []


def test_verify_names_links_that_nobody_made(ws: Workspace) -> None:
    out = ws.work / "exports" / "1.0.0" / "csv"
    (out / "nowhere").symlink_to("/nowhere")
    (out / "elsewhere").symlink_to(__file__)
    found = [path for kind, path, _ in file_digests.problems(ws) if kind == "orphans"]
    assert found == [f"exports/1.0.0/csv/{name}" for name in ("elsewhere", "nowhere")]
    verify(ws, QUIET, repair=True)
    assert list(file_digests.problems(ws)) == []
    assert Path(__file__).exists()


def test_verify_names_a_flipped_bit_and_writes_it_anew(ws: Workspace) -> None:
    before = contents(ws.work / "exports")
    broken = [
        next((ws.work / "exports" / "1.0.0" / "imagefolder").glob("*/*/*.jpg")),
        *(ws.work / "exports" / "1.0.1" / "webdataset").glob("train-*.tar"),
    ]
    for path in broken:
        data = bytearray(path.read_bytes())
        data[-600] ^= 1
        path.write_bytes(data)
    found = verify(ws, QUIET, repair=True)
    assert {one["id"] for one in found["items"]} == {path.relative_to(ws.work).as_posix() for path in broken}
    assert contents(ws.work / "exports") == before
