"""What is missing, cut, empty or yesterday's is said by every verb, and nothing that any witness knows is lost."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.store import chain
from tests.support import earlier
from tests.support.calling_here import command
from tests.support.folders import config
from tests.support.pictures import encode, texture
from tests.support.screened import put

CONFIG = config()
HEAD = "sha256,label,annotator,time\n"
VERBS = (
    ("fetch",), ("dedupe",), ("label",), ("export", "9.0.0"), ("run", "9.0.0"), ("queue", "uncertain"), ("report",),
    ("decisions", "import", "decisions.csv"), ("takedown", "00000000"), ("quarantine", "00000000", "--reason", "x"),
    ("screening", "acknowledge", "1", "--by", "x"), ("status",), ("verify",), ("log",),
    ("decisions", "export", "o.csv"),
)  # fmt: skip
PAIR = ("catalog.db", "catalog.db-seal")
LOOKS = {"status", "verify", "log", "decisions"}


def done(root: Path, *args: str, code: int = 0) -> dict[str, object]:
    found, out, err = command(root, *args, "--json")
    assert found == code, (args, out, err)
    return json.loads(out) if out else {"error": err}


def ids(root: Path) -> dict[str, str]:
    """The sample of each file."""
    with closing(sqlite3.connect(f"{(root / 'work/catalog.db').as_uri()}?mode=ro", uri=True)) as db:
        return {Path(one).name: sample for one, sample in db.execute("SELECT locator, sample FROM candidates")}


def day(root: Path, number: int) -> None:
    """Five pictures more; one of them judged, one held back, one taken down; a release."""
    for n in range(10 * number, 10 * number + 5):
        put(root, f"{n}.png", encode(texture(n), "PNG"))
    done(root, "fetch", "--relist")
    known = ids(root)
    name = {n: known[f"{10 * number + n}.png"] for n in range(5)}
    (root / "decisions.csv").write_text(f"{HEAD}{name[0]},neutral,ada,2026-0{number + 1}-01\n")
    done(root, "decisions", "import", str(root / "decisions.csv"))
    done(root, "quarantine", name[1], "--reason", f"day {number}")
    for verb in (("dedupe",), ("label",), ("export", f"1.{number}.0")):
        done(root, *verb)
    done(root, "takedown", name[2], "--reason", "asked for")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as it was yesterday, and as it is today."""
    root = tmp_path_factory.mktemp("days") / "today"
    root.mkdir()
    (root / "curate.toml").write_text(CONFIG)
    day(root, 0)
    shutil.copytree(root / "work", root.parent / "yesterday")
    day(root, 1)
    return root.parent


@pytest.fixture
def root(days: Path, tmp_path: Path) -> Path:
    shutil.copytree(days / "today", tmp_path / "w")
    return tmp_path / "w"


