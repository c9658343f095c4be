"""hydrate: a release of others comes back from its URLs, byte by byte, and what they take down goes here, too."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curate
from curate.admin import configured
from curate.project import Project
from curate.records import SPLITS, Change
from curate.release import recovery
from curate.release.diff import diff
from curate.release.hydrate import opened
from curate.release.removals import SCHEMA
from curate.store import chain, holds
from tests.support.calling_here import command
from tests.support.handed_on import N, Ours, picture, project
from tests.support.pictures import encode, texture
from tests.support.web import serving


def path_of(url: str) -> str:
    return "/" + url.rpartition("/")[2]


def labels(release: Any) -> dict[str, tuple[str, str, str]]:
    """Label, split and group of each row."""
    frame = release.frame()
    return {row.id: (row.label, row.split, row.group) for row in frame.itertuples()}


@pytest.mark.parametrize("form", ["urls", "parquet"])
def test_a_release_comes_back_with_labels_splits_and_groups(ours: Ours, partner: Project, form: str) -> None:
    found = partner.hydrate(ours.exports / "1.0.0" / form)
    assert (found["rows"], found["recovered"], found["recovery"], found["missing"]) == (N, N, 1.0, {})
    assert sum(one["recovered"] for one in found["by_class"].values()) == N
    assert found["removals"]["items"] == 0
    partner.dedupe(), partner.label()
    assert labels(partner.export("0.1.0")) == labels(ours.project.release("1.0.0"))


def salted(root: Path, *more: tuple[str, str]) -> Project:
    """The project with another salt, so that its own draw would put items elsewhere; `more` is changed, too."""
    text = (root / "curate.toml").read_text()
    for old, new in (("[export]\nformats", '[export]\nsalt = "another"\nformats'), *more):
        text = text.replace(old, new)
    (root / "curate.toml").write_text(text)
    return curate.open(root, quiet=True)


def test_what_was_here_before_is_not_trained_on_where_a_release_tests_on_it(ours: Ours, tmp_path: Path) -> None:
    """The partner has the same pictures as files, in other splits; half of the URLs are dead."""
    theirs = labels(ours.project.release("1.0.0"))
    for n in range(N):
        label = ("neutral", "drawings")[n % 2]
        (folder := tmp_path / "mine" / label).mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.png").write_bytes(ours.site.answers[f"/{n}.png"][2])
        if n < N // 2:
            ours.site.answers[f"/{n}.png"] = (404, {}, b"gone")
    source = f'[[sources]]\nuse = "local"\npath = "{tmp_path}/mine"\nlabel_from = "folder"\n'
    project(root := tmp_path / "partner", ours.site, source)
    partner = salted(root)
    partner.fetch(), partner.dedupe(), partner.label()
    before = labels(partner.export("0.1.0"))
    partner.hydrate(ours.exports / "1.0.0/urls"), partner.dedupe(), partner.label()
    after = labels(partner.export())
    order = {split: n for n, split in enumerate(SPLITS)}
    weaker = {one for one in theirs if order[before[one][1]] < order[theirs[one][1]]}
    assert weaker, "the draws differ"
    assert not weaker & after.keys()
    assert all(after[one][1] == before[one][1] for one in after)


def test_a_release_that_changed_is_known_whatever_becomes_of_the_next_run(ours: Ours, partner: Project) -> None:
    urls, root = ours.exports / "1.0.0/urls", partner.session.root
    partner.hydrate(urls)
    ours.project.takedown(ours.row()["sha256"], "asked for")
    with pytest.raises(curate.GateError, match="no list is loaded"):
        salted(root, ("required = false", "required = true")).hydrate(urls)
    partner = salted(root, ("required = true", "required = false"))
    partner.dedupe(), partner.label()
    assert labels(partner.export("0.1.0")) == labels(ours.project.release("1.0.0"))


def test_what_is_left_of_it_is_hydrated_and_removals_that_are_none_are_not_spoken_of(
    ours: Ours, partner: Project, tmp_path: Path
) -> None:
    urls = ours.exports / "1.0.0/urls"
    assert partner.status()["next"] == "`curate fetch`"
    code, out, _ = command(tmp_path / "partner", "hydrate", str(urls), "--limit", "4")
    assert code in (0, 3)
    assert partner.status()["next"] == f"`curate hydrate {urls}`"
    assert "recipients" not in out
    assert "duplicates_left" not in out
    assert "removals:" in out, "which feed was read is said"
    ours.project.takedown(ours.row()["sha256"], "asked for")
    assert "duplicates_left" in command(tmp_path / "partner", "hydrate", str(urls))[1]
    assert partner.status()["next"] == "`curate dedupe`"


def test_what_is_dead_changed_or_listed_says_so(ours: Ours, tmp_path: Path) -> None:
    dead, changed, listed = (path_of(ours.row(n)["url"]) for n in range(3))
    ours.site.answers[dead] = (404, {}, b"gone")
    ours.site.answers[changed] = picture(99)
    (tmp_path / "list.txt").write_text(hashlib.md5(ours.site.answers[listed][2]).hexdigest() + "\n")
    screening = f'[[screening.lists]]\nuse = "lines"\npath = "{tmp_path}/list.txt"\nprovider = "self"\n'
    partner = project(tmp_path / "partner", ours.site, screening=screening)
    with pytest.raises(curate.MatchError) as error:
        partner.hydrate(ours.exports / "1.0.0/urls")
    assert error.value.facts["release"] == "1.0.0"
    found = partner.hydrate(ours.exports / "1.0.0/urls")
    assert found["missing"] == {"gate_match": 1, "hash_mismatch": 1, "http_404": 1}
    assert found["recovered"] == N - 3
    assert found["incomplete"] is None
    assert partner.hydrate(ours.exports / "1.0.0/urls", max_failures=2)["incomplete"]


def test_what_the_owner_takes_down_goes_and_stays_away(ours: Ours, partner: Project) -> None:
    urls, row = ours.exports / "1.0.0/urls", ours.row()
    shutil.copytree(urls, stale := ours.root / "as-it-was")
    partner.hydrate(urls)
    partner.dedupe(), partner.label(), partner.export("0.1.0")
    ours.project.share("1.0.0", "partner")
    assert ours.project.takedown(row["sha256"], "asked for")["recipients"] == {"1.0.0": ["partner"]}
    assert row["sha256"] in (ours.exports / "removals.jsonl").read_text()
    found = partner.hydrate(urls)
    assert (found["removed"], found["removals"]["new"], found["rows"], found["recovered"]) == (1, 1, N - 1, N - 1)
    assert row["sha256"] not in set(partner.samples()["id"])
    assert row["sha256"] not in partner.release("0.1.0").frame()["id"].tolist()
    ours.site.asked.clear()
    again = partner.hydrate(stale, removals=ours.exports / "removals.jsonl")
    assert (again["removed"], again["missing"]) == (0, {"taken_down": 1})
    assert not ours.site.asked
    assert partner.verify()["items"] == []
    assert ours.project.verify()["items"] == []


def test_what_was_taken_down_before_is_never_asked_for(ours: Ours, partner: Project) -> None:
    shutil.copytree(ours.exports / "1.0.0/urls", stale := ours.exports / "stale")
    row = ours.row()
    ours.project.takedown(row["sha256"], "asked for")
    ours.site.asked.clear()
    found = partner.hydrate(stale)
    assert found["missing"] == {"taken_down": 1}
    assert not ours.site.asked[path_of(row["url"])]
    assert (found["removed"], found["removals"]["new"]) == (0, 1)


def test_a_feed_cannot_delete_what_ones_own_sources_name(ours: Ours, tmp_path: Path) -> None:
    """It is held back, once: who lets go of it has decided."""
    row = ours.row()
    (mine := tmp_path / "mine" / "neutral").mkdir(parents=True)
    (mine / "x.png").write_bytes(ours.site.answers[path_of(row["url"])][2])
    source = f'[[sources]]\nuse = "local"\npath = "{mine.parent}"\nlabel_from = "folder"\n'
    partner = project(tmp_path / "partner", ours.site, source)
    partner.fetch()
    partner.hydrate(ours.exports / "1.0.0/urls")
    ours.project.takedown(row["sha256"], "asked for")
    found = partner.hydrate(ours.exports / "1.0.0/urls")
    assert (found["removed"], found["removals"]["yours"], found["removals"]["new"]) == (0, 1, 0)
    assert len(found.open_incidents) == 1
    root = partner.session.root
    assert (root / f"work/blobs/{row['sha256'][:2]}/{row['sha256']}").exists()
    with partner.session.drive("release") as ws:
        assert holds.held(ws.catalog) == {row["sha256"]}
        with ws.catalog.tx() as db:
            db.execute("DELETE FROM quarantine")
    partner.hydrate(ours.exports / "1.0.0/urls")
    with partner.session.drive("again") as ws:
        assert not holds.held(ws.catalog)


def test_a_feed_that_cannot_say_what_was_taken_down_stops_it(ours: Ours, partner: Project, tmp_path: Path) -> None:
    urls, feed = ours.exports / "1.0.0/urls", ours.exports / "removals.jsonl"
    empty = feed.read_bytes()
    feed.unlink()
    with pytest.raises(curate.GateError, match="is not there"):
        partner.hydrate(urls)
    assert len(partner.samples()) == 0
    feed.write_bytes(empty)
    ours.project.takedown(ours.row()["sha256"], "asked for")
    partner.hydrate(urls)
    later = feed.read_bytes()
    newer, _ = chain.line({"feed": "x", "schema": 9}, chain.GENESIS)
    wrongs = [(empty, "older"), (later.replace(b'"at"', b'"AT"'), "damaged"), (b"{}\n", "damaged"), (newer, "newer")]
    posing, _ = chain.line({"feed": str(urls), "schema": SCHEMA}, chain.GENESIS)  # keys are known by place and by feed
    for wrong, says in [*wrongs, (posing, "no feed"), (b"[" * 100_000 + b"\n", "damaged")]:
        feed.write_bytes(wrong)
        with pytest.raises(curate.GateError, match=says):
            partner.hydrate(urls)
    feed.write_bytes(later)
    assert partner.hydrate(urls)["removed"] == 0


def test_a_feed_at_an_address_is_refused(ours: Ours, partner: Project) -> None:
    header = ours.exports / "1.0.0/urls/release.json"
    header.write_text(header.read_text().replace('"removals.jsonl"', '"https://example.org/removals.jsonl"'))
    with pytest.raises(curate.UsageError, match="nothing of it is signed"):
        partner.hydrate(header.parent)
    assert partner.hydrate(header.parent, removals=ours.exports / "removals.jsonl")["recovered"] == N


def test_a_release_at_an_address(ours: Ours, partner: Project) -> None:
    for path in (ours.exports / "1.0.0/urls").iterdir():
        ours.site.answers[f"/release/{path.name}"] = (200, {}, path.read_bytes())
    with pytest.raises(curate.UsageError, match="nothing of it is signed"):
        partner.hydrate(ours.site.url("/release"))
    found = partner.hydrate(ours.site.url("/release"), removals=ours.exports / "removals.jsonl")
    assert found["recovered"] == N
    ours.site.answers["/release/val.parquet"] = ours.site.answers["/release/test.parquet"]
    with pytest.raises(curate.StoreError, match="not the bytes"):
        partner.hydrate(ours.site.url("/release/"), removals=ours.exports / "removals.jsonl")


def test_nothing_of_it_is_an_answer_that_is_incomplete(ours: Ours, partner: Project) -> None:
    for n in range(N):
        del ours.site.answers[f"/{n}.png"]
    found = partner.hydrate(ours.exports / "1.0.0/urls")
    assert (found["recovered"], found["missing"]) == (0, {"http_404": N})
    assert "nothing of release 1.0.0" in found["incomplete"]


def test_who_was_given_two_lists_can_compare_them(ours: Ours, tmp_path: Path) -> None:
    urls, row = ours.exports / "1.0.0/urls", ours.row()
    shutil.copytree(urls, before := tmp_path / "before")
    ours.project.takedown(row["sha256"], "asked for")
    found = diff(None, str(before), str(urls))
    assert [one["id"] for one in found["removed"]] == [row["sha256"]]
    assert not any(found[name] for name in ("added", "relabelled", "moved", "edited"))
    release = curate.load_release(urls)
    for act in (lambda: release.open(row["sha256"]), lambda: release.torch("train")):
        with pytest.raises(curate.StoreError, match="rows alone"):
            act()


def test_files_say_nothing_of_looks_or_bytes(ours: Ours) -> None:
    for split in SPLITS:
        names = set(pq.read_table(ours.exports / f"1.0.0/urls/{split}.parquet").column_names)
        assert {"url", "sha256", "label", "split", "group", "license", "license_url", "page_url"} <= names
        assert not [name for name in names if "pdq" in name or "phash" in name or "bytes" in name]


@dataclass
class Wiki:
    """Says what became of items; `gone` are the page ids that are not as they were."""

    gone: tuple[str, ...] = ()
    system: str = "a.wiki"

    async def changes(self, http: Any, known: Any) -> Any:
        for one in known:
            if one.page_id in self.gone:
                yield Change(one, "overwritten", "0" * 40)


def test_another_rendition_of_the_same_original_is_taken_and_marked(
    ours: Ours, partner: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three items whose bytes changed, one is unchanged upstream; of another the size differs, too."""
    urls = ours.exports / "1.0.0/urls"
    table = pq.read_table(urls / "train.parquet")
    pages = pa.array([str(n) for n in range(len(table))])
    for name, values in (("upstream_system", ["a.wiki"] * len(table)), ("upstream_id", pages)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    known = pa.array(["a" * 40] * len(table), pa.string())
    table = table.set_column(table.column_names.index("upstream_sha1"), "upstream_sha1", known)
    pq.write_table(table, urls / "train.parquet")
    header = json.loads((urls / "release.json").read_text())
    header["files"]["train.parquet"] = hashlib.sha256((urls / "train.parquet").read_bytes()).hexdigest()
    (urls / "release.json").write_text(json.dumps(header))
    rows = table.to_pylist()
    for n in range(2):
        ours.site.answers[path_of(rows[n]["url"])] = picture(90 + n)
    ours.site.answers[path_of(rows[2]["url"])] = (200, {}, encode(texture(92, (97, 96)), "PNG"))
    monkeypatch.setattr(configured, "systems", lambda *_: {"a.wiki": Wiki(("1",))})
    found = partner.hydrate(urls)
    assert (found["renditions"], found["missing"], found["recovered"]) == (1, {"hash_mismatch": 2}, N - 2)
    with partner.session.drive("fates") as ws:
        known = recovery.fates(ws, opened(urls).rows)
        here = {row["id"]: name for row, fate, name in known if fate == "rendition"}
    assert here == {rows[0]["sha256"]: hashlib.sha256(picture(90)[2]).hexdigest()}, "`eval` asks it in the item's place"
    ours.project.takedown(rows[0]["sha256"], "asked for")
    assert partner.hydrate(urls, removals=ours.exports / "removals.jsonl")["removed"] == 1, "the rendition goes, too"


def test_a_killed_run_goes_on_where_it_was(ours: Ours, partner: Project) -> None:
    root = partner.session.root
    with serving(ours.site.answers, delay=0.6) as slow:
        moved = ours.root / "moved"
        shutil.copytree(ours.exports / "1.0.0/urls", moved)
        for split in SPLITS:
            table = pq.read_table(moved / f"{split}.parquet")
            urls = [one.replace(ours.site.origin, slow.origin) for one in table.column("url").to_pylist()]
            pq.write_table(table.set_column(0, "url", pa.array(urls, pa.string())), moved / f"{split}.parquet")
        header = json.loads((moved / "release.json").read_text())
        for name in header["files"]:
            header["files"][name] = hashlib.sha256((moved / name).read_bytes()).hexdigest()
        (moved / "release.json").write_text(json.dumps(header))
        config = (root / "curate.toml").read_text().replace(ours.site.origin, slow.origin)
        (root / "curate.toml").write_text(config.replace("rate = 1000.0", "rate = 1000.0\nper_host = 2"))
        command = [sys.executable, "-m", "cli", "hydrate", str(moved), "-w", str(root), "-q"]
        command += ["--removals", str(ours.exports / "removals.jsonl")]
        process = subprocess.Popen(command)
        while sum(n for path, n in slow.asked.items() if path.endswith(".png")) < N // 2 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        slow.delay = 0.0
        found = partner.hydrate(moved, removals=ours.exports / "removals.jsonl")
        assert (found["recovered"], found["missing"]) == (N, {})
    partner.dedupe(), partner.label()
    assert labels(partner.export("0.1.0")) == labels(ours.project.release("1.0.0"))
    assert partner.verify()["items"] == []
