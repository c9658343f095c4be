"""Signatures where somebody else writes beside them, where keys change, and where runs end half-way."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.admin.doctor import doctor
from curate.admin.pinned import FEED, KEY
from curate.errors import GateError, ItemError, StoreError, UsageError
from curate.layouts.exported import PUBLIC, SUMS, is_beside
from curate.records import Reason, Response
from curate.release import reader, removals, signing
from curate.release.hydrate import download, earlier
from curate.release.unsigned import unsigned
from curate.store import chain
from curate.store.file_digests import keep_file
from curate.store.workspace import Workspace
from tests.release.test_signing import ours
from tests.support.handed_on import Ours
from tests.support.samples import workspace

OTHER_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"  # minisign's own
__all__ = ["ours"]  # the fixture with a key


def take_out(ws: Workspace, *ids: str) -> None:
    """What a takedown leaves beside a release."""
    path = ws.work / "releases/1.0.0/removed.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{one},train,r{n},2026-01-0{n + 1}T00:00:00Z\n" for n, one in enumerate(ids))
    path.write_text("id,split,receipt,at\n" + "".join(rows))


def feed_of(ws: Workspace) -> Path:
    return ws.work / removals.PLACE


def add(path: Path, **record: Any) -> None:
    """A line that follows the last one, as anybody can write it."""
    with path.open("ab") as out:
        out.write(chain.line(record, chain.records(path)[-1]["digest"])[0])


def test_a_line_that_somebody_else_wrote_is_not_kept(tmp_path: Path) -> None:
    ws = workspace(tmp_path, [])
    for ids in ((), ("a" * 64,), ("a" * 64, "b" * 64)):  # a new feed, and longer ones
        take_out(ws, *ids)
        removals.update(ws)
        before = feed_of(ws).read_bytes()
        assert len(chain.records(feed_of(ws))) == 1 + len(ids)
        add(feed_of(ws), id="c" * 64, at="2026-01-01T00:00:00Z", receipt="r0", versions=["1.0.0"])
        removals.update(ws)
        assert feed_of(ws).read_bytes() == before
    add(feed_of(ws), id="d" * 64, at="", receipt="", versions=[])
    keep_file(ws, removals.PLACE)  # what was kept so stays, though no list of removals has it (any more)
    removals.update(ws)
    assert len(chain.records(feed_of(ws))) == 4


def test_a_feed_that_was_killed_before_it_was_kept_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signing.new(tmp_path / "secret.key")
    for name in ("killed", "whole"):
        ws = workspace(tmp_path / name, [])
        object.__setattr__(ws.config.export, "signing_key", tmp_path / "secret.key")
        monkeypatch.setattr(ws.catalog, "digest", lambda *_: "f" * 64)
        removals.update(ws)
        take_out(ws, "a" * 64, "b" * 64)
        if name == "killed":
            with monkeypatch.context() as patch:
                patch.setattr(removals, "keep_file", _killed)
                with pytest.raises(KeyboardInterrupt):
                    removals.update(ws)
            assert not signing.signature_of(feed_of(ws)).exists(), "of what it was before"
            assert [one[0] for one in unsigned(ws, ())] == ["missing"]
        removals.update(ws)
        assert list(unsigned(ws, ())) == []
    files = [removals.PLACE, f"{removals.PLACE}{signing.SUFFIX}"]
    assert [(tmp_path / "killed/work" / one).read_bytes() for one in files] == [
        (ws.work / one).read_bytes() for one in files
    ]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_a_key_the_signature_of_the_same_feed_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    signing.new(tmp_path / "secret.key")
    ws = workspace(tmp_path, [])
    object.__setattr__(ws.config.export, "signing_key", tmp_path / "secret.key")
    removals.update(ws)
    object.__setattr__(ws.config.export, "signing_key", None)
    removals.update(ws)
    assert signing.signature_of(feed_of(ws)).exists()
    assert not caplog.text
    take_out(ws, "e" * 64)
    removals.update(ws)
    assert not signing.signature_of(feed_of(ws)).exists()
    assert "was signed, and is not any more" in caplog.text


def test_a_key_is_not_kept_where_things_are_handed_on(tmp_path: Path) -> None:
    ws = workspace(tmp_path, [])
    (ws.work / "exports/keys").mkdir(parents=True)
    (tmp_path / "link").symlink_to(ws.work / "exports/keys")
    signing.new(ws.work / "exports/keys/secret.key")
    for place in ("work/exports/keys/secret.key", "link/secret.key"):
        object.__setattr__(ws.config.export, "signing_key", tmp_path / place)
        with pytest.raises(UsageError, match="lies in work/"):
            signing.of(ws)
        assert signing.at_hand(ws) is None
    (tmp_path / "other.key.pub").touch()
    with pytest.raises(UsageError, match=r"other\.key\.pub: a file is there"):
        signing.new(tmp_path / "other.key")
    assert not (tmp_path / "other.key").exists()
    for none in (Path(), Path("/"), tmp_path / ("n" * 253)):  # the last one's public half has too long a name
        with pytest.raises(UsageError):
            signing.new(none)
    assert not list(tmp_path.glob("n*"))


def test_doctor_says_what_a_key_lacks(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    signing.new(tmp_path / "work/b.key")
    (tmp_path / "itself.key").symlink_to("itself.key")
    for text, ok, says in (
        ("", None, "not signed"),
        ('[export]\nsigning_key = "none.key"', False, "No such file"),
        ('[export]\nsigning_key = "work/b.key"', False, "lies in work/"),
        ('[export]\nsigning_key = "itself.key"', False, "Too many levels of symbolic links"),
        ('[export]\nsigning_key = "a.key"', True, "signed by"),
    ):
        signing.new(tmp_path / "a.key") if ok else None
        (tmp_path / "curate.toml").write_text(text)
        found = next(one for one in doctor(tmp_path) if one.name == "signing")
        assert (found.ok, says in found.detail) == (ok, True), found.detail
    (tmp_path / "a.key").chmod(0o640)
    found = next(one for one in doctor(tmp_path) if one.name == "signing")
    assert (found.ok, found.remedy) == (False, f"chmod 600 {tmp_path / 'a.key'}")


def test_what_a_format_calls_so_is_its_own() -> None:
    assert is_beside("exports/1.0.0/mine/SHA256SUMS", SUMS, PUBLIC)
    for path in ("exports/1.0.0/mine/sub/SHA256SUMS", "exports/SHA256SUMS", "models/1.0.0/mine/SHA256SUMS"):
        assert not is_beside(path, SUMS, PUBLIC)


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    public = signing.new(tmp_path / "k")
    path = tmp_path / "SHA256SUMS"
    os.mkfifo(signing.signature_of(path))
    path.touch()
    with pytest.raises(GateError, match="no plain file"):
        signing.check(path, public, "it")
    signing.signature_of(path).unlink()
    signer = signing.signer(tmp_path / "k")
    assert signer is not None
    signer.sign(path, "x")
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(GateError, match="no plain file"):
        signing.check(path, public, "it")
    (tmp_path / reader.HEADER).symlink_to("/dev/zero")
    with pytest.raises(StoreError, match="no plain file"):
        reader.load(tmp_path)
    with pytest.raises(UsageError, match="no plain file"):
        signing.signer(Path("/dev/zero"))


def test_all_is_signed_anew_by_a_new_key(ours: Ours, partner: curate.Project, tmp_path: Path) -> None:
    partner.hydrate(ours.exports / "1.0.1/urls", limit=1)
    public = signing.new(tmp_path / "next.key")
    config = ours.root / "curate.toml"
    config.write_text(config.read_text().replace("secret.key", "next.key"))
    assert ours.project.verify()["corrupt"] == 3, "two formats, and the feed"
    ours.project.verify(repair=True)
    assert sum(ours.project.verify()[kind] for kind in ("missing", "corrupt", "orphans")) == 0
    with pytest.raises(curate.GateError, match="is not signed by"):
        partner.hydrate(ours.exports / "1.0.1/urls", limit=1)
    assert partner.hydrate(ours.exports / "1.0.1/urls", limit=1, key=public)["recovered"] == 2
    with pytest.raises(curate.UsageError, match="no public key"):
        partner.hydrate(ours.exports / "1.0.1/urls", key="")
    (tmp_path / "next.key").unlink()
    with pytest.raises(curate.UsageError, match=r"next\.key"):
        ours.project.plan_export()
    with pytest.raises(curate.UsageError, match=r"next\.key"):
        ours.project.run("3.0.0")


def test_what_is_checked_is_what_was_read(ours: Ours, partner: curate.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    urls, feed = ours.exports / "1.0.1/urls", ours.exports / "removals.jsonl"
    partner.hydrate(urls, limit=2)
    good, read = feed.read_bytes(), removals.read
    add(feed, id=partner.samples()["id"][0], at="", receipt="", versions=["1.0.1"])

    def and_put_back(*args: Any) -> removals.Feed:
        found = read(*args)
        feed.write_bytes(good)
        return found

    monkeypatch.setattr(removals, "read", and_put_back)
    with pytest.raises(curate.GateError, match=r"removals: .* is not signed by"):
        partner.hydrate(urls)
    assert len(partner.samples()) == 2


@pytest.mark.parametrize("reason", [Reason.HTTP_404, Reason.HTTP_401_403, Reason.HTTP_5XX, Reason.TIMEOUT])
@pytest.mark.parametrize("name", ["minisign.pub", "SHA256SUMS.minisig"])
async def test_a_host_that_fails_makes_no_release_unsigned(name: str, reason: Reason, tmp_path: Path) -> None:
    class Site:
        async def get(self, url: str) -> Response:
            if url.endswith(f"/{name}"):
                raise ItemError(reason)
            return Response(url, 200, {}, b"x")

    if reason in (Reason.HTTP_404, Reason.HTTP_401_403):  # as some stores say of what is not there
        await download(Site(), "https://example.org/x", tmp_path)  # type: ignore[arg-type]
        assert not (tmp_path / name).exists()
        return
    with pytest.raises(UsageError, match=rf"{name} of this address: {reason}"):
        await download(Site(), "https://example.org/x", tmp_path)  # type: ignore[arg-type]


def at(ours: Ours, folder: str) -> None:
    """The release with a key at the site, in a folder without a feed."""
    for path in (ours.exports / "1.0.1/urls").iterdir():
        ours.site.answers[f"{folder}/{path.name}"] = (200, {}, path.read_bytes())


def test_an_address_has_one_name(ours: Ours, partner: curate.Project) -> None:
    for folder in ("/x", "//x", "/%78", "/y/../x"):
        at(ours, folder)
    with pytest.raises(curate.GateError, match="is not there"):
        partner.hydrate(ours.site.url("/x").replace("http:", "HTTP:") + "//#top")
    with partner.session.open() as ws:
        assert ws.catalog.get(f"{KEY}{ours.site.url('/x')}") is not None
        ws.catalog.set(f"{KEY}{ours.site.url('/x')}", OTHER_KEY)
    for spelling in ("/x/", "//x/", "/%78", "/y/../x"):
        with pytest.raises(curate.GateError, match=f"is not signed by {re.escape(OTHER_KEY)}"):
            partner.hydrate(ours.site.url(spelling))
    for odd in ("http://a b/", "gopher://example.org/x"):
        with pytest.raises(curate.UsageError, match="hydrate: "):
            partner.hydrate(odd)


def test_what_was_remembered_by_another_spelling_holds(ours: Ours, partner: curate.Project) -> None:
    """As it is in workspaces from when `//x` and `/%78` were places of their own."""
    at(ours, "/x")
    with partner.session.open() as ws:
        ws.catalog.set(f"{KEY}{ours.site.url('//x')}", OTHER_KEY)
        ws.catalog.set(f"{FEED}{ours.site.url('//x')}", "f" * 32)
    with pytest.raises(curate.GateError, match="is not signed by"):
        partner.hydrate(ours.site.url("/x"))
    feed, own = ours.exports / "removals.jsonl", (ours.exports / "1.0.1/urls/minisign.pub")
    with pytest.raises(curate.GateError, match="is another feed than the one that was read before"):
        partner.hydrate(ours.site.url("/x"), removals=feed, key=own)
    with partner.session.open() as ws, ws.catalog.tx() as db:
        db.execute("DELETE FROM meta WHERE key = ?", (f"{KEY}{ours.site.url('/x')}",))
        db.execute("DELETE FROM meta WHERE key GLOB ?", (f"{FEED}*",))
    with partner.session.open() as ws:
        ws.catalog.set(f"{KEY}{ours.site.url('/%78')}", signing.public_key(str(own)))
    with pytest.raises(curate.GateError, match="by other spellings of its address it was signed by"):
        partner.hydrate(ours.site.url("/x"), removals=feed)
    assert partner.hydrate(ours.site.url("/x"), removals=feed, key=own, limit=1)["recovered"] == 1
    with partner.session.open() as ws, ws.catalog.tx() as db:  # another spelling, and who approved it, in its name
        db.execute("PRAGMA defer_foreign_keys = ON")
        options = {"path": ours.site.url("//x"), "reason": "a study", "approved_by": "Ann"}
        db.execute("UPDATE sources SET source = 'hydrate:0', options = ?", (json.dumps(options),))
        for table in ("mentions", "declared", "given"):
            db.execute(f"UPDATE {table} SET source = 'hydrate:0'")
    ours.site.asked.clear()
    assert partner.hydrate(ours.site.url("/x/"), removals=feed, limit=1)["recovered"] == 2
    assert sum(one.endswith(".png") for one in ours.site.asked) == 1, "what is here is known again"
    (known,) = partner.status()["sources"]
    assert (known["candidates"], known["stored"], known["of"]) == (12, 2, ours.site.url("/x"))
    with partner.session.open() as ws:
        assert earlier(ws, ours.site.url("/x")) == ("a study", "Ann")