def removed(work: Path, _: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(work / name) if (work / name).is_dir() else (work / name).unlink()


def each(work: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        yield from [p for p in (work / name).rglob("*") if p.is_file()] if (work / name).is_dir() else [work / name]


def emptied(work: Path, _: Path, *names: str) -> None:
    for path in each(work, names):
        path.write_bytes(b"")


def cut(work: Path, _: Path, *names: str) -> None:
    for path in each(work, names):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def yesterdays(work: Path, before: Path, *names: str) -> None:
    for name in names:
        removed(work, before, name)
        (shutil.copytree if (before / name).is_dir() else shutil.copy)(before / name, work / name)


DAMAGES = [removed, emptied, cut, yesterdays]
WITNESSES = [
    ("catalog.db",),
    PAIR,
    ("catalog.db-seal",),
    ("journal.log",),
    ("tombstones.log",),
    ("releases",),
    ("blobs",),
]


def held(root: Path) -> set[str]:
    return {sample for name, sample in _by_bytes(root).items() if name in ("1.png", "11.png")}


def _by_bytes(root: Path) -> dict[str, str]:
    from hashlib import sha256

    return {path.name: sha256(path.read_bytes()).hexdigest() for path in (root / "images/neutral").iterdir()}


def released(root: Path, version: str) -> set[str]:
    found = set()
    for path in (root / "work/releases" / version).glob("t*.parquet"):
        found |= set(pq.read_table(path, columns=["id"]).column("id").to_pylist())
    return found - {None}


def voters(root: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(f"{(root / 'work/catalog.db').as_uri()}?mode=ro", uri=True)) as db:
        return set(db.execute("SELECT sample, label FROM decisions"))


@pytest.mark.parametrize("names", WITNESSES, ids="+".join)
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_missing_is_said_and_comes_back(
    days: Path, root: Path, damage: Callable[..., None], names: tuple[str, ...]
) -> None:
    """Every verb refuses; what the ways back give has all decisions, and releases nothing that is held or gone."""
    wanted = voters(root)
    damage(root / "work", days / "yesterday", *names)
    for verb in VERBS:
        code, _, err = command(root, *(str(root / one) if one == "o.csv" else one for one in verb), "-q")
        assert code == 1, (verb, err)
        assert "Ways back" in err or verb[0] == "verify", (verb, err)
    _, _, err = command(root, "fetch", "-q")
    if "--forget" in err:
        for version in ("1.0.0", "1.1.0"):
            shutil.rmtree(root / "work/releases" / version, ignore_errors=True)
            command(root, "verify", "--forget", f"releases/{version}", "-q")
    if "catalog.db is not what catalog.db-seal says" in err:
        (root / "work/catalog.db-seal").unlink()
    command(root, "verify", "--repair", "-q")
    if "older copy" in command(root, "fetch", "-q")[2] or "--rebuild" in err:
        command(root, "verify", "--repair", "--rebuild", "-q")
        command(root, "verify", "--repair", "-q")
    done(root, "fetch", "--relist")
    assert voters(root) >= wanted, "a decision is lost"
    for verb in (("dedupe",), ("label",), ("export", "9.0.0"), ("verify",)):
        done(root, *verb)
    by_name = _by_bytes(root)
    out = released(root, "9.0.0")
    assert out
    assert not out & held(root), "what is held back was released"
    assert not out & {by_name["2.png"], by_name["12.png"]}, "what was taken down was released"


def test_nothing_is_wrong_with_a_workspace_that_is_whole(root: Path) -> None:
    assert done(root, "verify")["items"] == []
    assert done(root, "status")["releases"] == ["1.0.0", "1.1.0"]
    for path in ("journal.log", "tombstones.log"):
        assert chain.broken(root / "work" / path) == []
        gone = [one for name, one in _by_bytes(root).items() if name in ("2.png", "12.png")]
        assert not any(one in (root / "work" / path).read_text() for one in gone), "a trace of what was taken down"


def test_journal_and_catalog_gone_at_once_holds_everything(root: Path) -> None:
    removed(root / "work", root, *PAIR, "journal.log")
    said = done(root, "verify", "--repair", "--rebuild")["rebuilt"]
    assert isinstance(said, dict)
    assert "incident 1" in said["lacks"][1]
    assert done(root, "fetch", "--relist", code=5)["stored"] == 8
    assert done(root, "status")["held"] == 8
    command(root, "dedupe", "-q")
    assert command(root, "label", "-q")[0] == 3, "no sample counts"
    assert command(root, "export", "9.0.0", "-q")[0] == 2, "there is nothing to release"
    done(root, "screening", "release", "1", "--reason", "looked through")
    assert done(root, "status")["held"] == 0


@pytest.mark.parametrize("journal", [True, False])
def test_what_was_taken_down_stays_away_where_its_log_is_gone_as_well(root: Path, journal: bool) -> None:
    """Receipts and the removal lists of releases say it, too; what they cannot say, the rebuild does not hide."""
    gone = {one for name, one in _by_bytes(root).items() if name in ("2.png", "12.png")}
    removed(root / "work", root, *PAIR, "tombstones.log", *([] if journal else ["journal.log"]))
    said = done(root, "verify", "--repair", "--rebuild")["rebuilt"]
    assert isinstance(said, dict)
    assert any("tombstones.log" in one for one in said["lacks"])
    done(root, "fetch", "--relist", code=0 if journal else 5)
    assert not gone & set(ids(root).values()), "what was taken down is back"
    if not journal:
        done(root, "screening", "release", "1", "--reason", "looked through")
    for verb in (("dedupe",), ("label",), ("export", "9.0.0"), ("verify",)):
        done(root, *verb)
    assert released(root, "9.0.0")
    assert not gone & released(root, "9.0.0")
    if journal:
        assert len(done(root, "verify")["redacted"]) == 2  # type: ignore[arg-type]


def test_a_receipt_that_the_catalog_does_not_know_says_that_it_is_older(root: Path, days: Path) -> None:
    """All that holds decisions was put back together; only receipts say that something was taken down since."""
    gone = {one for name, one in _by_bytes(root).items() if name in ("2.png", "12.png")}
    yesterdays(root / "work", days / "yesterday", *PAIR, "journal.log", "tombstones.log", "releases", "blobs")
    code, _, err = command(root, "fetch", "-q")
    assert (code, "does not know receipts/" in err, "Ways back" in err) == (1, True, True), err
    done(root, "verify", "--repair", "--rebuild", code=1)  # tables and exports of what is not here any more
    done(root, "verify", "--repair", code=1)
    done(root, "fetch", "--relist")
    assert not gone & set(ids(root).values())


def test_a_release_that_was_deleted_on_purpose(root: Path) -> None:
    assert command(root, "verify", "--forget", "releases/1.0.0", "-q")[0] == 2, "it is there"
    removed(root / "work", root, "releases/1.0.0")
    for path in ("releases", "1.0.0", "releases/../x", "blobs/00", "releases/3.0.0"):
        assert command(root, "verify", "--forget", path, "-q")[0] == 2
    assert done(root, "verify", "--forget", "work/releases/1.0.0/") == {"forgotten": "releases/1.0.0"}
    assert done(root, "status")["releases"] == ["1.1.0"]
    assert done(root, "verify")["items"] == []
    assert "forget" in str(done(root, "log"))
    assert "was such a release" in command(root, "export", "1.0.0", "-q")[2]


def test_bytes_that_are_lost_are_asked_for_again(root: Path, days: Path) -> None:
    """One among many, so that nobody looked for it when the workspace was opened: label and export do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curate.store.witnesses.SOME", 0)
        one = ids(root)["3.png"]
        path = root / "work/blobs" / one[:2] / one
        path.unlink()
        for verb in (("label",), ("export", "9.0.0")):
            code, out, _ = command(root, *verb, "--json")
            assert (code, json.loads(out)["lost"]) == (3, 1), verb
        assert one not in released(root, "9.0.0")
        assert done(root, "verify", code=1)["missing"] == 1
        assert done(root, "verify", "--repair", code=1)["missing"] == 1
        said = done(root, "verify")
        assert (said["items"], said["lost"]) == ([], 1)
        assert done(root, "export", "9.1.0")["excluded"]["bytes_lost"] == 1  # type: ignore[index]
        assert done(root, "status")["pending"] == 1
        done(root, "fetch")
        assert path.exists()
        done(root, "label")
        done(root, "export", "10.0.0")
        assert one in released(root, "10.0.0")


def test_bytes_that_are_not_what_they_were_are_replaced(root: Path) -> None:
    one = ids(root)["3.png"]
    path = root / "work/blobs" / one[:2] / one
    data = bytearray(path.read_bytes())
    data[70] ^= 1
    path.write_bytes(data)
    assert done(root, "verify", "--repair", code=1)["corrupt"] == 1
    assert path.read_bytes() == data, "they stay until better ones are there"
    assert done(root, "export", "9.0.0")["excluded"]["bytes_lost"] == 1  # type: ignore[index]
    done(root, "fetch")
    assert path.read_bytes() != data
    assert done(root, "verify")["items"] == []
    assert done(root, "export", "9.1.0")["excluded"].get("bytes_lost") is None  # type: ignore[attr-defined]


def test_another_workspaces_witnesses(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "curate.toml").write_text(CONFIG)
    day(other, 3)
    for names in (("journal.log",), PAIR):
        mixed = tmp_path / names[0]
        shutil.copytree(root, mixed)
        for name in names:
            shutil.copy(other / "work" / name, mixed / "work" / name)
        code, _, err = command(mixed, "fetch", "-q")
        assert (code, "belong" in err) == (1, True), err
        assert command(mixed, "status", "-q")[0] == 1


def test_a_workspace_of_the_version_before_gains_its_journal(root: Path) -> None:
    """Made by taking away what the last migrations made."""
    work = root / "work"
    (work / "journal.log").unlink()
    with closing(sqlite3.connect(work / "catalog.db")) as db:
        earlier.before(db, "m013_journal")
    (work / "catalog.db-seal").unlink()
    shutil.copy(work / "catalog.db", root / "old.db")
    done(root, "verify", "--repair", code=1)  # another program wrote it
    assert done(root, "verify")["items"] == []
    tables = {one.get("put") for one in chain.records(work / "journal.log")}
    assert {"decisions", "quarantine", "incidents", "releases", "runs"} <= tables


# -- what a rebuild says of itself, and what comes next ---------------------------------------------------------------


def test_where_everything_waits_for_its_source_no_verb_says_done(root: Path) -> None:
    removed(root / "work", root, *PAIR)
    done(root, "verify", "--repair", "--rebuild", code=0)
    for verb in ("label", "dedupe"):
        said = done(root, verb, code=3)
        assert "`curate fetch`" in str(said["incomplete"]), verb
        assert "8 origin_lost" in str(said["incomplete"]), verb
    assert done(root, "label", code=3)["next"] == "`curate fetch`"
    assert done(root, "status")["next"] == "`curate fetch`"
    _, _, err = command(root, "export", "9.0.0", "-q")
    assert ("8 origin_lost" in err, "`curate fetch`" in err) == (True, True), err
    done(root, "fetch", "--relist")
    assert done(root, "dedupe")["incomplete"] is None


def test_what_came_after_an_older_catalog_is_named_as_lost(root: Path, days: Path) -> None:
    yesterdays(root / "work", days / "yesterday", *PAIR)
    command(root, "verify", "--repair", "-q")
    said = done(root, "verify", "--repair", "--rebuild")["rebuilt"]
    assert isinstance(said, dict)
    assert any("the log" in one for one in said["lacks"])
    again = done(root, "verify", "--repair", "--rebuild")["rebuilt"]
    assert isinstance(again, dict)
    assert again["lacks"] == [], "a catalog that is up to date lacks nothing"


@pytest.mark.parametrize("damage", [removed, emptied])
def test_the_doctor_knows_that_there_was_a_catalog(root: Path, damage: Callable[..., None]) -> None:
    damage(root / "work", root, *PAIR)
    said = done(root, "doctor", code=1)
    assert isinstance(said["checks"], list)
    found = next(one for one in said["checks"] if one["name"] == "catalog")
    assert (found["ok"], "journal.log" in found["detail"], "--rebuild" in found["remedy"]) == (False, True, True)
